// Vocabulary files in the World format, read and written: one `id literal length` a line.
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

// Ids past this are refused: tables are as long as the largest id.
inline constexpr int32_t kMaxTokenId = (1 << 18) - 1;

// Reads a whole file, also of web-rwkv's form: a JSON object of ids to texts, or to lists of bytes.
// The result is in the order of the bytes and has no empty token, no id and no
// token twice. Throws Error kBadInput that names `name` and the line.
std::vector<VocabularyEntry> ParseVocabulary(std::string_view text, const std::string& name);

// Whether a vocabulary, or what may be one, is of web-rwkv's form.
bool IsJsonVocabulary(std::string_view text);

// The file that says so: what ParseVocabulary reads back as these entries.
std::string FormatVocabulary(const std::vector<VocabularyEntry>& entries);

}  // namespace linnet

#endif  // LINNET_TEXT_VOCABULARY_FILE_H_
