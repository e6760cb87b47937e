// Fields of requests that are texts or token ids.
#ifndef LINNET_SERVER_TOKEN_FIELDS_H_
#define LINNET_SERVER_TOKEN_FIELDS_H_

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "linnet/tokenizer.h"
#include "server/json_fields.h"
#include "server/served_model.h"

namespace linnet {

// A list of token ids from 0 to vocab - 1; some clients write 1.0 for 1. Throws RequestError 400
// for the field `name`.
std::vector<int32_t> ParseTokenIds(const Json& list, const std::string& name, size_t vocab);

// A text and its tokens. Of token ids the text is not known.
struct TokenizedText {
  std::string text{};
  std::vector<int32_t> tokens{};
  bool is_text = false;
};
// A text, texts that are joined, or token ids. Throws RequestError 400 for the field `name`.
TokenizedText ParseTokens(const Json& value, const std::string& name, const ServedModel& served);
// llama-server's prompts: a text, or a list of token ids and texts, each of which is encoded by
// itself.
std::vector<int32_t> ParseMixedTokens(const Json& value, const std::string& name,
                                      const ServedModel& served);

// The tokens of `text` where it stands after `before`: those of both together that follow the
// tokens of `before`, unless a token reaches over the border; then those of `text` alone.
std::vector<int32_t> TokensAfter(const Tokenizer& tokenizer, const TokenizedText& before,
                                 const std::string& text);
// The same for a field that is a text or token ids.
TokenizedText ParseTokensAfter(const TokenizedText& before, const Json& value,
                               const std::string& name, const ServedModel& served);

}  // namespace linnet

#endif  // LINNET_SERVER_TOKEN_FIELDS_H_
