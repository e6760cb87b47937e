#include "models/model_size.h"

#include <algorithm>
#include <cstddef>
#include <optional>

#include "kernels/matmul.h"
#include "models/init.h"
#include "models/packed_writer.h"
#include "models/schema.h"

namespace linnet {
namespace {

size_t PlainBytes(DType format) { return format == DType::kF32 ? sizeof(float) : sizeof(uint16_t); }

uint64_t StoredBytes(const TensorView& t) {
  return t.encoding != nullptr ? t.encoding->bytes().size() : t.elements() * ElementBytes(t.type);
}

// As the binder packs it.
uint64_t BoundBytes(const TensorView& t, const Packing& packing) {
  const Layout layout = LayoutOf(t.name, t.shape.size());
  if (layout == Layout::kPlain && IsFloat(t.type)) return t.elements() * sizeof(float);
  const bool factor = layout == Layout::kPanelsTransposed;
  if (layout != Layout::kPanels && !factor) return StoredBytes(t);
  PackedSpec spec = SpecOf(t, t.shape, packing);
  spec.dtype = packing.TypeOf(t, factor);
  return spec.dtype == OwnType(t) || spec.layout != layout ? StoredBytes(t) : spec.bytes();
}

}  // namespace

uint64_t MemoryToOpen(const Checkpoint& checkpoint, const Packing& packing) {
  uint64_t need = packing.type ? 0 : checkpoint.file().file_bytes(), largest = 0;
  for (const TensorView& t : checkpoint.tensors()) {
    const auto place = SplitBlockName(t.name);
    const auto expert = place ? SplitExpertName(place->rest) : std::nullopt;
    const bool stays = !expert || expert->layer == 0;
    if (packing.type) {
      if (stays) need += BoundBytes(t, packing);
      largest = std::max(largest, StoredBytes(t));
    } else if (!stays) {
      need -= std::min(need, StoredBytes(t));
    }
  }
  return need + largest;
}

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
