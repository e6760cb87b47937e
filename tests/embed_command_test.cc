// linnet embed and linnet search: their files, and the vectors of the engine.
#include <gtest/gtest.h>

#include <cmath>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "engine/embedder.h"
#include "models/goldens.h"
#include "models/test_embeddings.h"
#include "program.h"

namespace linnet {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

// The vectors of the library, of these texts.
std::vector<std::vector<float>> VectorsOf(const fs::path& file, const Words& texts,
                                          const EmbedderOptions& options = {}) {
  const Model model = Model::Open(file);
  Workspace workspace({.threads = 2});
  const Embedder embedder(model, Tokenizer::ForVocabulary(256), options);
  std::vector<std::vector<int32_t>> tokens;
  for (const std::string& text : texts) tokens.push_back(embedder.TokensOf(text));
  std::vector<std::vector<float>> vectors(texts.size());
  EmbedTexts(embedder, workspace, tokens, {.found = [&](size_t i, std::vector<float> vector) {
               vectors[i] = std::move(vector);
             }});
  return vectors;
}

// The rows of a file that numpy.save would write.
std::vector<std::vector<float>> Npy(const std::string& path) {
  const std::string bytes = ReadFile(path);
  EXPECT_EQ(bytes.substr(0, 8), std::string("\x93NUMPY\x01\x00", 8));
  const size_t header = static_cast<unsigned char>(bytes.at(8)) +
                        256 * static_cast<size_t>(static_cast<unsigned char>(bytes.at(9)));
  EXPECT_EQ((10 + header) % 64, 0u);
  const std::string text = bytes.substr(10, header);
  size_t rows = 0, width = 0;
  EXPECT_EQ(
      std::sscanf(text.c_str(), "{'descr': '<f4', 'fortran_order': False, 'shape': (%zu, %zu), }",
                  &rows, &width),
      2)
      << text;
  EXPECT_EQ(bytes.size(), 10 + header + rows * width * sizeof(float));
  std::vector<std::vector<float>> out(rows, std::vector<float>(width));
  for (size_t i = 0; i < rows; ++i) {
    std::memcpy(out[i].data(), bytes.data() + 10 + header + i * width * sizeof(float),
                width * sizeof(float));
  }
  return out;
}

std::vector<json> LinesOf(const std::string& text) {
  std::vector<json> lines;
  for (size_t at = 0; at < text.size();) {
    const size_t end = std::min(text.find('\n', at), text.size());
    lines.push_back(json::parse(text.substr(at, end - at)));
    at = end + 1;
  }
  return lines;
}

class EmbedCommandTest : public testing::Test {
 protected:
  ScratchFolder folder_;
  const std::string model_ = test::ByteModel("7").string();
};

TEST_F(EmbedCommandTest, LinesBecomeRowsOfAnArray) {
  WriteFile(folder_ / "in.txt", "A fox.\n\nA hen and a fox.\r\nlast");
  const Outcome outcome =
      RunLinnet({"embed", model_, folder_ / "in.txt", folder_ / "out.npy", "--json"});
  EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
  const json facts = json::parse(outcome.out);
  EXPECT_EQ(facts["texts"], 3);
  EXPECT_EQ(facts["width"], 128);
  EXPECT_NE(outcome.err.find("1 lines without text"), std::string::npos) << outcome.err;
  EXPECT_EQ(Npy(folder_ / "out.npy"), VectorsOf(model_, {"A fox.", "A hen and a fox.", "last"}));
}

TEST_F(EmbedCommandTest, JsonLinesAndFilesAreTextsToo) {
  WriteFile(folder_ / "in.jsonl",
            "{\"q\":\"one\",\"text\":\"two\"}\n{\"q\":\"three\",\"text\":\"x\"}\n");
  Outcome outcome =
      RunLinnet({"embed", model_, folder_ / "in.jsonl", "-", "--field", "q", "--pooling", "last"});
  EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
  auto lines = LinesOf(outcome.out);
  ASSERT_EQ(lines.size(), 2u);
  const auto expected = VectorsOf(model_, {"one", "three"}, {.pooling = Pooling::kLast});
  for (size_t i = 0; i < 2; ++i) {
    EXPECT_EQ(lines[i]["embedding"].get<std::vector<float>>(), expected[i]);
    EXPECT_EQ(lines[i]["line"], i + 1);
  }
  EXPECT_EQ(lines[1]["text"], "three");

  WriteFile(folder_ / "a.txt", "first\nfile");
  WriteFile(folder_ / "b.txt", "second");
  outcome = RunLinnet(
      {"embed", model_, folder_ / "a.txt", folder_ / "b.txt", folder_ / "out.jsonl", "--whole"});
  EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
  EXPECT_EQ(outcome.out, "");
  lines = LinesOf(ReadFile(folder_ / "out.jsonl"));
  ASSERT_EQ(lines.size(), 2u);
  EXPECT_EQ(lines[0]["embedding"].get<std::vector<float>>(), VectorsOf(model_, {"first\nfile"})[0]);
  EXPECT_EQ(lines[1]["file"], folder_ / "b.txt");

  outcome = RunLinnet({"embed", model_, "-", "-"}, "from stdin\n");
  EXPECT_EQ(LinesOf(outcome.out).at(0)["embedding"].get<std::vector<float>>(),
            VectorsOf(model_, {"from stdin"})[0]);
}

TEST_F(EmbedCommandTest, EmbeddingModelsHaveHeadsForEachUse) {
  const std::string model = test::EmbeddingFile().string();
  WriteFile(folder_ / "in.txt", "A fox.\n");
  for (const auto& [name, use] : {std::pair("retrieval", EmbeddingUse::kRetrieval),
                                  {"classification", EmbeddingUse::kClassification}}) {
    const Outcome outcome =
        RunLinnet({"embed", model, folder_ / "in.txt", folder_ / "out.npy", "--use", name});
    EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
    EXPECT_EQ(Npy(folder_ / "out.npy"), VectorsOf(model, {"A fox."}, {.use = use}));
  }
  Outcome outcome = RunLinnet({"inspect", model, "--json"});
  EXPECT_EQ(json::parse(outcome.out)["purpose"], "embedding");
  EXPECT_EQ(json::parse(outcome.out)["kind"], "model");
  outcome = RunLinnet({"inspect", test::RerankerFile().string()});
  EXPECT_NE(outcome.out.find("reranker"), std::string::npos) << outcome.out;
  // What needs tokens says what it is instead.
  outcome = RunLinnet({"generate", model, "--prompt", "a", "--max-tokens", "2"});
  EXPECT_EQ(outcome.exit_code, 1);
  EXPECT_NE(outcome.err.find("it predicts no tokens"), std::string::npos) << outcome.err;
}

TEST_F(EmbedCommandTest, WhatIsWrongIsNamed) {
  WriteFile(folder_ / "in.txt", "A fox.\n");
  WriteFile(folder_ / "rows.jsonl", "{\"text\":\"a\"}\n{\"other\":\"b\"}\n");
  WriteFile(folder_ / "blank.txt", "\n \n");
  const auto fails = [&](const Words& words, int code, const std::string& what) {
    const Outcome outcome = RunLinnet(Words{"embed"} + words);
    EXPECT_EQ(outcome.exit_code, code) << outcome.err;
    EXPECT_NE(outcome.err.find(what), std::string::npos) << outcome.err;
    EXPECT_EQ(outcome.out, "");
  };
  fails({model_, folder_ / "in.txt", folder_ / "out.bin"}, 2, "neither .npy nor .jsonl");
  fails({model_, folder_ / "out.npy"}, 2, "is missing");
  fails({model_, folder_ / "none.txt", folder_ / "out.npy"}, 1, "none.txt: ");
  fails({model_, folder_ / "rows.jsonl", folder_ / "out.npy"}, 1, "rows.jsonl:2: has no text");
  fails({model_, folder_ / "blank.txt", folder_ / "out.npy"}, 1, "has no text");
  fails({model_, folder_ / "in.txt", folder_ / "out.npy", "--pooling", "end"}, 1,
        "was not trained to end texts");
  fails({test::RerankerFile().string(), folder_ / "in.txt", folder_ / "out.npy"}, 1,
        "is a reranker");
  const auto infinite = test::Once("infinite-bytes.safetensors", [](const auto& path) {
    test::WriteRandomModel({.generation = Generation::k7, .layers = 1, .width = 64, .vocab = 256},
                           SourceType::kF32, path, [](const auto& name, auto& values) {
                             if (name == "ln_out.bias") values[3] = INFINITY;
                           });
  });
  fails({infinite.string(), folder_ / "in.txt", folder_ / "out.npy"}, 1, "are not finite");
  // An output of another kind, and one that is read.
  fails({model_, folder_ / "in.txt", folder_ / "rows.jsonl"}, 1, "exists and holds");
  fails({model_, folder_ / "rows.jsonl", folder_ / "rows.jsonl", "--overwrite"}, 1,
        "is read by this command");
  EXPECT_FALSE(fs::exists(folder_ / "out.npy"));
}

class SearchCommandTest : public testing::Test {
 protected:
  SearchCommandTest() { setenv("XDG_CACHE_HOME", (folder_ / "cache").c_str(), 1); }
  ~SearchCommandTest() override { unsetenv("XDG_CACHE_HOME"); }

