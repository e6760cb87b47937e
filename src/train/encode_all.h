// EncodeAll: encodes a text of any length in blocks.
#ifndef LINNET_TRAIN_ENCODE_ALL_H_
#define LINNET_TRAIN_ENCODE_ALL_H_

#include <cstddef>
#include <span>
#include <string_view>

#include "base/mapped_file.h"
#include "linnet/tokenizer.h"
#include "train/documents.h"

namespace linnet {

// The first block of `text` to encode separately: all of it if it is short, else up to a line break
// before a letter or digit, because tokens rarely cross such a position.
inline std::string_view EncodingBlock(std::string_view text, size_t longest = size_t{4} << 20) {
  if (text.size() <= longest) return text;
  const auto is_plain = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
  };
  for (size_t at = longest; at > longest / 2; --at) {
    if (text[at - 1] == '\n' && is_plain(text[at])) return text.substr(0, at);
  }
  // Otherwise, at least do not split a character.
  size_t at = longest;
  while (at > longest - 4 && (static_cast<unsigned char>(text[at]) & 0xC0) == 0x80) --at;
  return text.substr(0, at);
}

// Calls use(block) for each block of a part. Releases the memory of long mapped parts.
template <class F>
void ForBlocks(const DocumentPart& part, const F& use) {
  std::string_view text = part.text();
  while (!text.empty()) {
    const std::string_view block = EncodingBlock(text);
    use(block);
    text.remove_prefix(block.size());
    if (!part.mapped.empty() && !text.empty()) {
      MappedFile::Drop(std::as_bytes(std::span(block.data(), block.size())));
    }
  }
}

// The same, with use(ids).
template <class F>
void EncodeAll(const Tokenizer& tokenizer, const DocumentPart& part, const F& use) {
  ForBlocks(part, [&](std::string_view block) { use(tokenizer.Encode(block)); });
}

}  // namespace linnet

#endif  // LINNET_TRAIN_ENCODE_ALL_H_
