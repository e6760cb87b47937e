// Vocabularies inside model files, and the built-in model, as users meet them.
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <nlohmann/json.hpp>
#include <regex>
#include <string>

#include "base/sanitized.h"
#include "linnet/model.h"
#include "program.h"

namespace linnet {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

constexpr const char* kAlice =
    "../shared/data/text/heldout/lewis-carroll_alices-adventures-in-wonderland_john-tenniel.txt";

// ---- A vocabulary in the file ----

class StoredVocabularyTest : public testing::Test {
 protected:
  void SetUp() override {
    std::string lines;
    for (int i = 0; i < 256; ++i) {
      char line[32];
      std::snprintf(line, sizeof line, "%d b'\\x%02x' 1\n", i + 1, i);
      lines += line;
    }
    WriteFile(vocab_, lines + "257 'linnet' 6\n258 ' sings' 6\n");
    ASSERT_EQ(RunLinnet({"init", "--generation", "7", "--layers", "2", "--width", "64", "--vocab",
                         "300", "--random", plain_})
                  .exit_code,
              0);
    const Outcome outcome =
        RunLinnet({"quantize", plain_, packed_, "--type", "nf4", "--vocab", vocab_});
    ASSERT_EQ(outcome.exit_code, 0) << outcome.err;
  }

  std::string Ids(const std::string& model) {
    const Outcome outcome = RunLinnet({"tokenize", "--model", model}, "linnet sings");
    return outcome.exit_code == 0 ? outcome.out : outcome.err;
  }

