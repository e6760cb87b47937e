#include "server/tokenizer_routes.h"

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "server/test_server.h"

namespace linnet {
namespace {

class TokenizerRoutesTest : public testing::Test {
 protected:
  explicit TokenizerRoutesTest(size_t vocab = 65536) : model_(test::ScriptedModel(scheduler_)) {
    model_->tokenizer = Tokenizer::ForVocabulary(vocab);
    model_->vocab = vocab;
    AddTokenizerRoutes(router_, std::make_shared<const ServedModels>(
                                    std::vector<std::shared_ptr<const ServedModel>>{model_}));
  }
  Json Ask(const std::string& method, const std::string& path, const std::string& body = "",
           int status = 200) {
    const auto reply = test::Ask(router_, method, path, body);
    EXPECT_EQ(reply->status, status) << reply->body;
    return Json::parse(reply->body);
  }
  Json Post(const std::string& path, const std::string& body, int status = 200) {
    return Ask("POST", path, body, status);
  }

  test::ScriptedScheduler scheduler_;
  std::shared_ptr<ServedModel> model_;
  Router router_;
};

class ByteRoutesTest : public TokenizerRoutesTest {
 protected:
  ByteRoutesTest() : TokenizerRoutesTest(256) {}
};

TEST_F(TokenizerRoutesTest, BothSpellingsAreReadAndTold) {
  const auto ids = model_->tokenizer->Encode("The sky is é.");
  const Json llama = Post("/tokenize", R"({"content":"The sky is é."})");
  const Json vllm = Post("/tokenize", R"({"prompt":"The sky is é.","add_special_tokens":false})");
  EXPECT_EQ(llama, vllm);
  EXPECT_EQ(llama["tokens"], Json(ids));
  EXPECT_EQ(llama["count"], ids.size());
  EXPECT_EQ(llama["max_model_len"], 4096);
  const Json text = Post("/detokenize", Json{{"tokens", ids}}.dump());
  EXPECT_EQ(text, (Json{{"content", "The sky is é."}, {"prompt", "The sky is é."}}));
  EXPECT_EQ(Post("/detokenize", R"({"tokens":[]})")["prompt"], "");
}

TEST_F(TokenizerRoutesTest, PiecesAreTextsOrBytes) {
  const Json answer = Post("/tokenize", R"({"content":"a é","with_pieces":true})");
  for (const Json& token : answer["tokens"]) {
    EXPECT_EQ(token["piece"], std::string(model_->tokenizer->Bytes(token["id"])));
  }
  EXPECT_EQ(Post("/tokenize", R"({"prompt":"a b","return_token_strs":true})")["token_strs"],
            (Json{"a", " b"}));
}

// The token that ends a text has no bytes in World, but clients need a name for it.
TEST_F(TokenizerRoutesTest, TheEndOfATextHasAName) {
  const Json info = Ask("GET", "/tokenizer_info");
  EXPECT_EQ(info["eos_token"], "<|endoftext|>");
  EXPECT_EQ(info["eos_token_id"], 0);
  EXPECT_EQ(info["tokenizer_class"], "world");
  EXPECT_EQ(info["vocab_size"], 65536);
  const std::string name = Json(info["eos_token"]).dump();
  EXPECT_EQ(Post("/tokenize", R"({"prompt":)" + name + "}")["tokens"], Json::array({0}));
  EXPECT_EQ(Post("/tokenize", R"({"content":"a<|endoftext|>b"})")["tokens"],
            (Json{model_->tokenizer->Encode("a")[0], 0, model_->tokenizer->Encode("b")[0]}));
  EXPECT_EQ(Post("/tokenize", R"({"content":"<|endoftext|>","parse_special":false})")["tokens"],
            Json(model_->tokenizer->Encode("<|endoftext|>")));
  EXPECT_EQ(Post("/tokenize", R"({"content":"a","add_special":true})")["tokens"][0], 0);
}

TEST_F(ByteRoutesTest, BytesHaveNoEndOfText) {
  EXPECT_TRUE(Ask("GET", "/tokenizer_info")["eos_token"].is_null());
  EXPECT_EQ(Post("/tokenize", R"({"content":"<|","add_special":true})")["tokens"],
            (Json{'<', '|'}));
  // A byte that is no character.
  EXPECT_EQ(Post("/detokenize", R"({"tokens":[97,255]})")["content"], "a\xef\xbf\xbd");
}

TEST_F(TokenizerRoutesTest, APromptIsWhatChatWouldRead) {
  const std::string body = R"({"messages":[{"role":"system","content":"Be kind."},
    {"role":"user","content":"Hi\n\nthere"}]})";
  const Json prompt = Post("/apply-template", body);
  EXPECT_EQ(prompt, (Json{{"prompt", "System: Be kind.\n\nUser: Hi\nthere\n\nAssistant:"}}));
  EXPECT_EQ(Post("/tokenize", body)["tokens"],
            Json(EncodePrompt(*model_->tokenizer, prompt["prompt"].get<std::string>())));
}

TEST_F(TokenizerRoutesTest, BadFieldsAreNamed) {
  const std::vector<std::pair<std::string, std::string>> cases = {
      {R"({})", "prompt"}, {R"({"content":[1]})", "content"}};
  for (const auto& [body, param] : cases) {
    EXPECT_EQ(Post("/tokenize", body, 400)["error"]["param"], param) << body;
  }
  for (const char* body : {R"({})", R"({"tokens":"a"})", R"({"tokens":[65536]})"}) {
    EXPECT_EQ(Post("/detokenize", body, 400)["error"]["param"], "tokens") << body;
  }
  Post("/tokenize", R"({"content":"a","model":"other"})", 404);
}

}  // namespace
}  // namespace linnet
