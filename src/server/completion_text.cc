#include "server/completion_text.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "text/utf8.h"

namespace linnet {
namespace {

double AtLeast(float logprob) {
  constexpr float kLeast = -9999;  // JSON has no infinity
  return static_cast<double>(std::max(logprob, kLeast));
}

}  // namespace

size_t CharactersIn(std::string_view bytes) {
  return static_cast<size_t>(std::count_if(bytes.begin(), bytes.end(), [](char byte) {
    return (static_cast<unsigned char>(byte) & 0xC0) != 0x80;
  }));
}

void CompletionText::Add(std::string_view text, std::span<const TokenInfo> tokens) {
  text_ += text;
  tokens_.insert(tokens_.end(), tokens.begin(), tokens.end());
}

OrderedJson CompletionText::Take(size_t index, bool logprobs) {
  OrderedJson choice = {{"text", std::exchange(text_, {})},
                        {"index", index},
                        {"logprobs", nullptr},
                        {"finish_reason", nullptr}};
  if (logprobs) {
    OrderedJson tokens = OrderedJson::array(), values = OrderedJson::array(),
                tops = OrderedJson::array(), offsets = OrderedJson::array();
    for (const TokenInfo& token : tokens_) {
      const std::string_view bytes = tokenizer_.Bytes(token.id);
      const bool first = std::isnan(token.logprob);  // nothing before it that it could follow
      tokens.push_back(ValidUtf8(bytes));
      values.push_back(first ? OrderedJson() : OrderedJson(AtLeast(token.logprob)));
      OrderedJson top = OrderedJson::object();
      for (const auto& [id, logprob] : token.top) {
        top[ValidUtf8(tokenizer_.Bytes(id))] = AtLeast(logprob);
      }
      tops.push_back(first ? OrderedJson() : std::move(top));
      offsets.push_back(offset_);
      offset_ += CharactersIn(bytes);
    }
    choice["logprobs"] = {{"tokens", std::move(tokens)},
                          {"token_logprobs", std::move(values)},
                          {"top_logprobs", std::move(tops)},
                          {"text_offset", std::move(offsets)}};
  }
  tokens_.clear();
  return choice;
}

}  // namespace linnet
