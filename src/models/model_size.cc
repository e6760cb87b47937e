#include "models/model_size.h"

#include <cstddef>
#include <optional>

#include "kernels/matmul.h"
#include "models/init.h"
#include "models/packed.h"
#include "models/schema.h"

namespace linnet {
namespace {

size_t PlainBytes(DType format) { return format == DType::kF32 ? sizeof(float) : sizeof(uint16_t); }

}  // namespace

ModelSize SizeOf(const Config& config, DType format) {
  const bool integer = format == DType::kI8 || format == DType::kNF4;
  ModelSize size;
  for (const ParameterSpec& p : NewParameters(config)) {
    const uint64_t count = p.elements();
    size.parameters += count;
    const size_t last = p.shape.empty() ? 1 : p.shape.back();
    switch (p.role) {
      case ParameterRole::kVector:
        size.vector_bytes += count * sizeof(float);
        break;
      case ParameterRole::kTable:
        size.table_bytes +=
            integer ? count / last * TableRowBytes(last) : count * PlainBytes(format);
        break;
      case ParameterRole::kMatrix:
        size.matrix_bytes += PackedBytes(format, count / last, last);
        break;
      case ParameterRole::kExpert: {
        const auto place = SplitBlockName(p.name);
        const auto expert = place ? SplitExpertName(place->rest) : std::nullopt;
        if (!expert || expert->layer == 0)
          size.matrix_bytes += PackedBytes(format, count / last, last);
        break;
      }
      case ParameterRole::kFactor: {
        // [in, out], or a stack of them.
        const size_t slices = p.shape.size() == 3 ? p.shape[0] : 1;
        const DType stored = integer ? DType::kBF16 : format;
        size.matrix_bytes += slices * PackedBytes(stored, last, count / slices / last);
        break;
      }
    }
  }
  size.state_bytes = StateShapeOf(config).floats() * sizeof(float);
  return size;
}

}  // namespace linnet