  ScratchFolder scratch_;
  const std::string vocab_ = scratch_ / "vocab.txt", plain_ = scratch_ / "plain.safetensors",
                    packed_ = scratch_ / "packed.safetensors";
};

TEST_F(StoredVocabularyTest, IsTakenBeforeAnyOther) {
  EXPECT_NE(Ids(plain_).find("--vocab"), std::string::npos);
  EXPECT_EQ(Ids(packed_), "257,258\n");
  const Outcome text = RunLinnet({"generate", packed_, "--prompt", "linnet", "--max-tokens", "3"});
  EXPECT_EQ(text.exit_code, 0) << text.err;
  const Outcome given = RunLinnet({"perplexity", packed_, vocab_, "--json", "--vocab", vocab_}),
                own = RunLinnet({"perplexity", packed_, vocab_, "--json"});
  EXPECT_EQ(own.exit_code, 0) << own.err;
  EXPECT_EQ(own.out, given.out);
}

TEST_F(StoredVocabularyTest, StaysThroughQuantizeAndConvert) {
  const std::string again = scratch_ / "again.safetensors", values = scratch_ / "f32.safetensors",
                    gguf = scratch_ / "model.gguf", pth = scratch_ / "model.pth";
  ASSERT_EQ(RunLinnet({"quantize", packed_, again, "--type", "int8"}).exit_code, 0);
  EXPECT_EQ(Ids(again), "257,258\n");
  ASSERT_EQ(RunLinnet({"convert", again, values, "--type", "f32"}).exit_code, 0);
  EXPECT_EQ(Ids(values), "257,258\n");
  ASSERT_EQ(RunLinnet({"convert", values, gguf}).exit_code, 0);
  EXPECT_EQ(Ids(gguf), "257,258\n");
  const Outcome left_out = RunLinnet({"convert", values, pth});
  EXPECT_EQ(left_out.exit_code, 0);
  EXPECT_NE(left_out.err.find("without its vocabulary"), std::string::npos) << left_out.err;
  ASSERT_EQ(RunLinnet({"convert", pth, again, "--vocab", vocab_}).exit_code, 0);
  EXPECT_EQ(Ids(again), "257,258\n");
}

TEST_F(StoredVocabularyTest, InspectSaysSoAndCountsItNot) {
  const json with = json::parse(RunLinnet({"inspect", packed_, "--json"}).out),
             without = json::parse(RunLinnet({"inspect", plain_, "--json"}).out);
  EXPECT_EQ(with["vocabulary_bytes"], fs::file_size(vocab_));
  EXPECT_FALSE(without.contains("vocabulary_bytes"));
  EXPECT_EQ(with["parameters"], without["parameters"]);
  EXPECT_EQ(with["tensors"].size(), without["tensors"].size());
  EXPECT_NE(RunLinnet({"inspect", packed_}).out.find("\nvocabulary  in the file"),
            std::string::npos);
}

TEST_F(StoredVocabularyTest, OnesThatDoNotFitAreRefusedAndNothingIsWritten) {
  const std::string out = scratch_ / "out.safetensors", bad = scratch_ / "bad.txt";
  WriteFile(bad, ReadFile(vocab_) + "300 ' again' 6\n");
  for (const std::string& file : {bad, plain_, scratch_ / "missing.txt"}) {
    const Outcome outcome = RunLinnet({"quantize", plain_, out, "--type", "nf4", "--vocab", file});
    EXPECT_EQ(outcome.exit_code, 1) << file;
    EXPECT_NE(outcome.err.find(file), std::string::npos) << outcome.err;
    EXPECT_FALSE(fs::exists(out));
  }
}

// ---- The built-in model ----

TEST(BuiltIn, WithoutOneEachCommandSaysSo) {
  if (Model::HasBuiltIn()) GTEST_SKIP() << "this build has one";
  for (const std::string command : {"chat", "generate", "bench"}) {
    const Outcome outcome = RunLinnet({command}, "text");
    EXPECT_EQ(outcome.exit_code, 2) << command;
    EXPECT_EQ(outcome.out, "");
    EXPECT_NE(outcome.err.find("models/linnet.safetensors"), std::string::npos) << outcome.err;
  }
  const Outcome outcome = RunLinnet({"perplexity", "README.md"});
  EXPECT_EQ(outcome.exit_code, 2);
  EXPECT_NE(outcome.err.find("models/linnet.safetensors"), std::string::npos) << outcome.err;
}

class BuiltInTest : public testing::Test {
 protected:
  void SetUp() override {
    if (!Model::HasBuiltIn()) GTEST_SKIP() << "no model is built in";
  }
};

TEST_F(BuiltInTest, ContinuesAPrompt) {
  const std::vector<std::string> words = {
      "generate", "--prompt", "Once upon a time there was a", "--max-tokens", "40", "--seed",
      "1",        "--json"};
  const Outcome outcome = RunLinnet(words);
  ASSERT_EQ(outcome.exit_code, 0) << outcome.err;
  const json result = json::parse(outcome.out);
  EXPECT_GE(result["tokens"], 20);
  EXPECT_EQ(
      RunLinnet({"generate", "--max-tokens", "40", "--seed", "1"}, "Once upon a time there was a")
          .out,
      result["text"].get<std::string>());
}

TEST_F(BuiltInTest, AStopThatIsNoCheckpointIsAStop) {
  const Outcome outcome = RunLinnet(
      {"generate", "--prompt", "Once", "--max-tokens", "3", "--stop", "xyzzy", "README.md"});
  EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
}

// The replies to the lines of a talk with the model that is built in.
std::vector<json> RepliesTo(const std::string& lines, int seed) {
  const Outcome outcome = RunLinnet({"chat", "--json", "--seed", std::to_string(seed)}, lines);
  EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
  std::istringstream out(outcome.out);
  std::vector<json> replies;
  for (std::string line; std::getline(out, line);) replies.push_back(json::parse(line));
  EXPECT_EQ(replies.size(), std::count(lines.begin(), lines.end(), '\n'));
  return replies;
}

size_t CountWords(const std::string& text) {
  std::istringstream words(text);
  return std::distance(std::istream_iterator<std::string>(words), {});
}

bool EndsASentence(const std::string& text) {
  return std::regex_search(text, std::regex("[.!?](\xe2\x80\x9d|\xe2\x80\x99|\"|')*$"));
}

TEST_F(BuiltInTest, ChatOpensWithWhatMayBeTyped) {
  const Outcome outcome = RunLinnet({"chat"}, "");
  EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
  EXPECT_EQ(std::count(outcome.err.begin(), outcome.err.end(), '\n'), 1) << outcome.err;
  EXPECT_LE(outcome.err.size(), 80u);
  for (const char* part : {"small storyteller", "Try: ", "/help"}) {
    EXPECT_NE(outcome.err.find(part), std::string::npos) << outcome.err;
  }
}

// Levels that add in another order draw other words, so it is the most of several talks that count.
// tools/judge-talks measures it on a hundred.
TEST_F(BuiltInTest, TellsAStoryAboutWhatItIsAskedForAndAnswers) {
  if (kSanitized) GTEST_SKIP() << "what is written shows nothing of memory, and takes minutes";
  constexpr int kTalks = 7, kMost = 5;
  int stories = 0, named = 0, answers = 0;
  for (int seed = 1; seed <= kTalks; ++seed) {
    const std::vector<json> replies =
        RepliesTo("Tell me a story about a linnet.\nGo on.\nWhat did the linnet do?\n", seed);
    ASSERT_EQ(replies.size(), 3u);
    const std::string story = replies[0]["text"], answer = replies[2]["text"];
    stories +=
        replies[0]["finish_reason"] == "stop" && CountWords(story) >= 60 && EndsASentence(story);
    named += story.find("linnet") != std::string::npos || story.find("Linnet") != std::string::npos;
    answers +=
        replies[2]["finish_reason"] == "stop" && CountWords(answer) >= 4 && EndsASentence(answer);
    EXPECT_EQ(story.find("User:"), std::string::npos) << story;
  }
  EXPECT_GE(stories, kMost);
  EXPECT_GE(named, kMost);
  EXPECT_GE(answers, kMost);
}

TEST_F(BuiltInTest, StopsByItselfWhateverItIsAsked) {
  for (const json& reply : RepliesTo("Who found the key?\nhello\nWhat is 2 + 2?\n", 1)) {
    EXPECT_EQ(reply["finish_reason"], "stop") << reply;
    EXPECT_GT(reply["text"].get<std::string>().size(), 2u);
    EXPECT_EQ(reply["text"].get<std::string>().find("User:"), std::string::npos) << reply;
  }
}

TEST_F(BuiltInTest, BenchRunsIt) {
  const Outcome outcome =
      RunLinnet({"bench", "--prompt", "64", "--decode", "8", "--batch", "2", "--json"});
  ASSERT_EQ(outcome.exit_code, 0) << outcome.err;
  EXPECT_GT(json::parse(outcome.out)["decode"]["tokens_per_s"], 0);
}

TEST_F(BuiltInTest, PerplexityTakesTheFirstFileForAModelByItsContentAlone) {
  const ScratchFolder scratch;
  const std::string text = scratch / "text.safetensors", other = scratch / "other.txt";
  WriteFile(text, "Once upon a time there was a linnet.\n");
  ASSERT_EQ(RunLinnet({"init", "--generation", "7", "--layers", "2", "--width", "64", "--vocab",
                       "256", "--random", scratch / "model.safetensors"})
                .exit_code,
            0);
  fs::rename(scratch / "model.safetensors", other);
  const auto bytes = [](const std::vector<std::string>& files) {
    std::vector<std::string> words = {"perplexity", "--json"};
    words.insert(words.end(), files.begin(), files.end());
    const Outcome outcome = RunLinnet(words);
    EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
    return json::parse(outcome.out);
  };
  const json one = bytes({text}), two = bytes({text, text}), bytewise = bytes({other, text});
  EXPECT_EQ(one["bytes"], 37);
  EXPECT_EQ(two["bytes"], 74);
  EXPECT_EQ(bytewise["tokens"], 37);
  EXPECT_LT(one["bits_per_byte"], 4);
  EXPECT_EQ(RunLinnet({"perplexity", other}).exit_code, 2);
}

TEST_F(BuiltInTest, PerplexityScoresAllOfAPipe) {
  const ScratchFolder scratch;
  const std::string text = scratch / "text.txt";
  std::string tale;
  for (int i = 0; i < 300; ++i) tale += "Once upon a time there was a linnet.\n";
  WriteFile(text, tale);
  const Outcome outcome =
      RunProgram("/bin/bash",
                 {"-c", "\"$0\" perplexity <(cat \"$1\") <(echo so) --json", LINNET_PROGRAM, text});
  ASSERT_EQ(outcome.exit_code, 0) << outcome.err;
  EXPECT_EQ(json::parse(outcome.out)["bytes"], tale.size() + 3);
}

// The words of a command line that names it, each of which must work.
TEST_F(BuiltInTest, HasANameWhereverAModelIsNamed) {
  const ScratchFolder scratch;
  const std::string out = scratch / "out.safetensors", text = scratch / "text.txt";
  WriteFile(text, "Once upon a time there was a linnet.\n");
  const auto expect = [](const Words& words, const std::string& input = "") {
    const Outcome outcome = RunLinnet(words, input);
    EXPECT_EQ(outcome.exit_code, 0) << testing::PrintToString(words) << outcome.err;
    return outcome.out;
  };
  for (const Words& words :
       {Words{"inspect", "builtin"},
        {"logits", "builtin", "--tokens", "1,2", "--out", out},
        {"grad", "builtin", "--tokens", "1,2", "--out", scratch / "grad.safetensors"},
        {"quantize", "builtin", scratch / "int8.safetensors", "--type", "int8", "--report", text},
        {"convert", "builtin", scratch / "f32.safetensors"},
        {"bench", "builtin", "--prompt", "8", "--decode", "2", "--batch", "2"},
        {"generate", "--max-tokens", "2", "--prompt", "a", "--save-state", scratch / "a.state"},
        {"state", "export", scratch / "a.state", "--layout", "web-rwkv", "--model", "builtin",
         scratch / "web"},
        {"state", "import", scratch / "web", "--layout", "web-rwkv", "--model", "builtin",
         scratch / "b.state"}}) {
    expect(words);
  }
  EXPECT_EQ(expect({"generate", "builtin", "--seed", "1", "--max-tokens", "20"}, "Once"),
            expect({"generate", "--seed", "1", "--max-tokens", "20"}, "Once"));
  EXPECT_EQ(expect({"chat", "builtin", "--seed", "1", "--max-tokens", "5"}, "Who?\n"),
            expect({"chat", "--seed", "1", "--max-tokens", "5"}, "Who?\n"));
  EXPECT_EQ(expect({"perplexity", "builtin", text, "--json"}),
            expect({"perplexity", text, "--json"}));
  EXPECT_EQ(RunLinnet({"perplexity", "builtin"}).exit_code, 2);
  EXPECT_EQ(expect({"tokenize", "--vocab", "builtin"}, "a linnet"),
            expect({"tokenize", "--model", "builtin"}, "a linnet"));
}

TEST_F(BuiltInTest, AFileOfItsNameIsNamedByItsPath) {
  const ScratchFolder scratch;
  const auto in_folder = [&](const std::string& line) {
    const Outcome outcome = RunProgram("/bin/sh", {"-c", "cd \"$1\" && \"$0\" " + line,
                                                   fs::absolute(LINNET_PROGRAM), scratch / "."});
    EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
    return outcome.out;
  };
  in_folder("init --generation 7 --layers 1 --width 64 --vocab 256 builtin.safetensors");
  fs::rename(scratch / "builtin.safetensors", scratch / "builtin");
  EXPECT_EQ(json::parse(in_folder("inspect ./builtin --json"))["vocab"], 256);
  EXPECT_NE(json::parse(in_folder("inspect builtin --json"))["vocab"], 256);
  // What is written under that name is read from there, too.
  const Outcome report =
      RunProgram("/bin/sh", {"-c",
                             "cd \"$1\" && echo linnet > t && mv builtin in && \"$0\" quantize in "
                             "builtin --type int8 --report t --json",
                             fs::absolute(LINNET_PROGRAM), scratch / "."});
  ASSERT_EQ(report.exit_code, 0) << report.err;
  EXPECT_EQ(json::parse(report.out)["report"]["tokens"], 7);
}

// Without a vocabulary file anywhere, from a text to a talk.
TEST_F(BuiltInTest, IsTrainedFurtherAndTalkedTo) {
  const ScratchFolder scratch;
  const std::string text = scratch / "talk.jsonl", data = scratch / "talk", run = scratch / "run",
                    same = scratch / "same";
  std::string lines;
  for (int i = 0; i < 40; ++i) {
    lines += "{\"prompt\": \"Who sings?\", \"response\": \"The linnet sings.\"}\n";
  }
  WriteFile(text, lines);
  const auto expect = [](const Words& words, const std::string& input = "") {
    const Outcome outcome = RunLinnet(words, input);
    EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
    return outcome.out;
  };
  expect({"data", "build", text, "--model", "builtin", "--out", data});
  expect({"data", "build", text, "--vocab", "builtin", "--out", same});
  EXPECT_TRUE(ReadFile(data + ".bin") == ReadFile(same + ".bin"));
  expect({"data", "check", data, "--vocab", "builtin"});
  expect({"train", "--base", "builtin", "--data", data, "--out", run, "--ctx", "16", "--batch", "1",
          "--steps", "1"});
  expect({"train", "--out", run, "--resume", "--steps", "2"});
  const std::string reply =
      expect({"chat", run, "--max-tokens", "8", "--seed", "1"}, "Who sings?\n");
  EXPECT_NE(reply.find_first_not_of(" \n"), std::string::npos);
  EXPECT_EQ(expect({"tokenize", "--vocab", run}, "a linnet"),
            expect({"tokenize", "--vocab", "builtin"}, "a linnet"));
}

// ---- The one in the repository ----

TEST_F(BuiltInTest, TheShippedFileIsSmall) {
  const char* kFile = "models/linnet.safetensors";
  if (!fs::exists(kFile)) GTEST_SKIP() << kFile << " is absent";
  EXPECT_LE(fs::file_size(kFile), 8'000'000u);
}

// The row of models/README.md that begins with the file's name has its bits per byte on Alice.
TEST_F(BuiltInTest, TheShippedFilePredictsAliceAsModelsReadmeSays) {
  if (kSanitized)
    GTEST_SKIP() << "a figure shows nothing of memory, and takes a sanitizer a minute";
  if (!fs::exists("models/linnet.safetensors") || !fs::exists(kAlice)) {
    GTEST_SKIP() << "the model or ../shared/data is absent";
  }
  const std::string readme = ReadFile("models/README.md");
  std::smatch row;
  ASSERT_TRUE(std::regex_search(readme, row,
                                std::regex(R"(\n\| `linnet\.safetensors`[^|]*\| *\**([0-9.]+))")))
      << "models/README.md has no row that begins | `linnet.safetensors` … | BITS";
  const Outcome outcome = RunLinnet({"perplexity", "models/linnet.safetensors", kAlice, "--json"});
  ASSERT_EQ(outcome.exit_code, 0) << outcome.err;
  const double bits = json::parse(outcome.out)["bits_per_byte"];
  // The row is rounded to its last digit.
  EXPECT_LE(bits, std::stod(row[1].str()) + 0.005);
  EXPECT_LE(bits, 1.65);
}

// What `make chat` builds in a fresh clone.
TEST_F(BuiltInTest, TalksInTheProgramOfTheFirstTalk) {
  const std::vector<std::string> talk = {"chat", "--seed", "3"};
  const Outcome outcome = RunProgram(LINNET_CHAT_PROGRAM, talk, "Tell me a story.\n");
  EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
  EXPECT_FALSE(outcome.out.empty());
  EXPECT_EQ(outcome.out, RunLinnet(talk, "Tell me a story.\n").out);
}

}  // namespace
}  // namespace linnet
