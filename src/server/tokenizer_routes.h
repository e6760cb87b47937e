// /tokenize, /detokenize, /apply-template and /tokenizer_info: what tokens and prompts a model
// reads, in the words of llama-server and of vLLM, whose routes lm-evaluation-harness asks.
#ifndef LINNET_SERVER_TOKENIZER_ROUTES_H_
#define LINNET_SERVER_TOKENIZER_ROUTES_H_

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "linnet/tokenizer.h"
#include "server/router.h"
#include "server/served_model.h"

namespace linnet {

// The name by which clients speak of the token that ends a text, "<|endoftext|>"; empty if the
// tokenizer has no such token. World's has no bytes.
std::string_view EndOfTextName(const Tokenizer& tokenizer);

// Encode, in which that name stands for the token.
std::vector<int32_t> EncodeWithEnds(const Tokenizer& tokenizer, std::string_view text);

void AddTokenizerRoutes(Router& router, std::shared_ptr<const ServedModels> models);

}  // namespace linnet

#endif  // LINNET_SERVER_TOKENIZER_ROUTES_H_
