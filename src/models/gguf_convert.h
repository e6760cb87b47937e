// Converts a model of RWKV-6 or 7 to a GGUF file that llama.cpp runs.
#ifndef LINNET_MODELS_GGUF_CONVERT_H_
#define LINNET_MODELS_GGUF_CONVERT_H_

#include <filesystem>
#include <optional>
#include <string_view>

#include "io/gguf.h"
#include "io/gguf_writer.h"
#include "models/convert.h"

namespace linnet {

// Parses "f32", "f16", "bf16", "q8_0", in lower or upper case.
std::optional<GgufType> ParseGgufType(std::string_view name);

// Writes the large matrices in `type` and the rest in f32, as llama.cpp's own converter does. In a
// Q8_0 file, a matrix whose rows are not a multiple of 32 is written as f16. Values are not
// rescaled. Without tokens the file is marked as such, and llama.cpp then only takes and returns
// ids. Uses a few megabytes of memory for any file size. `options.type` is ignored. Throws Error:
// kBadModel if the input is not a complete model of these generations, for tensors that GGUF does
// not support, such as a tuned state, and for values that f16 cannot represent; kIo.
Converted ConvertToGguf(const Checkpoint& in, const std::filesystem::path& out, GgufType type,
                        const GgufVocabulary& vocabulary, const ConvertOptions& options = {});

}  // namespace linnet

#endif  // LINNET_MODELS_GGUF_CONVERT_H_