  json Search(const std::string& query, const Words& more = {}) {
    const Outcome outcome =
        RunLinnet(Words{"search", folder_ / "notes", query, "--model", model_, "--json"} + more);
    EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
    return json::parse(outcome.out, nullptr, false);
  }

  ScratchFolder folder_;
  const std::string model_ = test::ByteModel("7").string();
};

TEST_F(SearchCommandTest, FindsPassagesAndReadsOnlyWhatChanged) {
  fs::create_directories(folder_ / "notes/below");
  WriteFile(folder_ / "notes/a.txt", "The key is under the stone.\n");
  WriteFile(folder_ / "notes/below/b.md", "\n\nBread needs flour and time.\n");
  json found = Search("Bread needs flour and time.", {"--top", "1"});
  EXPECT_EQ(found["files"], 2);
  EXPECT_EQ(found["embedded"], 2);
  EXPECT_EQ(found["passages"], 2);
  ASSERT_EQ(found["results"].size(), 1u);
  EXPECT_EQ(found["results"][0]["file"], "below/b.md");
  EXPECT_EQ(found["results"][0]["line"], 3);
  EXPECT_EQ(found["results"][0]["text"], "Bread needs flour and time.");
  EXPECT_NEAR(found["results"][0]["score"].get<double>(), 1, 1e-5);

  WriteFile(folder_ / "notes/a.txt", "The key is in the shed now.\n");
  found = Search("The key is in the shed now.");
  EXPECT_EQ(found["embedded"], 1);
  EXPECT_EQ(found["results"][0]["file"], "a.txt");
  // Another pooling has an index of its own.
  EXPECT_EQ(Search("key", {"--pooling", "last"})["embedded"], 2);
  EXPECT_EQ(Search("key")["embedded"], 0);

  const Outcome text = RunLinnet({"search", folder_ / "notes", "The key", "--model", model_});
  EXPECT_EQ(text.exit_code, 0) << text.err;
  EXPECT_NE(text.out.find("notes/a.txt:1\n"), std::string::npos) << text.out;
}

TEST_F(SearchCommandTest, WhatIsWrongIsNamed) {
  fs::create_directories(folder_ / "notes");
  const auto fails = [&](const Words& words, const std::string& what) {
    const Outcome outcome = RunLinnet(Words{"search"} + words + Words{"--model", model_});
    EXPECT_EQ(outcome.exit_code, 1) << outcome.err;
    EXPECT_NE(outcome.err.find(what), std::string::npos) << outcome.err;
  };
  fails({folder_ / "none", "x"}, "is no folder");
  fails({folder_ / "notes", " "}, "QUERY is empty");
  fails({folder_ / "notes", "x"}, "has no text files");
}

}  // namespace
}  // namespace linnet
