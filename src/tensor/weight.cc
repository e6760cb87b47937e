#include "tensor/weight.h"

namespace linnet {

const char* Name(DType dtype) {
  switch (dtype) {
    case DType::kF32:
      return "f32";
    case DType::kF16:
      return "f16";
    case DType::kBF16:
      return "bf16";
    case DType::kI8:
      return "int8";
    case DType::kNF4:
      return "nf4";
    case DType::kGgml:
      return "ggml";
  }
  return "?";
}

std::optional<DType> ParseDType(std::string_view name) {
  for (const DType d : {DType::kF32, DType::kF16, DType::kBF16, DType::kI8, DType::kNF4}) {
    if (name == Name(d)) return d;
  }
  return std::nullopt;
}

}  // namespace linnet
