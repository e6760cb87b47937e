// linnet generate, as users run it.
#include <gtest/gtest.h>

#include <algorithm>
#include <csignal>
#include <filesystem>
#include <functional>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "models/goldens.h"
#include "models/test_models.h"
#include "program.h"

namespace linnet {
namespace {

using nlohmann::json;
using Arguments = std::vector<std::string>;

const std::string kPrompt = "\"in the morning, she said. The ";

std::string ModelPath(const std::string& version) { return test::LetterModel(version); }

const Arguments kGreedy = {"--temperature",       "0", "--presence-penalty", "0",
                           "--frequency-penalty", "0"};

Outcome Generate(const std::string& model, const Arguments& more, std::string_view input = {}) {
  Arguments all = {"generate", ModelPath(model)};
  all.insert(all.end(), more.begin(), more.end());
  return RunLinnet(all, input);
}

Arguments operator+(Arguments a, const Arguments& b) {
  a.insert(a.end(), b.begin(), b.end());
  return a;
}

// What the greedy model writes after the prompt.
std::string GreedyText() {
  return Generate("v5.2", kGreedy + Arguments{"--prompt", kPrompt, "--max-tokens", "20"}).out;
}

// A part of that text across several tokens, and what stands before it.
std::string Stop(const std::string& text) { return text.substr(7, 4); }
std::string Before(const std::string& text) { return text.substr(0, text.find(Stop(text))); }

TEST(GenerateTest, GreedyTextIsTheReferences) {
  if (goldens::Missing()) GTEST_SKIP() << "../shared/data is absent";
  for (const std::string name : {"v4", "v5.0", "v5.2", "v6", "v7"}) {
    const TensorFile golden =
        TensorFile::Open("../shared/data/models/tiny-" + name + ".golden.safetensors");
    std::string expected;
    for (const int32_t id : goldens::Ids(golden, "greedy")) expected += static_cast<char>(id);
    const Outcome outcome =
        RunLinnet(Arguments{"generate", "../shared/data/models/tiny-" + name + ".pth", "--prompt",
                            kPrompt, "--max-tokens", "96", "--ignore-stop"} +
                  kGreedy);
    EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
    EXPECT_EQ(outcome.out, expected) << name;
  }
}

TEST(GenerateTest, ThePromptComesFromAFlagAFileOrStdin) {
  const ScratchFolder scratch;
  const std::string file = scratch / "prompt.txt";
  WriteFile(file, kPrompt);
  const Arguments settings = kGreedy + Arguments{"--max-tokens", "20"};
  const std::string text = Generate("v5.2", settings + Arguments{"--prompt", kPrompt}).out;
  EXPECT_EQ(text.size(), 20u);
  EXPECT_EQ(Generate("v5.2", settings + Arguments{"--prompt-file", file}).out, text);
  EXPECT_EQ(Generate("v5.2", settings, kPrompt).out, text);
  EXPECT_NE(Generate("v5.2", settings + Arguments{"--prompt", ""}, kPrompt).out, text);
}

TEST(GenerateTest, SameSeedSameTextOnAnyNumberOfThreads) {
  const auto text = [](const char* seed, const char* threads) {
    return Generate("v5.2", {"--prompt", kPrompt, "--seed", seed, "--threads", threads}).out;
  };
  const std::string first = text("1", "1");
  EXPECT_EQ(text("1", "2"), first);
  EXPECT_EQ(text("1", "1"), first);
  EXPECT_NE(text("2", "1"), first);
}

TEST(GenerateTest, JsonSaysWhatWasDone) {
  const std::string text = GreedyText();
  const Arguments settings = kGreedy + Arguments{"--prompt", kPrompt, "--json"};
  const Outcome outcome = Generate("v5.2", settings + Arguments{"--max-tokens", "9"});
  const json result = json::parse(outcome.out);
  EXPECT_EQ(result.size(), 8u);
  EXPECT_EQ(result.at("text"), text.substr(0, 9));
  EXPECT_EQ(result.at("tokens"), 9);
  EXPECT_EQ(result.at("prompt_tokens"), kPrompt.size());
  EXPECT_EQ(result.at("finish_reason"), "length");
  EXPECT_GT(result.at("prompt_s"), 0);
  EXPECT_GT(result.at("decode_s"), 0);
  EXPECT_DOUBLE_EQ(result.at("tokens_per_s").get<double>() * result.at("decode_s").get<double>(),
                   9);
  const Outcome stopped = Generate("v5.2", settings + Arguments{"--stop", Stop(text)});
  EXPECT_EQ(json::parse(stopped.out).at("finish_reason"), "stop");
  EXPECT_EQ(json::parse(stopped.out).at("text"), Before(text));
}

TEST(GenerateTest, StopStringsEndTheTextUnlessIgnored) {
  const Arguments settings = kGreedy + Arguments{"--prompt", kPrompt, "--max-tokens", "20"};
  const std::string text = GreedyText();
  const Arguments stops = {"--stop", "NEVER", "THE", "--stop", Stop(text)};
  EXPECT_EQ(Generate("v5.2", settings + stops).out, Before(text));
  EXPECT_EQ(Generate("v5.2", settings + stops + Arguments{"--ignore-stop"}).out, text);
  // The model may stand behind the strings.
  const Arguments behind =
      Arguments{"generate"} + settings + Arguments{"--stop", Stop(text), ModelPath("v5.2")};
  EXPECT_EQ(RunLinnet(behind).out, Before(text));
  // Token 0 ends a text, too.
  const Outcome zero =
      Generate("v6", kGreedy + Arguments{"--prompt", kPrompt, "--logit-bias", "0:1000", "--json"});
  EXPECT_EQ(json::parse(zero.out).at("text"), "");
  EXPECT_EQ(json::parse(zero.out).at("finish_reason"), "stop");
}

TEST(GenerateTest, ASavedStateContinuesAsOneRunWould) {
  const ScratchFolder scratch;
  for (const std::string name : {"v4", "v5.2", "v7"}) {
    const std::string file = scratch / "state.safetensors";
    const auto run = [&](const Arguments& more) { return Generate(name, kGreedy + more).out; };
    const std::string whole = run({"--prompt", kPrompt, "--max-tokens", "90"});
    const std::string head = run({"--prompt", kPrompt, "--max-tokens", "31", "--save-state", file});
    const std::string tail = run({"--state", file, "--prompt", "", "--max-tokens", "59"});
    EXPECT_EQ(head + tail, whole) << name;
    // And with more text between.
    EXPECT_EQ(run({"--state", file, "--prompt", "Then", "--max-tokens", "30"}),
              run({"--prompt", kPrompt + head + "Then", "--max-tokens", "30"}))
        << name;
  }
}

TEST(GenerateTest, ASampledTextGoesOnFromAStateAsFromItsPrompt) {
  const ScratchFolder scratch;
  const std::string file = scratch / "state.safetensors";
  EXPECT_EQ(Generate("v5.2", {"--prompt", kPrompt, "--max-tokens", "0", "--save-state", file}).out,
            "");
  EXPECT_EQ(Generate("v5.2", {"--state", file, "--prompt", "", "--seed", "3"}).out,
            Generate("v5.2", {"--prompt", kPrompt, "--seed", "3"}).out);
}

TEST(GenerateTest, TheSavedStateStandsRightBehindTheText) {
  const ScratchFolder scratch;
  const std::string stopped = scratch / "stopped", whole = scratch / "whole", text = GreedyText();
  Generate("v5.2",
           kGreedy + Arguments{"--prompt", kPrompt, "--stop", Stop(text), "--save-state", stopped});
  Generate("v5.2", kGreedy + Arguments{"--prompt", kPrompt + Before(text), "--max-tokens", "0",
                                       "--save-state", whole});
  EXPECT_FALSE(ReadFile(whole).empty());
  EXPECT_EQ(ReadFile(stopped), ReadFile(whole));
}

TEST(GenerateTest, AStateOfAnotherModelIsRefused) {
  const ScratchFolder scratch;
  const std::string file = scratch / "state.safetensors";
  EXPECT_EQ(RunLinnet({"generate", "--prompt", "a", "--save-state", "a.pth"}).exit_code, 2);
  Generate("v5.2", {"--prompt", "a", "--max-tokens", "0", "--save-state", file});
  for (const char* other : {"v4", "v7"}) {
    const Outcome outcome = Generate(other, {"--prompt", "a", "--state", file});
    EXPECT_EQ(outcome.exit_code, 1);
    EXPECT_EQ(outcome.out, "");
    EXPECT_NE(outcome.err.find(file), std::string::npos) << outcome.err;
    EXPECT_EQ(std::count(outcome.err.begin(), outcome.err.end(), '\n'), 1) << outcome.err;
  }
}

TEST(GenerateTest, WrongUsageExitsTwo) {
  const std::vector<Arguments> wrong = {
      {"--temperature", "-1"}, {"--temperature", "hot"}, {"--top-p", "2"},
      {"--top-k", "1.5"},      {"--mirostat", "3"},      {"--penalty", "none"},
      {"--order", "random"},   {"--logit-bias", "5"},    {"--logit-bias", "-5:1"},
      {"--seed", "-1"},        {"--max-tokens", "-1"},   {"--quant", "int3"},
      {"--prompt-file", "x"},
  };
  for (const Arguments& arguments : wrong) {
    const Outcome outcome = Generate("v5.2", arguments + Arguments{"--prompt", "a"});
    EXPECT_EQ(outcome.exit_code, 2) << testing::PrintToString(arguments);
    EXPECT_EQ(outcome.out, "") << testing::PrintToString(arguments);
  }
}

TEST(GenerateTest, BadInputExitsOneWithOneLine) {
  const std::vector<Arguments> bad = {
      {"generate", "/no/such/model.pth", "--prompt", "a"},
      {"generate", ModelPath("v5.2"), "--prompt-file", "/no/such/model.pth"},
      {"generate", ModelPath("v5.2"), "--prompt", "a", "--state", "/no/such/model.pth"},
      {"generate", ModelPath("v5.2"), "--prompt", "a", "--max-tokens", "1", "--save-state",
       "/no/such/model.pth"},
      {"generate", ModelPath("v5.2"), "--prompt", "a", "--vocab", "/no/such/model.pth"},
  };
  for (const Arguments& arguments : bad) {
    const Outcome outcome = RunLinnet(arguments);
    EXPECT_EQ(outcome.exit_code, 1) << testing::PrintToString(arguments);
    EXPECT_NE(outcome.err.find("/no/such/model.pth"), std::string::npos) << outcome.err;
    EXPECT_EQ(std::count(outcome.err.begin(), outcome.err.end(), '\n'), 1) << outcome.err;
  }
  EXPECT_EQ(Generate("v5.2", {"--prompt", "a", "--logit-bias", "256:1"}).exit_code, 1);
}

TEST(GenerateTest, WhatIsNoStateIsSaidToBeWhatItIs) {
  const ScratchFolder scratch;
  const std::string text = scratch / "a.md";
  WriteFile(text, "# A text\n");
  for (const auto& [file, said] :
       {std::pair{text, text + ": a plain text, expected a saved or tuned state"},
        std::pair{ModelPath("v5.2"), ModelPath("v5.2") + ": is a model, expected a saved state"}}) {
    const Outcome outcome = Generate("v5.2", {"--prompt", "a", "--state", file});
    EXPECT_EQ(outcome.exit_code, 1);
    EXPECT_NE(outcome.err.find(said), std::string::npos) << outcome.err;
    const Outcome talk = RunLinnet({"chat", ModelPath("v5.2")}, "/load " + file + "\n");
    EXPECT_NE(talk.err.find(said), std::string::npos) << talk.err;
  }
}

// Not after the text is written.
TEST(GenerateTest, AStateThatCannotBeSavedIsSaidFirst) {
  const Outcome outcome =
      Generate("v5.2", {"--prompt", "a", "--max-tokens", "3", "--save-state", "/nonexistent/x"});
  EXPECT_EQ(outcome.exit_code, 1);
  EXPECT_EQ(outcome.out, "");
  EXPECT_NE(outcome.err.find("/nonexistent/x"), std::string::npos) << outcome.err;
}

TEST(GenerateTest, LogitsNameTheFileAndWhatIsWrong) {
  const ScratchFolder scratch;
  const std::string model = ModelPath("v5.2"), out = scratch / "l.safetensors";
  const auto logits = [&](const Arguments& more) {
    return RunLinnet(Arguments{"logits", model, "--out", out} + more);
  };
  const Outcome outside = logits({"--tokens", "1,999999"});
  EXPECT_EQ(outside.exit_code, 1);
  EXPECT_NE(outside.err.find("id 999999 is outside the vocabulary of " + model), std::string::npos)
      << outside.err;
  for (const char* ids : {"1,,3", "1,", ",1"}) {
    const Outcome gap = logits({"--tokens", ids});
    EXPECT_EQ(gap.exit_code, 1) << ids;
    EXPECT_NE(gap.err.find("--tokens: "), std::string::npos) << gap.err;
  }
  EXPECT_EQ(logits({"--tokens", "1", "--fast", "--exact"}).exit_code, 2);
  EXPECT_FALSE(std::filesystem::exists(out));
  EXPECT_EQ(logits({"--tokens", "1, 2 3", "--fast"}).exit_code, 0);
  const std::string other = scratch / "other.safetensors";
  ASSERT_EQ(RunLinnet({"init", "--generation", "4", "--layers", "1", "--width", "64", "--vocab",
                       "320", other})
                .exit_code,
            0);
  const Outcome unknown = RunLinnet({"generate", other, "--prompt", "a"});
  EXPECT_EQ(unknown.exit_code, 1);
  EXPECT_NE(unknown.err.find(other + ": no tokenizer is known"), std::string::npos) << unknown.err;
}

TEST(GenerateTest, BytesThatAreNotUtf8BecomeReplacementCharacters) {
  const Outcome outcome =
      Generate("v5.2", {"--prompt", "a", "--max-tokens", "3", "--logit-bias", "255:1000"});
  EXPECT_EQ(outcome.out, "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd");
}

TEST(GenerateTest, CtrlCEndsItWith130AndKeepsWhatWasWritten) {
  const ScratchFolder scratch;
  const std::string file = scratch / "state.safetensors", whole = scratch / "whole";
  const Arguments endless = {"generate",  ModelPath("v5.2"), "--prompt",
                             kPrompt,     "--ignore-stop",   "--max-tokens",
                             "100000000", "--save-state",    file};
  const auto writes = [](const std::string& out) { return !out.empty(); };
  const Outcome text = SignalLinnet(endless + kGreedy, writes, SIGINT);
  EXPECT_EQ(text.exit_code, 130);
  EXPECT_NE(text.out, "");
  EXPECT_TRUE(std::filesystem::exists(file));
  // With --json nothing shows that it writes: it is interrupted later and later, until it did.
  Outcome outcome{};
  const auto wrote = [&] {
    return !outcome.out.empty() && json::parse(outcome.out).at("tokens") > 0;
  };
  for (size_t most = 16; most < (size_t{1} << 19) && !wrote(); most *= 2) {
    size_t asked = 0;
    const auto due = [&](const std::string&) { return ++asked > most; };
    outcome = SignalLinnet(endless + kGreedy + Arguments{"--json"}, due, SIGINT);
  }
  EXPECT_EQ(outcome.exit_code, 130);
  const json result = json::parse(outcome.out);
  EXPECT_EQ(result.at("finish_reason"), "interrupted");
  EXPECT_GT(result.at("tokens"), 0);
  // The state stands right behind the text.
  Generate("v5.2", kGreedy + Arguments{"--prompt", kPrompt + result.at("text").get<std::string>(),
                                       "--max-tokens", "0", "--save-state", whole});
  EXPECT_TRUE(ReadFile(file) == ReadFile(whole));
}

TEST(GenerateTest, AByteOrderMarkIsNotPartOfAPrompt) {
  const ScratchFolder scratch;
  const std::string file = scratch / "prompt.txt";
  WriteFile(file, "\xEF\xBB\xBF" + kPrompt);
  const Arguments settings = kGreedy + Arguments{"--max-tokens", "20"};
  const std::string text = Generate("v5.2", settings + Arguments{"--prompt", kPrompt}).out;
  EXPECT_EQ(Generate("v5.2", settings + Arguments{"--prompt-file", file}).out, text);
  EXPECT_EQ(Generate("v5.2", settings + Arguments{"--prompt-file", "-"}, kPrompt).out, text);
}

}  // namespace
}  // namespace linnet
