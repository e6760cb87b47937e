// The globals that a state dict's pickle may use, and their meaning.
#ifndef LINNET_IO_PICKLE_GLOBALS_H_
#define LINNET_IO_PICKLE_GLOBALS_H_

#include <cstdint>
#include <optional>
#include <string_view>

#include "io/tensor_view.h"

namespace linnet {

enum class PickleCall : uint8_t {
  kNone,  // a plain name, not callable
  kOrderedDict,
  kRebuildTensor,
  kRebuildParameter,
  kRebuildFromType,
  kSize,
};

struct PickleGlobal {
  std::string_view module, name;
  PickleCall call = PickleCall::kNone;
  std::optional<SourceType> storage;
};

inline constexpr PickleGlobal kPickleGlobals[] = {
    {"collections", "OrderedDict", PickleCall::kOrderedDict, {}},
    {"torch._utils", "_rebuild_tensor", PickleCall::kRebuildTensor, {}},
    {"torch._utils", "_rebuild_tensor_v2", PickleCall::kRebuildTensor, {}},
    {"torch._utils", "_rebuild_parameter", PickleCall::kRebuildParameter, {}},
    {"torch._utils", "_rebuild_parameter_with_state", PickleCall::kRebuildParameter, {}},
    {"torch._tensor", "_rebuild_from_type_v2", PickleCall::kRebuildFromType, {}},
    {"torch", "Size", PickleCall::kSize, {}},
    {"torch", "Tensor", PickleCall::kNone, {}},
    {"torch.nn.parameter", "Parameter", PickleCall::kNone, {}},
    {"torch", "FloatStorage", PickleCall::kNone, SourceType::kF32},
    {"torch", "HalfStorage", PickleCall::kNone, SourceType::kF16},
    {"torch", "BFloat16Storage", PickleCall::kNone, SourceType::kBF16},
    {"torch", "DoubleStorage", PickleCall::kNone, SourceType::kF64},
    {"torch", "LongStorage", PickleCall::kNone, SourceType::kI64},
    {"torch", "IntStorage", PickleCall::kNone, SourceType::kI32},
    {"torch", "ShortStorage", PickleCall::kNone, SourceType::kI16},
    {"torch", "CharStorage", PickleCall::kNone, SourceType::kI8},
    {"torch", "ByteStorage", PickleCall::kNone, SourceType::kU8},
    {"torch", "BoolStorage", PickleCall::kNone, SourceType::kBool},
    {"torch", "float32", PickleCall::kNone, {}},
    {"torch", "float16", PickleCall::kNone, {}},
    {"torch", "bfloat16", PickleCall::kNone, {}},
    {"torch", "float64", PickleCall::kNone, {}},
};

}  // namespace linnet

#endif  // LINNET_IO_PICKLE_GLOBALS_H_
