// linnet train as users run it: its files, its stops, and going on after a power cut.
#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "base/sanitized.h"
#include "training.h"

namespace linnet {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

TEST_F(TrainCommandTest, LearnsAndLeavesAModelThatRuns) {
  const std::string run = scratch_ / "run";
  const Outcome trained = RunLinnet(
      NewRun(run, "60") + Words{"--valid", scratch_ / "story.txt", "--every", "20", "--json"});
  ASSERT_EQ(trained.exit_code, 0) << trained.err;
  for (const char* said : {"model: RWKV-7", "memory:", "tokens in all", "time: about"}) {
    EXPECT_NE(trained.err.find(said), std::string::npos) << said << " in\n" << trained.err;
  }
  const auto metrics = Metrics(run);
  ASSERT_EQ(metrics.size(), 60u);
  EXPECT_LT(metrics.back()["loss"].get<double>(), 0.6 * metrics.front()["loss"].get<double>());
  const std::string model = run + "/model.pth";
  const Outcome scored =
      RunLinnet({"perplexity", model, scratch_ / "story.txt", "--vocab", vocab_, "--json"});
  ASSERT_EQ(scored.exit_code, 0) << scored.err;
  EXPECT_EQ(json::parse(scored.out)["bits_per_byte"], metrics.back()["valid_bits_per_byte"]);
  EXPECT_TRUE(fs::exists(run + "/best.safetensors"));
  EXPECT_EQ(RunLinnet(NewRun(run, "60")).exit_code, 1) << "a run was overwritten";
}

// What a run leaves needs no --vocab: its models and checkpoints hold the vocabulary, but for .pth,
// which has no place for one.
TEST_F(TrainCommandTest, ModelsHoldTheVocabularyOfTheirRun) {
  const std::string run = scratch_ / "run", tuned = scratch_ / "tuned",
                    packed = scratch_ / "packed.safetensors";
  const Words valid = {"--valid", scratch_ / "story.txt"};
  const auto expect_known = [&](const std::string& model) {
    Expect({"generate", model, "--prompt", "The fox", "--max-tokens", "3"});
  };
  const Outcome trained = RunLinnet(NewRun(run, "2") + valid);
  ASSERT_EQ(trained.exit_code, 0) << trained.err;
  EXPECT_NE(trained.err.find("the result is " + run + "/model.safetensors"), std::string::npos)
      << trained.err;
  for (const char* file : {"/best.safetensors", "/init.safetensors", "/model.safetensors",
                           "/checkpoint-00000002.safetensors", "", "/"}) {
    expect_known(run + file);
  }
  // Its size tells nothing.
  const Outcome unknown = RunLinnet({"generate", run + "/model.pth", "--prompt", "The"});
  EXPECT_NE(unknown.err.find("no tokenizer is known"), std::string::npos) << unknown.err;
  // And through a packed base, whose own it is.
  Expect({"quantize", run + "/best.safetensors", packed, "--type", "int8"});
  for (const char* what : {"full", "head"}) {
    fs::remove_all(tuned);
    Expect(Words{"train", "--base", packed, "--data", data_, "--out", tuned, "--tune", what,
                 "--ctx", "32", "--batch", "2", "--steps", "1"} +
           valid);
    expect_known(tuned + "/best.safetensors");
    expect_known(tuned);
  }
}

// Both files of the result have the same values, and the folder is the one with the vocabulary.
TEST_F(TrainCommandTest, TheFolderOfARunIsAModelWhereverOneIsNamed) {
  const std::string run = scratch_ / "run", of_pth = scratch_ / "a.safetensors",
                    of_folder = scratch_ / "b.safetensors", story = scratch_ / "story.txt";
  Expect(NewRun(run, "4") + Words{"--every", "2"});
  Expect({"logits", run + "/model.pth", "--tokens", "1,2,3", "--out", of_pth});
  Expect({"logits", run, "--tokens", "1,2,3", "--out", of_folder});
  EXPECT_TRUE(ReadFile(of_pth) == ReadFile(of_folder));
  const auto out = [](const Words& words, const std::string& input = "") {
    const Outcome outcome = RunLinnet(words, input);
    EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
    return outcome.out;
  };
  const std::string ids = out({"tokenize", "--vocab", vocab_}, "The fox said");
  EXPECT_EQ(out({"tokenize", "--vocab", run}, "The fox said"), ids);
  EXPECT_EQ(out({"tokenize", "--model", run}, "The fox said"), ids);
  EXPECT_EQ(out({"inspect", run, "--json"}),
            out({"inspect", run + "/model.safetensors", "--json"}));
  const std::string reply = out({"chat", run, "--max-tokens", "8", "--seed", "1"}, "The fox?\n");
  EXPECT_NE(reply.find_first_not_of(" \n"), std::string::npos);
  Expect({"data", "build", story, "--vocab", run, "--out", scratch_ / "same"});
  EXPECT_TRUE(ReadFile(data_ + ".bin") == ReadFile(scratch_ / "same.bin"));
  Expect({"quantize", run + "/model.pth", scratch_ / "q.safetensors", "--type", "int8", "--vocab",
          run});
  EXPECT_EQ(out({"tokenize", "--model", scratch_ / "q.safetensors"}, "The fox said"), ids);
  Expect({"convert", run, scratch_ / "c.safetensors"});
  EXPECT_EQ(out({"tokenize", "--model", scratch_ / "c.safetensors"}, "The fox said"), ids);
  // A run from a run, and on from there.
  const std::string second = scratch_ / "second";
  Expect({"train", "--base", run, "--data", data_, "--out", second, "--ctx", "16", "--batch", "1",
          "--steps", "1"});
  Expect({"train", "--out", second, "--resume", "--steps", "2"});
  EXPECT_EQ(out({"tokenize", "--model", second}, "The fox said"), ids);
}

TEST_F(TrainCommandTest, TheFolderOfARunThatGoesOnIsItsNewestCheckpoint) {
  const std::string run = scratch_ / "run", newest = run + "/checkpoint-00000004.safetensors",
                    older = run + "/checkpoint-00000002.safetensors";
  Expect(NewRun(run, "4") + Words{"--every", "2"});
  const auto logits = [&](const std::string& model) {
    Expect({"logits", model, "--tokens", "1,2,3", "--out", scratch_ / "l.safetensors"});
    return ReadFile(scratch_ / "l.safetensors");
  };
  fs::rename(newest, scratch_ / "newest");
  EXPECT_TRUE(logits(run) == logits(run + "/model.safetensors")) << "an older one does not count";
  for (const char* result : {"/model.pth", "/model.safetensors"}) fs::remove(run + result);
  EXPECT_TRUE(logits(run) == logits(older)) << "as if it was killed";
  // Cut off, as a copy that was broken off.
  WriteFile(newest, ReadFile(scratch_ / "newest").substr(0, 5000));
  EXPECT_TRUE(logits(run) == logits(older));
  fs::rename(scratch_ / "newest", newest);
  EXPECT_TRUE(logits(run) == logits(newest));
  const Outcome chat = RunLinnet({"chat", run, "--max-tokens", "8"}, "The fox?\n");
  EXPECT_EQ(chat.exit_code, 0) << chat.err;
}

// A folder that is no model says what it is.
TEST_F(TrainCommandTest, AFolderWithoutAModelSaysWhatItIs) {
  const std::string run = scratch_ / "run", base = scratch_ / "base.safetensors";
  Expect({"init", "--generation", "7", "--layers", "2", "--width", "64", "--vocab", "280", base});
  Expect({"train", "--base", base, "--data", data_, "--out", run, "--tune", "lora", "--ctx", "16",
          "--batch", "1", "--steps", "1"});
  const Outcome adapter = RunLinnet({"chat", run}, "The fox?\n");
  EXPECT_EQ(adapter.exit_code, 1);
  EXPECT_NE(adapter.err.find(run + "/adapter.safetensors"), std::string::npos) << adapter.err;
  fs::create_directory(scratch_ / "empty");
  for (const Words& words :
       {Words{"chat", scratch_ / "empty"}, Words{"tokenize", "--vocab", scratch_ / "empty"}}) {
    const Outcome empty = RunLinnet(words, "The fox?\n");
    EXPECT_EQ(empty.exit_code, 1);
    EXPECT_NE(empty.err.find("a folder with 0 checkpoints"), std::string::npos) << empty.err;
  }
  const Outcome none = RunLinnet({"tokenize", "--vocab", base}, "The fox");
  EXPECT_EQ(none.exit_code, 1);
  EXPECT_NE(none.err.find(base + ": holds no vocabulary"), std::string::npos) << none.err;
}

TEST_F(TrainCommandTest, ANewWorldModelHasReleasedModelsVocabulary) {
  const std::string world = "../shared/data/tokenizer/rwkv_vocab_v20230424.txt";
  if (!fs::exists(world)) GTEST_SKIP() << "no ../shared/data";
  const std::string run = scratch_ / "run", data = scratch_ / "world", model = run + "/model.pth";
  Expect({"data", "build", scratch_ / "story.txt", "--vocab", world, "--out", data});
  Expect({"train", "--data", data, "--out", run, "--generation", "7", "--layers", "1", "--width",
          "64", "--ctx", "16", "--batch", "1", "--steps", "1", "--vocab", world});
  EXPECT_EQ(json::parse(RunLinnet({"inspect", model, "--json"}).out)["vocab"], 65536);
  Expect({"generate", model, "--prompt", "The fox", "--max-tokens", "3", "--vocab", world});
  // Known by its size, if this build has that vocabulary.
  const std::string err =
      RunLinnet({"generate", model, "--prompt", "The", "--max-tokens", "1"}).err;
  EXPECT_EQ(err.find("no tokenizer is known"), std::string::npos) << err;
}

TEST_F(TrainCommandTest, ARunTakesThe20BTokenizerBesideItsBaseAlong) {
  const std::string neox = "fuzz/corpus/bpe/flags.json";  // a small one of its form
  const std::string folder = scratch_ / "base", base = folder + "/base.safetensors",
                    run = scratch_ / "run", data = scratch_ / "data";
  fs::create_directory(folder);
  fs::copy_file(neox, folder + "/20B_tokenizer.json");
  Expect({"init", "--generation", "4", "--layers", "1", "--width", "64", "--vocab", "50277", base});
  Expect({"data", "build", scratch_ / "story.txt", "--model", base, "--out", data});
  Expect({"train", "--base", base, "--data", data, "--out", run, "--ctx", "16", "--batch", "1",
          "--steps", "1"});
  Expect({"generate", run, "--prompt", "The fox", "--max-tokens", "3"});
  EXPECT_EQ(RunLinnet({"tokenize", "--vocab", run}, "The fox").out,
            RunLinnet({"tokenize", "--vocab", neox}, "The fox").out);
}

// Validation scores what the run leaves: values rounded as in the file, or the adapter beside its
// base, in whatever precision and format.
TEST_F(TrainCommandTest, ValidationIsThePerplexityOfWhatIsLeft) {
  const std::string run = scratch_ / "run", base = scratch_ / "base.safetensors",
                    text = scratch_ / "story.txt";
  Expect({"init", "--generation", "7", "--layers", "2", "--width", "64", "--vocab", "280",
          "--random", base});
  const auto score = [&](const Words& words) {
    const Outcome outcome = RunLinnet(Words{"perplexity"} + words + Words{text, "--json"});
    EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
    return json::parse(outcome.out);
  };
  const auto validated = [&](const Words& more) {
    fs::remove_all(run);
    Expect(Words{"train", "--base", base, "--data", data_, "--out", run, "--ctx", "32", "--batch",
                 "2", "--steps", "3", "--lr", "1e-3", "--vocab", vocab_, "--valid", text} +
           more);
    EXPECT_FALSE(fs::exists(run + "/validated.tmp"));
    return Metrics(run).back();
  };
  for (const Words& words : {Words{"--precision", "f32"}, Words{}, Words{"--tune", "head"},
                             Words{"--freeze", "att", "--quant", "nf4"},
                             Words{"--freeze", "att", "--quant", "int8", "--precision", "f32"}}) {
    const json valid = validated(words);
    for (const char* file : {"/model.pth", "/model.safetensors", "/best.safetensors"}) {
      const json scored = score({run + file, "--vocab", vocab_});
      EXPECT_EQ(scored["bits_per_byte"], valid["valid_bits_per_byte"])
          << testing::PrintToString(words) << file;
      EXPECT_EQ(scored["nats_per_token"], valid["valid_loss"]);
    }
  }
  for (const Words& quant : {Words{}, Words{"--quant", "nf4"}, Words{"--quant", "int8"}}) {
    for (const Words& words : {Words{"--tune", "lora"},
                               {"--tune", "lora", "--precision", "f32"},
                               {"--tune", "lora", "--adapter", "pissa"},
                               {"--tune", "lora", "--adapter", "disha"},
                               {"--tune", "state"}}) {
      const json valid = validated(words + quant);
      const std::string left = run + (words[1] == "lora" ? "/adapter.safetensors" : "/state.pth");
      EXPECT_EQ(score(Words{base, "--vocab", vocab_, "--lora", left} + quant)["bits_per_byte"],
                valid["valid_bits_per_byte"])
          << testing::PrintToString(words + quant);
    }
  }
}

// A power cut at any moment: what is killed and resumed ends with the bytes of what was not. Each
// of up to twenty kills comes a random time behind a random step of one and the same run. A busy
// machine may let it go further between two, so they end well before its last step.
TEST_F(TrainCommandTest, KilledAndResumedEndsWithTheSameBytes) {
  constexpr int kKills = 12;
  constexpr uint64_t kSteps = 160, kMostAhead = 8, kNearTheEnd = 120;
  const std::string whole = scratch_ / "whole", cut = scratch_ / "cut";
  const Words often = {"--every", "1"};  // so that many cuts fall into the writing of checkpoints
  const auto now = std::chrono::steady_clock::now;
  const auto start = now();
  Expect(NewRun(whole, std::to_string(kSteps)) + often);
  const double step = std::chrono::duration<double>(now() - start).count() / kSteps;
  std::mt19937 random(20);
  std::uniform_int_distribution<uint64_t> ahead(1, kMostAhead);
  std::uniform_real_distribution<double> moment(0, 1.5 * step);
  int halves = 0;
  for (int i = 0; i < kKills && NewestStep(cut) < kNearTheEnd; ++i) {
    const uint64_t due = NewestStep(cut) + ahead(random);
    const Words words = i > 0 ? Words{"train", "--out", cut, "--resume", "--threads", "1"}
                              : NewRun(cut, std::to_string(kSteps)) + often;
    const bool while_writing = i % 4 == 3;
    const auto is_due = [&](const std::string&) {
      if (NewestStep(cut) < due || (while_writing && Unfinished(cut) == 0)) return false;
      if (!while_writing)
        std::this_thread::sleep_for(std::chrono::duration<double>(moment(random)));
      return true;
    };
    const Outcome killed = SignalLinnet(words, is_due, SIGKILL);
    ASSERT_EQ(killed.exit_code, -SIGKILL) << "kill " << i << ": " << killed.err;
    ASSERT_GE(NewestStep(cut), due) << "kill " << i;
    halves += Unfinished(cut);
  }
  EXPECT_GT(halves, 0) << "no cut fell into the writing of a checkpoint";
  Expect({"train", "--out", cut, "--resume"});
  for (const char* file : {"/model.pth", "/checkpoint-00000160.safetensors"}) {
    EXPECT_TRUE(ReadFile(whole + file) == ReadFile(cut + file)) << file;
  }
  const auto metrics = Metrics(cut);
  ASSERT_EQ(metrics.size(), kSteps);
  for (size_t i = 0; i < metrics.size(); ++i) EXPECT_EQ(metrics[i]["step"], i + 1);
  EXPECT_EQ(Unfinished(cut), 0) << "left lying about";
}

TEST_F(TrainCommandTest, ARunInChunksGoesOnWithThem) {
  const std::string whole = scratch_ / "whole", cut = scratch_ / "cut";
  const Words chunks = {"--chunk", "12", "--bptt", "2", "--every", "4"};
  Expect(NewRun(whole, "12") + chunks);
  Expect(NewRun(cut, "12") + chunks);
  fs::remove(cut + "/checkpoint-00000012.safetensors");  // as if it ended at step 8
  fs::remove(cut + "/model.pth");
  Expect({"train", "--out", cut, "--resume", "--threads", "1"});
  EXPECT_EQ(Metrics(cut).size(), 12u);
  for (const char* file : {"/model.pth", "/model.safetensors"}) {
    EXPECT_TRUE(ReadFile(whole + file) == ReadFile(cut + file)) << file;
  }
  const std::string plain = scratch_ / "plain";
  Expect(NewRun(plain, "12"));
  EXPECT_FALSE(ReadFile(whole + "/model.pth") == ReadFile(plain + "/model.pth"));
}

TEST_F(TrainCommandTest, AResumedRunMayBeMeasuredInAnotherUnit) {
  const std::string run = scratch_ / "run";
  Expect(NewRun(run, "4"));
  Expect({"train", "--out", run, "--resume", "--tokens", "768"});  // of 4 rows of 32 a step
  EXPECT_EQ(Metrics(run).size(), 6u);
}

TEST_F(TrainCommandTest, ChunksHoldTheMemoryOfOneWhateverTheContext) {
  if (kSanitized) GTEST_SKIP() << "a sanitizer takes memory of its own";
  const auto peak = [&](const char* out, const std::string& ctx, const Words& more) {
    const Outcome outcome = RunLinnet(NewRun(scratch_ / out, "1", ctx) + more);
    EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
    return outcome.peak_bytes;
  };
  const size_t whole = peak("whole", "4096", {}), chunks = peak("a", "4096", {"--chunk", "256"});
  EXPECT_LT(chunks, whole / 3);
  EXPECT_LT(peak("b", "16384", {"--chunk", "256"}), chunks + (16 << 20));
}

// When a run has learnt something.
Due AfterAStep(const std::string& run) {
  return [=](const std::string&) { return !ReadFile(run + "/metrics.jsonl").empty(); };
}

void ExpectAllSaved(const std::string& run, const std::string& why) {
  const auto metrics = Metrics(run);
  ASSERT_FALSE(metrics.empty()) << why;
  EXPECT_EQ(NewestStep(run), metrics.back()["step"].get<uint64_t>()) << why;
  EXPECT_EQ(Unfinished(run), 0);
}

// Also what `timeout` and a shutdown send.
TEST_F(TrainCommandTest, CtrlCSavesAndEnds) {
  for (const int signal : {SIGINT, SIGTERM, SIGHUP}) {
    const std::string run = scratch_ / ("run" + std::to_string(signal)).c_str();
    // On so little data the loss comes near zero, where usual gradients are tiny and one above
    // --clip is a spike.
    const Outcome stopped =
        SignalLinnet(NewRun(run, "100000") + Words{"--skip-spikes"}, AfterAStep(run), signal);
    ASSERT_EQ(stopped.exit_code, 130) << stopped.err;
    ExpectAllSaved(run, stopped.err);
  }
}

// Nothing can be written to it by then.
TEST_F(TrainCommandTest, ALostTerminalSavesAndEnds) {
  const std::string run = scratch_ / "run";
  EXPECT_EQ(CloseTerminalOf(NewRun(run, "100000") + Words{"--skip-spikes"}, AfterAStep(run)), 130);
  ExpectAllSaved(run, "");
}

// A step of so many rows takes an hour, at whose end it would look.
TEST_F(TrainCommandTest, ASecondSigtermEndsWhatDoesNotLook) {
  const std::string run = scratch_ / "run";
  Words words = NewRun(run, "1", "512");
  *(std::find(words.begin(), words.end(), "--accumulate") + 1) = "20000";
  const auto started = [&](const std::string&) { return fs::exists(run + "/run.json"); };
  const Outcome outcome = SignalLinnet(words, started, SIGTERM, {}, 2.1);
  EXPECT_EQ(outcome.exit_code, 130) << outcome.err;
  EXPECT_TRUE(Metrics(run).empty());
}

TEST_F(TrainCommandTest, NumbersThatAreNoneAreWrongUsage) {
  const std::string run = scratch_ / "run";
  for (const Words& odd : {Words{"--lr", "nan"},
                           {"--lr", "1e-3:inf"},
                           {"--lr", "-1e-3"},
                           {"--dropout", "nan"},
                           {"--clip", "inf"},
                           {"--clip", "-1"},
                           {"--decay", "-1"},
                           {"--targets", "["}}) {
    EXPECT_EQ(RunLinnet(NewRun(run, "1") + odd).exit_code, 2) << odd[0] << ' ' << odd[1];
  }
  Words epochs = NewRun(run, "1");
  std::replace(epochs.begin(), epochs.end(), std::string("--steps"), std::string("--epochs"));
  for (const char* odd : {"-1", "0", "nan", "inf"}) {
    *(std::find(epochs.begin(), epochs.end(), "--epochs") + 1) = odd;
    EXPECT_EQ(RunLinnet(epochs).exit_code, 2) << odd;
  }
  EXPECT_FALSE(fs::exists(run));
}

TEST_F(TrainCommandTest, OptionsThatWouldDoNothingAreWrongUsage) {
  const std::string run = scratch_ / "run";
  const Words based = {"train", "--base", "base.pth", "--data", data_, "--out", run};
  for (const Words& odd :
       {based + Words{"--layers", "3"}, based + Words{"--width", "64"},
        based + Words{"--ranks", "train"}, based + Words{"--rank", "4"},
        based + Words{"--tune", "state", "--adapter", "lora"},
        NewRun(run, "1") + Words{"--patience", "3"}, Words{"train", "--trace", "trace.json"}}) {
    const Outcome outcome = RunLinnet(odd);
    EXPECT_EQ(outcome.exit_code, 2) << outcome.err;
    const std::string option = odd[odd.size() - 2];
    EXPECT_EQ(outcome.err.find("linnet: " + option + ": "), 0u) << option << " in " << outcome.err;
  }
  EXPECT_FALSE(fs::exists(run));
}

// At the first checkpoint it would be late, and what is smaller would be scored without a word.
TEST_F(TrainCommandTest, AVocabularyThatIsNotTheModelsIsFoundAtOnce) {
  const std::string base = scratch_ / "base.pth", run = scratch_ / "run";
  for (const char* size : {"512", "270"}) {
    Expect({"init", "--generation", "7", "--layers", "1", "--width", "64", "--vocab", size, base});
    const Outcome outcome = RunLinnet({"train", "--base", base, "--data", data_, "--out", run,
                                       "--valid", scratch_ / "story.txt", "--vocab", vocab_});
    EXPECT_EQ(outcome.exit_code, 1);
    EXPECT_NE(outcome.err.find("vocab.txt: has ids up to "), std::string::npos) << outcome.err;
    EXPECT_FALSE(fs::exists(run + "/run.json"));
  }
}

TEST_F(TrainCommandTest, PlotsRunsAsOnePageThatNeedsNothingElse) {
  const std::string run = scratch_ / "a<b", page = scratch_ / "page.html";
  Expect(NewRun(run, "8"));
  const Outcome plotted = RunLinnet({"plot", run, "--out", page, "--json"});
  if (plotted.err.find("libjs-chart.js") != std::string::npos) GTEST_SKIP() << plotted.err;
  ASSERT_EQ(plotted.exit_code, 0) << plotted.err;
  const std::string html = ReadFile(page);
  EXPECT_EQ(html.find("@DATA@"), std::string::npos);
  EXPECT_EQ(html.find("src="), std::string::npos) << "it loads something";
  const std::string mark = "id=\"data\">";
  const size_t begin = html.find(mark) + mark.size();
  const json data = json::parse(html.substr(begin, html.find("</script>", begin) - begin));
  ASSERT_EQ(data.size(), 1u);
  EXPECT_EQ(data[0]["name"], "a<b");
  EXPECT_EQ(data[0]["loss"].size(), 8u);
  EXPECT_EQ(RunLinnet({"plot", scratch_ / "none"}).exit_code, 1);
}

// Two runs overlaid: each has its own name, also where their folders are called alike, and its own
// curves, validation at its checkpoints among them.
TEST_F(TrainCommandTest, PlotsRunsOverEachOther) {
  const std::string a = scratch_ / "a/run", b = scratch_ / "b/run", page = scratch_ / "page.html";
  const Words valid = {"--valid", scratch_ / "story.txt", "--every", "2"};
  Expect(NewRun(a, "6") + valid);
  Expect(NewRun(b, "4") + valid);
  const Outcome plotted = RunLinnet({"plot", a, b + "/", "--out", page, "--json"});
  if (plotted.err.find("libjs-chart.js") != std::string::npos) GTEST_SKIP() << plotted.err;
  ASSERT_EQ(plotted.exit_code, 0) << plotted.err;
  EXPECT_EQ(json::parse(plotted.out)["runs"], 2);
  const std::string html = ReadFile(page), mark = "id=\"data\">";
  const size_t begin = html.find(mark) + mark.size();
  const json data = json::parse(html.substr(begin, html.find("</script>", begin) - begin));
  ASSERT_EQ(data.size(), 2u);
  EXPECT_EQ(data[0]["name"], "a/run");
  EXPECT_EQ(data[1]["name"], "b/run");
  for (size_t i = 0; i < 2; ++i) {
    const auto metrics = Metrics(i == 0 ? a : b);
    for (const char* curve : {"loss", "lr", "norm", "speed"}) {
      EXPECT_EQ(data[i][curve].size(), metrics.size()) << curve;
    }
    ASSERT_EQ(data[i]["valid"].size(), metrics.size() / 2);
    for (size_t k = 0; k < data[i]["valid"].size(); ++k) {
      const json& line = metrics[2 * k + 1];
      EXPECT_EQ(data[i]["valid"][k][0], line["tokens"]);
      EXPECT_NEAR(data[i]["valid"][k][1].get<double>(), line["valid_bits_per_byte"].get<double>(),
                  1e-4);
    }
  }
}

TEST_F(TrainCommandTest, WhatCannotFitIsRefusedBeforeItStarts) {
  const Outcome huge = RunLinnet(NewRun(scratch_ / "run", "10", "1048576"));
  EXPECT_EQ(huge.exit_code, 1);
  EXPECT_NE(huge.err.find("--recompute"), std::string::npos) << huge.err;
}

TEST_F(TrainCommandTest, WrongUsageAndBadDataGetOneLine) {
  EXPECT_EQ(RunLinnet({"train", "--out", scratch_ / "run", "--data", data_}).exit_code, 2);
  const Outcome none = RunLinnet({"train", "--out", scratch_ / "none", "--resume"});
  EXPECT_EQ(none.exit_code, 1);
  EXPECT_NE(none.err.find("run.json"), std::string::npos) << none.err;
  const Outcome missing = RunLinnet(NewRun(scratch_ / "run", "10") + Words{"--base", "no.pth"});
  EXPECT_EQ(missing.exit_code, 2) << "both --base and --generation";
  const Outcome cut = RunLinnet(NewRun(scratch_ / "run", "10") + Words{"--bptt", "1"});
  EXPECT_EQ(cut.exit_code, 2);
  EXPECT_NE(cut.err.find("--chunk"), std::string::npos) << cut.err;
  const Outcome valid = RunLinnet(NewRun(scratch_ / "run", "10") + Words{"--valid", "missing.txt"});
  EXPECT_EQ(valid.exit_code, 1);
  EXPECT_NE(valid.err.find("missing.txt"), std::string::npos) << valid.err;
  const Outcome freeze = RunLinnet(NewRun(scratch_ / "run", "10") + Words{"--freeze", "["});
  EXPECT_EQ(freeze.exit_code, 2) << freeze.err;
  EXPECT_NE(freeze.err.find("--freeze: '['"), std::string::npos) << freeze.err;
  for (const char* rates : {"6e-4x", "6e-4:", "6e-4:6e-5 or so"}) {
    EXPECT_EQ(RunLinnet({"train", "--data", data_, "--out", scratch_ / "run", "--generation", "7",
                         "--layers", "1", "--width", "64", "--vocab", vocab_, "--lr", rates})
                  .exit_code,
              2)
        << rates;
  }
  EXPECT_FALSE(fs::exists(scratch_ / "run")) << "work began before all was checked";
  for (const Words& twice : {Words{"--tokens", "1000"}, Words{"--epochs", "2"}}) {
    const Outcome both = RunLinnet(NewRun(scratch_ / "run", "10") + twice);
    EXPECT_EQ(both.exit_code, 2) << both.err;
    EXPECT_NE(both.err.find("--steps"), std::string::npos) << both.err;
  }
  WriteFile(scratch_ / "empty.txt", "");
  const Outcome empty = RunLinnet(
      {"vocab", "train", scratch_ / "empty.txt", "--size", "300", "--out", scratch_ / "e.txt"});
  EXPECT_EQ(empty.exit_code, 1);
  EXPECT_NE(empty.err.find("empty.txt: no vocabulary can be chosen"), std::string::npos)
      << empty.err;
  EXPECT_FALSE(fs::exists(scratch_ / "e.txt"));
  const Outcome small = RunLinnet(
      {"vocab", "train", scratch_ / "story.txt", "--size", "100", "--out", scratch_ / "small.txt"});
  EXPECT_EQ(small.exit_code, 2);
  EXPECT_NE(small.err.find("--size: 100"), std::string::npos) << small.err;
}

}  // namespace
}  // namespace linnet
