// A model of RWKV-6 or 7 as a GGUF file that llama.cpp runs.
#ifndef LINNET_MODELS_GGUF_CONVERT_H_
#define LINNET_MODELS_GGUF_CONVERT_H_

#include <filesystem>
#include <optional>
#include <string_view>

#include "io/gguf.h"
#include "io/gguf_writer.h"
#include "models/convert.h"

namespace linnet {

// "f32", "f16", "bf16", "q8_0", in either case.
std::optional<GgufType> ParseGgufType(std::string_view name);

// Writes the big matrices in `type` and all else in f32, as llama.cpp's own converter does; a
// matrix whose rows are not whole blocks of 32 becomes f16 in a Q8_0 file. Nothing is rescaled.
// Without tokens the file says so, and llama.cpp takes and gives ids only. Holds a few megabytes,
// whatever the file's size. `options.type` is not used. Throws Error: kBadModel for what is not a
// whole model of those generations, for tensors that GGUF has no place for, such as a tuned state,
// and for values that f16 cannot hold; kIo.
Converted ConvertToGguf(const Checkpoint& in, const std::filesystem::path& out, GgufType type,
                        const GgufVocabulary& vocabulary, const ConvertOptions& options = {});

}  // namespace linnet

#endif  // LINNET_MODELS_GGUF_CONVERT_H_
