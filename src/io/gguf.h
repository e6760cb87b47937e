// GGUF: the file format of llama.cpp, versions 2 and 3, little-endian; here the vocabulary that
// such a file holds beside its tensors (ParseGguf, in io/container.h, gives those).
#ifndef LINNET_IO_GGUF_H_
#define LINNET_IO_GGUF_H_

#include <cstdint>
#include <string>
#include <vector>

#include "io/container.h"

namespace linnet {

// What tokenizer.ggml.* say. `kinds` is empty if the file does not give them.
struct GgufVocabulary {
  std::string model;  // "rwkv", "llama" …; empty if there is none
  std::vector<std::string> tokens;
  std::vector<int32_t> kinds;
};

// Kinds of tokens that stand for bytes of text; others are marks and padding.
inline constexpr int32_t kNormalToken = 1, kControlToken = 3, kUserToken = 4, kUnusedToken = 5;

// Throws as ParseGguf does.
GgufVocabulary ReadGgufVocabulary(const FileBytes& file);

}  // namespace linnet

#endif  // LINNET_IO_GGUF_H_
