#include <gtest/gtest.h>

#include <fstream>
#include <functional>
#include <iterator>
#include <nlohmann/json.hpp>

#include "linnet/error.h"
#include "text/tokenizers.h"

namespace linnet {
namespace {

using Json = nlohmann::json;
using Ids = std::vector<int32_t>;

// A tokenizer of single bytes, a few merges and one added token of each kind.
Json Small() {
  std::ifstream in("fuzz/corpus/bpe/flags.json");
  return Json::parse(std::string{std::istreambuf_iterator<char>(in), {}});
}

std::string ErrorOf(const std::function<void(Json&)>& change) {
  Json json = Small();
  change(json);
  try {
    NewNeoxTokenizer(json.dump(), "t.json");
  } catch (const Error& error) {
    return error.what();
  }
  return "";
}

// What Hugging Face's tokenizers 0.23 gives for the same file.
TEST(NeoxTokenizerTest, AddedTokensFollowTheirFlags) {
  const auto tokenizer = NewNeoxTokenizer(Small().dump(), "t.json");
  EXPECT_EQ(tokenizer->size(), 269u);
  EXPECT_EQ(tokenizer->Encode("a<|endoftext|>b"), (Ids{98, 0, 99}));
  EXPECT_EQ(tokenizer->Encode("a \n[L] a"), (Ids{98, 263, 248})) << "lstrip";
  EXPECT_EQ(tokenizer->Encode("a [R] \na"), (Ids{98, 33, 264, 98})) << "rstrip";
  EXPECT_EQ(tokenizer->Encode("a\u3000[LR]\u00A0a"), (Ids{98, 265, 98})) << "both, any blank";
  EXPECT_EQ(tokenizer->Encode("word."), (Ids{266, 47})) << "single word";
  EXPECT_EQ(tokenizer->Encode("sword"), (Ids{116, 120, 112, 115, 101}));
  EXPECT_EQ(tokenizer->Encode("word\u0301"), (Ids{120, 112, 115, 101, 203, 130}));
  EXPECT_EQ(tokenizer->Encode("e\u0301x\u00E9x"), (Ids{267, 267})) << "normalized";
  EXPECT_EQ(tokenizer->Encode("a   b    c"), (Ids{98, 262, 99, 262, 33, 100})) << "longest first";
  EXPECT_EQ(tokenizer->Decode(Ids{98, 267, 0}), "ae\u0301x<|endoftext|>");
}

TEST(NeoxTokenizerTest, LowestRankThenLeftmostMergesFirst) {
  const auto tokenizer = NewNeoxTokenizer(Small().dump(), "t.json");
  // a a, then aa aa, before a b: five a are aaaa and a.
  EXPECT_EQ(tokenizer->Decode(tokenizer->Encode("aaaaab")), "aaaaab");
  EXPECT_EQ(tokenizer->Encode("aaaaab"), (Ids{254, 258}));
  EXPECT_EQ(tokenizer->Encode("aaa"), (Ids{253, 98}));
  EXPECT_EQ(tokenizer->Encode("abc"), (Ids{259}));
}

TEST(NeoxTokenizerTest, WhatItWouldGetWrongIsRefusedByName) {
  EXPECT_EQ(ErrorOf([](Json&) {}), "");
  EXPECT_EQ(ErrorOf([](Json& j) { j["normalizer"]["type"] = "NFKC"; }),
            "t.json: normalizer is {\"type\":\"NFKC\"}, but only NFC is supported");
  EXPECT_EQ(ErrorOf([](Json& j) { j["model"]["type"] = "WordPiece"; }),
            "t.json: model.type is \"WordPiece\", but only \"BPE\" is supported");
  EXPECT_NE(ErrorOf([](Json& j) { j["model"]["dropout"] = 0.1; }).find("dropout"),
            std::string::npos);
  EXPECT_NE(ErrorOf([](Json& j) { j["pre_tokenizer"]["add_prefix_space"] = true; }), "");
  EXPECT_NE(ErrorOf([](Json& j) { j["pre_tokenizer"]["use_regex"] = false; }), "");
  EXPECT_NE(ErrorOf([](Json& j) { j["pre_tokenizer"] = nullptr; }), "");
  EXPECT_NE(ErrorOf([](Json& j) { j["model"]["vocab"].erase("a"); }), "");
  EXPECT_NE(ErrorOf([](Json& j) { j["model"]["vocab"]["zz"] = 5; }), "") << "an id twice";
  EXPECT_NE(ErrorOf([](Json& j) { j["model"]["vocab"]["zz"] = 1 << 30; }), "");
  EXPECT_NE(ErrorOf([](Json& j) { j["model"]["vocab"]["zz"] = -1; }), "");
  EXPECT_EQ(ErrorOf([](Json& j) { j["model"]["merges"].push_back("z z"); }),
            "t.json: model.merges[17] makes or needs \"zz\", which model.vocab does not have");
  EXPECT_NE(ErrorOf([](Json& j) { j["model"]["merges"].push_back("a b c"); }), "");
  EXPECT_NE(ErrorOf([](Json& j) { j["added_tokens"].push_back(j["added_tokens"][1]); }), "");
  EXPECT_NE(ErrorOf([](Json& j) { j["added_tokens"][0]["id"] = 1; }), "");
}

TEST(NeoxTokenizerTest, BrokenJsonIsAnError) {
  for (const char* json : {"{", "{\"model\": 1e999}", "{\"model\": \"\xFF\"}", "[]", "{}"}) {
    EXPECT_THROW(NewNeoxTokenizer(json, "t.json"), Error) << json;
  }
}

}  // namespace
}  // namespace linnet
