#include "server/tokenizer_routes.h"

#include <utility>

#include "server/chat_plan.h"
#include "server/chat_request.h"
#include "server/json_fields.h"
#include "server/openai_errors.h"
#include "server/token_fields.h"
#include "text/jinja_template.h"
#include "text/utf8.h"

namespace linnet {
namespace {

std::shared_ptr<const ServedModel> ModelOf(const ServedModels& models, const RouteCall& call) {
  return models.Find(call.request.QueryValue("model").value_or(""));
}

// llama-server's form of a token's bytes: a text, or a list of numbers if they are none.
OrderedJson PieceJson(std::string_view bytes) {
  std::string text = ValidUtf8(bytes);
  if (text == bytes) return text;
  OrderedJson list = OrderedJson::array();
  for (const char byte : bytes) list.push_back(static_cast<uint8_t>(byte));
  return list;
}

void Tokenize(const ServedModels& models, const RouteCall& call) {
  const Json json = ParseBody(call.request.body);
  const Fields body(json);
  const auto served = models.Find(body.String("model").value_or(""));
  const Tokenizer& tokenizer = *served->tokenizer;
  std::vector<int32_t> tokens;
  if (body.Has("messages")) {
    tokens = PromptOf(ParseChat(json), *served);
  } else {
    const char* field = body.Has("content") ? "content" : "prompt";
    const std::string text = body.RequiredString(field);
    tokens =
        body.Bool("parse_special", true) ? EncodeWithEnds(tokenizer, text) : tokenizer.Encode(text);
  }
  const bool special = body.Bool("add_special", false);
  body.Bool("add_special_tokens");  // models here have none that would be added
  if (special && !EndOfTextName(tokenizer).empty()) tokens.insert(tokens.begin(), 0);
  OrderedJson answer;
  if (body.Bool("with_pieces", false)) {
    OrderedJson list = OrderedJson::array();
    for (const int32_t id : tokens) {
      list.push_back({{"id", id}, {"piece", PieceJson(tokenizer.Bytes(id))}});
    }
    answer["tokens"] = std::move(list);
  } else {
    answer["tokens"] = tokens;
  }
  answer["count"] = tokens.size();
  answer["max_model_len"] = served->context_length;
  if (body.Bool("return_token_strs", false)) {
    OrderedJson texts = OrderedJson::array();
    for (const int32_t id : tokens) texts.push_back(ValidUtf8(tokenizer.Bytes(id)));
    answer["token_strs"] = std::move(texts);
  }
  call.reply->Send(200, Dump(answer));
}

void Detokenize(const ServedModels& models, const RouteCall& call) {
  const Json json = ParseBody(call.request.body);
  const Fields body(json);
  const auto served = models.Find(body.String("model").value_or(""));
  const Json* tokens = body.Find("tokens");
  if (tokens == nullptr || !tokens->is_array()) {
    throw RequestError(400, "tokens must be a list of token ids", "tokens",
                       tokens == nullptr ? "missing_required_parameter" : "invalid_type");
  }
  const auto ids = ParseTokenIds(*tokens, "tokens", served->vocab);
  const std::string text = ValidUtf8(served->tokenizer->Decode(ids));
  call.reply->Send(200, Dump(OrderedJson{{"content", text}, {"prompt", text}}));
}

void ApplyTemplate(const ServedModels& models, const RouteCall& call) {
  const ChatRequest request = ParseChat(ParseBody(call.request.body));
  const auto served = models.Find(request.model);
  call.reply->Send(200, Dump(OrderedJson{{"prompt", PromptTextOf(request, *served)}}));
}

void TokenizerInfo(const ServedModels& models, const RouteCall& call) {
  const auto served = ModelOf(models, call);
  const Tokenizer& tokenizer = *served->tokenizer;
  const std::string_view end = EndOfTextName(tokenizer);
  OrderedJson answer = {{"model", served->name},
                        {"tokenizer_class", tokenizer.name()},
                        {"tokenizer_digest", tokenizer.Digest()},
                        {"vocab_size", served->vocab},
                        {"model_max_length", served->context_length},
                        {"add_bos_token", false},
                        {"add_eos_token", false}};
  for (const char* name : {"bos_token", "eos_token", "pad_token"}) {
    answer[name] = end.empty() ? OrderedJson() : OrderedJson(end);
    answer[std::string(name) + "_id"] = end.empty() ? OrderedJson() : OrderedJson(0);
  }
  answer["chat_template"] = JinjaOf(*served->chat_template, served->think);
  answer["chat_template_name"] = served->chat_template->name();
  call.reply->Send(200, Dump(answer));
}

}  // namespace

std::string_view EndOfTextName(const Tokenizer& tokenizer) {
  return EndOfTextIds(tokenizer).empty() ? std::string_view() : "<|endoftext|>";
}

std::vector<int32_t> EncodeWithEnds(const Tokenizer& tokenizer, std::string_view text) {
  const std::string_view name = EndOfTextName(tokenizer);
  // The 20B tokenizer knows the name itself.
  if (name.empty() || !tokenizer.Bytes(0).empty()) return tokenizer.Encode(text);
  std::vector<int32_t> tokens;
  while (true) {
    const size_t at = text.find(name);
    const std::vector<int32_t> part = tokenizer.Encode(text.substr(0, at));
    tokens.insert(tokens.end(), part.begin(), part.end());
    if (at == text.npos) return tokens;
    tokens.push_back(0);
    text.remove_prefix(at + name.size());
  }
}

void AddTokenizerRoutes(Router& router, std::shared_ptr<const ServedModels> models) {
  const auto add = [&](const char* method, const char* path, auto handler) {
    router.Add(method, path, [models, handler](const RouteCall& call) { handler(*models, call); });
  };
  add("POST", "/tokenize", Tokenize);
  add("POST", "/detokenize", Detokenize);
  add("POST", "/apply-template", ApplyTemplate);
  add("GET", "/tokenizer_info", TokenizerInfo);
}

}  // namespace linnet
