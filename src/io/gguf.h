// GGUF: the file format of llama.cpp, versions 2 and 3, little-endian. This header reads the
// vocabulary of such a file; ParseGguf in io/container.h reads the tensors.
#ifndef LINNET_IO_GGUF_H_
#define LINNET_IO_GGUF_H_

#include <cstdint>
#include <string>
#include <vector>

#include "io/container.h"

namespace linnet {

// The values of the tokenizer.ggml.* keys. `kinds` is empty if the file has none.
struct GgufVocabulary {
  std::string model;  // "rwkv", "llama" …; empty if there is none
  std::vector<std::string> tokens;
  std::vector<int32_t> kinds;
};

// Kinds of tokens that are text; other kinds are control tokens and padding.
inline constexpr int32_t kNormalToken = 1, kControlToken = 3, kUserToken = 4, kUnusedToken = 5;

// Throws the same errors as ParseGguf.
GgufVocabulary ReadGgufVocabulary(const FileBytes& file);

}  // namespace linnet

#endif  // LINNET_IO_GGUF_H_
