// linnet eval as users run it: the same numbers however it is run, outputs, errors.
#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <sstream>
#include <string>

#include "models/test_models.h"
#include "program.h"

namespace linnet {
namespace {

using nlohmann::json;

class EvalCommandTest : public ::testing::Test {
 protected:
  void SetUp() override {
    std::string rows, texts = "[";
    for (int i = 0; i < 12; ++i) {
      const std::string who = i % 2 == 0 ? "fox" : "owl";
      rows += json{{"premise", "The " + who + " was late."},
                   {"choice1", "It ran."},
                   {"choice2", "It slept."},
                   {"question", i % 3 == 0 ? "cause" : "effect"},
                   {"label", i % 2}}
                  .dump() +
              "\n";
      texts +=
          (i > 0 ? ", \"" : "\"") + who + std::string(static_cast<size_t>(200 * i), 'a') + "\"";
    }
    WriteFile(scratch_ / "copa.val.jsonl", rows);
    WriteFile(scratch_ / "texts.json", texts + "]");
    data_ = std::filesystem::path(scratch_ / "x").parent_path().string();
    // Not in the home of who runs the tests.
    setenv("XDG_CACHE_HOME", (scratch_ / "cache").c_str(), 1);
  }
  void TearDown() override { unsetenv("XDG_CACHE_HOME"); }

  static json Run(const Words& words) {
    const Outcome outcome = RunLinnet(Words{"eval"} + words);
    EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
    return json::parse(outcome.out, nullptr, false);
  }
  static void ExpectError(const Words& words, int code, const std::string& part) {
    const Outcome outcome = RunLinnet(Words{"eval"} + words);
    EXPECT_EQ(outcome.exit_code, code) << outcome.err;
    EXPECT_NE(outcome.err.find(part), std::string::npos) << outcome.err;
    EXPECT_EQ(outcome.out, "");
  }

