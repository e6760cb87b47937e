// DType: the formats a weight can have in memory.
#ifndef LINNET_DTYPE_H_
#define LINNET_DTYPE_H_

#include <cstdint>
#include <optional>
#include <string_view>

namespace linnet {

// kGgml: one of ggml's block formats, used as stored in a GGUF or rwkv.cpp file.
enum class DType : uint8_t { kF32, kF16, kBF16, kI8, kNF4, kGgml };

const char* Name(DType dtype);  // "f32", "f16", "bf16", "int8", "nf4", "ggml"
std::optional<DType> ParseDType(std::string_view name);  // all except "ggml"

}  // namespace linnet

#endif  // LINNET_DTYPE_H_
