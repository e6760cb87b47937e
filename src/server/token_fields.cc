#include "server/token_fields.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <utility>

#include "server/openai_errors.h"

namespace linnet {
namespace {

// Tokens before a border on which the tokens after it may depend.
constexpr size_t kBorderTokens = 64;

[[noreturn]] void RefuseTokens(const std::string& name, const std::string& wanted) {
  throw RequestError(400, fmt::format("{} must be {}", name, wanted), name, "invalid_value");
}

int32_t ParseTokenId(const Json& id, const std::string& name, size_t vocab) {
  const double number = id.is_number() ? id.get<double>() : -1;
  if (!(number >= 0 && number < static_cast<double>(vocab) && number == std::floor(number))) {
    RefuseTokens(name, fmt::format("token ids from 0 to {}", vocab - 1));
  }
  return static_cast<int32_t>(number);
}

// The tokens after `known` if `whole` begins with it.
bool TakeRest(std::vector<int32_t>& whole, std::span<const int32_t> known) {
  if (whole.size() < known.size() || !std::equal(known.begin(), known.end(), whole.begin())) {
    return false;
  }
  whole.erase(whole.begin(), whole.begin() + static_cast<ptrdiff_t>(known.size()));
  return true;
}

}  // namespace

std::vector<int32_t> ParseTokenIds(const Json& list, const std::string& name, size_t vocab) {
  std::vector<int32_t> tokens;
  tokens.reserve(list.size());
  for (const Json& id : list) tokens.push_back(ParseTokenId(id, name, vocab));
  return tokens;
}

TokenizedText ParseTokens(const Json& value, const std::string& name, const ServedModel& served) {
  TokenizedText parsed{.is_text = true};
  if (value.is_string()) {
    parsed.text = value.get<std::string>();
  } else if (value.is_array() && (value.empty() || value.front().is_number())) {
    return {.tokens = ParseTokenIds(value, name, served.vocab)};
  } else if (value.is_array()) {
    for (const Json& part : value) {
      if (!part.is_string()) RefuseTokens(name, "a text, a list of texts, or token ids");
      parsed.text += part.get_ref<const std::string&>();
    }
  } else {
    RefuseTokens(name, "a text, a list of texts, or token ids");
  }
  parsed.tokens = served.tokenizer->Encode(parsed.text);
  return parsed;
}

std::vector<int32_t> ParseMixedTokens(const Json& value, const std::string& name,
                                      const ServedModel& served) {
  if (value.is_string()) return served.tokenizer->Encode(value.get_ref<const std::string&>());
  if (!value.is_array()) RefuseTokens(name, "a text, or a list of texts and token ids");
  std::vector<int32_t> tokens;
  for (const Json& part : value) {
    if (part.is_string()) {
      const auto more = served.tokenizer->Encode(part.get_ref<const std::string&>());
      tokens.insert(tokens.end(), more.begin(), more.end());
    } else {
      tokens.push_back(ParseTokenId(part, name, served.vocab));
    }
  }
  return tokens;
}

std::vector<int32_t> TokensAfter(const Tokenizer& tokenizer, const TokenizedText& before,
                                 const std::string& text) {
  if (before.is_text) {
    // The end of a long text is enough, if it begins where its tokens do.
    const auto known = std::span(before.tokens);
    const auto tail = known.last(std::min(known.size(), kBorderTokens));
    const std::string end = tokenizer.Decode(tail);
    if (before.text.ends_with(end)) {
      std::vector<int32_t> whole = tokenizer.Encode(end + text);
      if (TakeRest(whole, tail)) return whole;
    }
    if (tail.size() < known.size()) {
      std::vector<int32_t> whole = tokenizer.Encode(before.text + text);
      if (TakeRest(whole, known)) return whole;
    }
  }
  return tokenizer.Encode(text);
}

TokenizedText ParseTokensAfter(const TokenizedText& before, const Json& value,
                               const std::string& name, const ServedModel& served) {
  TokenizedText parsed;
  if (value.is_string()) {
    parsed.is_text = true;
    parsed.text = value.get<std::string>();
    parsed.tokens = TokensAfter(*served.tokenizer, before, parsed.text);
  } else if (value.is_array()) {
    parsed.tokens = ParseTokenIds(value, name, served.vocab);
  }
  if (parsed.tokens.empty()) RefuseTokens(name, "a text or token ids, not empty");
  return parsed;
}

}  // namespace linnet