  ScratchFolder scratch_;
  std::string data_, model_ = test::ByteModel("v7").string();
};

TEST_F(EvalCommandTest, HasTheSameNumbersHoweverItIsRun) {
  const Words words = {model_, "--tasks", "copa,copa_v03", "--data", data_, "--json"};
  const json alone = Run(words + Words{"--threads", "1"});
  EXPECT_TRUE(alone["results"]["copa"]["acc,none"].is_number());
  EXPECT_TRUE(alone["results"]["copa"]["acc_stderr,none"].is_number());
  EXPECT_EQ(alone["n-samples"]["copa"]["effective"], 12);
  EXPECT_EQ(alone["config"]["pad"], json({10}));
  EXPECT_EQ(Run(words + Words{"--threads", "2", "--pass-rows", "5"}), alone);
  EXPECT_EQ(Run(words + Words{"--no-journal"}), alone);
  const std::string journal = scratch_ / "journal.jsonl";
  EXPECT_EQ(Run(words + Words{"--journal", journal}), alone);
  EXPECT_EQ(Run(words + Words{"--journal", journal}), alone);  // from the journal
  // By itself nothing is left behind.
  for (const auto& entry : std::filesystem::recursive_directory_iterator(scratch_ / "cache")) {
    EXPECT_NE(entry.path().extension(), ".jsonl") << entry.path();
  }
  EXPECT_EQ(Run(words + Words{"--limit", "4"})["n-samples"]["copa"]["effective"], 4);
  EXPECT_EQ(Run(words + Words{"--pad", ""})["config"]["pad"], json::array());
}

TEST_F(EvalCommandTest, HasTheSameNumbersOnAnyNumberOfProcesses) {
  constexpr const char* kMpirun = "/usr/bin/mpirun";
  if (!std::filesystem::exists(kMpirun)) GTEST_SKIP() << kMpirun << " is not there";
  const Words words = {"eval", model_,   "--tasks",   "copa", "--data",
                       data_,  "--json", "--threads", "1"};
  const Outcome alone = RunLinnet(words);
  for (const char* processes : {"2", "3"}) {
    const Outcome outcome =
        RunProgram(kMpirun, Words{"--allow-run-as-root", "--oversubscribe", "-x",
                                  "ASAN_OPTIONS=detect_leaks=0", "-n", processes, LINNET_PROGRAM} +
                                words);
    if (outcome.err.find("without MPI") != std::string::npos) GTEST_SKIP() << "built without MPI";
    ASSERT_EQ(outcome.exit_code, 0) << outcome.err;
    EXPECT_EQ(outcome.out, alone.out);
  }
}

TEST_F(EvalCommandTest, ShowsSeveralModelsAndWritesPagesAndSamples) {
  const std::string page = scratch_ / "page.html", samples = scratch_ / "samples.jsonl";
  const std::string other = test::ByteModel("v6").string();
  const Outcome outcome = RunLinnet({"eval", model_, other, "--tasks", "copa", "--data", data_,
                                     "--html", page, "--log-samples", samples});
  ASSERT_EQ(outcome.exit_code, 0) << outcome.err;
  EXPECT_NE(outcome.out.find("copa  acc"), std::string::npos) << outcome.out;
  EXPECT_NE(outcome.out.find(std::filesystem::path(other).stem().string()), std::string::npos)
      << outcome.out;
  EXPECT_NE(outcome.out.find("token 10 before every context"), std::string::npos) << outcome.out;
  EXPECT_NE(outcome.err.find(" tokens/s\n"), std::string::npos) << outcome.err;
  const std::string html = ReadFile(page);
  EXPECT_NE(html.find("<title>Linnet: evaluation</title>"), std::string::npos);
  EXPECT_EQ(html.find("@DATA@"), std::string::npos);
  std::istringstream lines(ReadFile(samples));
  size_t count = 0;
  for (std::string line; std::getline(lines, line); ++count) {
    EXPECT_EQ(json::parse(line)["arguments"].size(), 2u);
  }
  EXPECT_EQ(count, 24u);
  // Of several models, an object by their names.
  EXPECT_EQ(Run({model_, other, "--tasks", "copa", "--data", data_, "--json"}).size(), 2u);
  // A file of another kind is not replaced.
  ExpectError({model_, "--tasks", "copa", "--data", data_, "--html", samples}, 1, "--overwrite");
}

TEST_F(EvalCommandTest, CompressesTexts) {
  const json one = Run({model_, "--tasks", "uncheatable", scratch_ / "texts.json", "--json"});
  const json& file = one["files"]["texts.json"];
  EXPECT_NEAR(file["bits_per_byte"].get<double>(), file["compression_rate"].get<double>() * 0.08,
              1e-12);
  EXPECT_EQ(file["documents"], 12);
  EXPECT_EQ(one["mean"]["bits_per_byte"], file["bits_per_byte"]);
  WriteFile(scratch_ / "other.json", "[\"aaa bbb\"]");
  const json two = Run({model_, "--tasks", "uncheatable", scratch_ / "texts.json",
                        scratch_ / "other.json", "--json"});
  const double mean = (two["files"]["texts.json"]["compression_rate"].get<double>() +
                       two["files"]["other.json"]["compression_rate"].get<double>()) /
                      2;
  EXPECT_NEAR(two["mean"]["compression_rate"].get<double>(), mean, 1e-9);
  // What was read is that of all files: of 3 and of 7 bytes, all but the last.
  WriteFile(scratch_ / "first.json", "[\"fox\"]");
  const Outcome outcome = RunLinnet({"eval", model_, "--tasks", "uncheatable", "--no-journal",
                                     scratch_ / "first.json", scratch_ / "other.json"});
  EXPECT_NE(outcome.err.find(": 8 tokens in "), std::string::npos) << outcome.err;
}

TEST_F(EvalCommandTest, DrawsTheLossByPositionAndComparesModels) {
  WriteFile(scratch_ / "text.txt", "The fox said that the owl would come, and it did.");
  const std::string page = scratch_ / "curve.html";
  const Outcome outcome = RunLinnet({"perplexity", model_, scratch_ / "text.txt", "--curve", page,
                                     "--kl", test::ByteModel("v6").string(), "--json"});
  ASSERT_EQ(outcome.exit_code, 0) << outcome.err;
  const json out = json::parse(outcome.out);
  double nats = 0;
  size_t tokens = 0;
  for (const json& point : out["curve"][0]["points"]) {
    nats += point["nats"].get<double>() * point["tokens"].get<double>();
    tokens += point["tokens"].get<size_t>();
  }
  EXPECT_EQ(tokens, out["tokens"].get<size_t>());
  EXPECT_NEAR(nats / static_cast<double>(tokens), out["nats_per_token"].get<double>(), 1e-9);
  EXPECT_GT(out["kl_mean"].get<double>(), 0);
  EXPECT_GE(out["kl_max"].get<double>(), out["kl_mean"].get<double>());
  EXPECT_NE(ReadFile(page).find("<title>Linnet: loss by position</title>"), std::string::npos);
  // A model does not diverge from itself.
  const json same = json::parse(
      RunLinnet({"perplexity", model_, scratch_ / "text.txt", "--kl", model_, "--json"}).out);
  EXPECT_EQ(same["kl_mean"], 0.0);
  EXPECT_EQ(same["top1"], 1.0);
  EXPECT_EQ(RunLinnet({"perplexity", model_, scratch_ / "text.txt", "--kl", model_, "--chunk", "5"})
                .exit_code,
            2);
}

TEST_F(EvalCommandTest, AsksInThreeOrders) {
  std::string rows;
  for (int i = 0; i < 5; ++i)
    rows +=
        json{{"text", "The fox ran."}, {"question", "Who?"}, {"answer", "a" + std::to_string(i)}}
            .dump() +
        "\n";
  WriteFile(scratch_ / "questions.jsonl", rows);
  const json out = Run({model_, "--order", scratch_ / "questions.jsonl", "--json"});
  EXPECT_EQ(out["questions"], 5);
  EXPECT_NEAR(
      out["before"]["gain"]["acc"]["mean"].get<double>(),
      out["before"]["acc"]["mean"].get<double>() - out["after"]["acc"]["mean"].get<double>(),
      1e-12);
  EXPECT_TRUE(out["both"]["nats_per_token"]["stderr"].is_number());
}

TEST_F(EvalCommandTest, SaysWhatIsWrong) {
  ExpectError({model_}, 2, "--tasks");
  ExpectError({model_, "--tasks", "nothing"}, 1, "no task 'nothing'");
  ExpectError({model_, "--tasks", "piqa", "--data", data_}, 1, "piqa.valid.jsonl");
  ExpectError({model_, "--tasks", "uncheatable"}, 2, "FILE");
  for (const Words& kind : {Words{"--order"}, {"--retrieval"}, {"--tasks", "uncheatable"}}) {
    ExpectError(Words{model_} + kind + Words{data_, "--limit", "0.5"}, 2, "--limit");
  }
  ExpectError({model_, "--tasks", "copa", "--data", data_, "--limit", "-1"}, 2, "--limit");
  ExpectError({model_, "--tasks", "uncheatable", scratch_ / "copa.val.jsonl"}, 1,
              "expected a list of texts");
  ExpectError({model_, scratch_ / "texts.json", "--tasks", "copa", "--data", data_}, 1,
              "texts.json: is not a model");
  WriteFile(scratch_ / "mine.yaml", "task: mine\ndoc_to_text: !function utils.f\n");
  ExpectError({model_, "--tasks", scratch_ / "mine.yaml", "--data", data_}, 1,
              "mine.yaml: task mine: doc_to_text is the Python function");
  EXPECT_NE(RunLinnet({"eval", "--list"}).out.find("rwkv_english\n"), std::string::npos);
}

}  // namespace
}  // namespace linnet
