#include "text/added_tokens.h"

#include <algorithm>

#include "text/unicode.h"
#include "text/utf8.h"

namespace linnet {
namespace {

bool IsSpace(char32_t c) { return ClassOf(c) == CharClass::kSpace; }

size_t SpaceAtFront(std::string_view text) {
  size_t at = 0;
  while (at < text.size()) {
    const Utf8Step step = NextUtf8(text.substr(at));
    if (!IsSpace(step.c)) break;
    at += step.bytes;
  }
  return at;
}

size_t SpaceAtBack(std::string_view text) {
  size_t end = text.size();
  while (end > 0) {
    size_t begin = end - 1;
    while (begin > 0 && (static_cast<uint8_t>(text[begin]) & 0xC0) == 0x80) --begin;
    if (!IsSpace(NextUtf8(text.substr(begin)).c)) break;
    end = begin;
  }
  return text.size() - end;
}

}  // namespace

AddedTokens::AddedTokens(std::vector<AddedToken> tokens) : tokens_(std::move(tokens)) {
  std::vector<ByteTrie::Entry> keys;
  for (size_t i = 0; i < tokens_.size(); ++i) {
    keys.push_back({tokens_[i].content, static_cast<int32_t>(i)});
  }
  if (!keys.empty()) trie_ = ByteTrie(std::move(keys));
}

std::vector<TextPiece> AddedTokens::Split(std::string_view text) const {
  std::vector<TextPiece> pieces;
  size_t done = 0;
  for (size_t at = 0; at < text.size() && !tokens_.empty();) {
    const ByteTrie::Match match = trie_.Longest(text.substr(at));
    if (match.length == 0) {
      ++at;
      continue;
    }
    const AddedToken& token = tokens_[static_cast<size_t>(match.id)];
    size_t begin = at, end = at + match.length;
    at = end;
    if (token.single_word && ((begin > 0 && IsWordChar(LastUtf8(text.substr(0, begin)))) ||
                              (end < text.size() && IsWordChar(NextUtf8(text.substr(end)).c)))) {
      continue;
    }
    if (token.lstrip) begin -= SpaceAtBack(text.substr(done, std::max(begin, done) - done));
    if (token.rstrip) end += SpaceAtFront(text.substr(end));
    // The previous token may have taken the blanks that this token consists of. They are used only
    // once (the tokenizers library uses them twice in this case).
    begin = std::max(begin, done);
    if (begin > done) pieces.push_back({-1, text.substr(done, begin - done)});
    if (end > begin) pieces.push_back({token.id, text.substr(begin, end - begin)});
    done = std::max(done, end);
  }
  if (done < text.size()) pieces.push_back({-1, text.substr(done)});
  return pieces;
}

}  // namespace linnet
