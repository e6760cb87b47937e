// Reads and writes vocabulary files in the World format: one `id literal length` per line.
#ifndef LINNET_TEXT_VOCABULARY_FILE_H_
#define LINNET_TEXT_VOCABULARY_FILE_H_

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace linnet {

struct VocabularyEntry {
  int32_t id;
  std::string bytes;
};

// Larger ids are rejected: tables are as long as the largest id.
inline constexpr int32_t kMaxTokenId = (1 << 18) - 1;

// Reads a whole file, including web-rwkv's form: a JSON object of ids to texts, or to lists of
// bytes. The result is sorted by bytes and has no empty token, no duplicate id and no duplicate
// token. Throws Error kBadInput naming `name` and the line.
std::vector<VocabularyEntry> ParseVocabulary(std::string_view text, const std::string& name);

// Whether a possible vocabulary file has web-rwkv's form.
bool IsJsonVocabulary(std::string_view text);

// The text of a file from which ParseVocabulary reads these entries.
std::string FormatVocabulary(const std::vector<VocabularyEntry>& entries);

}  // namespace linnet

#endif  // LINNET_TEXT_VOCABULARY_FILE_H_
