// The lines of README.md, typed one after another as a newcomer types them.
#include <gtest/gtest.h>

#include <filesystem>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include "linnet/model.h"
#include "program.h"
#include "training.h"

namespace linnet {
namespace {

namespace fs = std::filesystem;

// The lines of the ```sh blocks below a heading, without comments.
Words LinesOf(const std::string& file, const std::string& heading) {
  std::istringstream text(ReadFile(file));
  Words lines;
  bool here = false, block = false;
  for (std::string line; std::getline(text, line);) {
    if (line.starts_with("## ")) here = line == heading;
    if (line.starts_with("```")) {
      block = line == "```sh";
    } else if (here && block) {
      lines.push_back(line.substr(0, line.find("    #")));
    }
  }
  return lines;
}

// What a line becomes so that all of them take seconds. They are README's own but for this.
const std::vector<std::pair<std::string, std::string>> kSmaller = {
    {"--size 4096", "--size 300"},
    {"--layers 10 --width 256",
     "--layers 2 --width 64 --ctx 32 --batch 2 --steps 4 --every 2 --threads 2"},
    {"linnet who\"", "linnet who\" --max-tokens 8"},
    {"--max-tokens 50", "--max-tokens 8"},
    {"bench rwkv-nf4.safetensors", "bench rwkv-nf4.safetensors --prompt 8 --decode 2 --batch 2"},
    {"chat run", "chat run --max-tokens 16 --seed 1"},
    {"--tasks rwkv_english", "--tasks copa"},
};

class ReadmeTest : public ::testing::Test {
 protected:
  ReadmeTest() {
    fs::create_directories(scratch_ / "build");
    fs::create_symlink(fs::absolute(LINNET_PROGRAM), scratch_ / "build/linnet");
    fs::create_directories(scratch_ / "path/to");
    const Outcome model = RunLinnet({"init", "--generation", "7", "--layers", "2", "--width", "64",
                                     "--vocab", "256", "--random", scratch_ / "path/to/rwkv.pth"});
    EXPECT_EQ(model.exit_code, 0) << model.err;
    WriteFile(scratch_ / "book.txt", Story());
    WriteFile(scratch_ / "talk.jsonl",
              "{\"prompt\": \"Who comes?\", \"response\": \"The fox.\"}\n"
              "{\"messages\": [{\"role\": \"user\", \"content\": \"Who said so?\"}, "
              "{\"role\": \"assistant\", \"content\": \"The owl said so.\"}]}\n");
  }

  // Types a line, with this on stdin.
  Outcome Type(std::string line, const std::string& input = "") {
    for (const auto& [from, to] : kSmaller) {
      const size_t at = line.find(from);
      if (at != std::string::npos) line.replace(at, from.size(), to);
    }
    return RunProgram("/bin/sh", {"-c", "cd \"$0\" && " + line, scratch_ / "."}, input);
  }

  ScratchFolder scratch_;
};

// git and make, which fetch and build the very tree that is tested, are left to `make chat` in CI.
bool IsTyped(const std::string& line) {
  return !line.starts_with("git ") && !line.starts_with("make ");
}

TEST_F(ReadmeTest, TheFirstLinesWork) {
  const Words lines = LinesOf("README.md", "## The first token");
  size_t typed = 0;
  for (const std::string& line : lines) {
    if (!IsTyped(line)) continue;
    if (line.find("linnet generate --prompt") != std::string::npos && !Model::HasBuiltIn())
      continue;
    const Outcome outcome = Type(line);
    EXPECT_EQ(outcome.exit_code, 0) << line << "\n" << outcome.err;
    ++typed;
  }
  EXPECT_GE(typed, 6u);
}

TEST_F(ReadmeTest, TheEvaluationLinesWork) {
  fs::create_directories(scratch_ / "eval");
  WriteFile(scratch_ / "eval/copa.val.jsonl",
            "{\"premise\": \"The fox ran.\", \"choice1\": \"It was late.\", \"choice2\": "
            "\"It slept.\", \"question\": \"cause\", \"label\": 0}\n");
  WriteFile(scratch_ / "news.json", "[\"The owl said that the fox would come.\"]");
  const Words lines = LinesOf("README.md", "## Evaluation");
  ASSERT_EQ(lines.size(), 2u);
  for (const std::string& line : lines) {
    const Outcome outcome = Type(line);
    if (outcome.err.find("libjs-chart.js") != std::string::npos) continue;  // built without charts
    EXPECT_EQ(outcome.exit_code, 0) << line << "\n" << outcome.err;
  }
}

TEST_F(ReadmeTest, TheTrainingLinesEndInATalk) {
  const Words lines = LinesOf("README.md", "## Training");
  ASSERT_FALSE(lines.empty());
  for (const std::string& line : lines) {
    const bool talk = line == lines.back();
    const Outcome outcome = Type(line, talk ? "Who comes?\n" : "");
    if (outcome.err.find("libjs-chart.js") != std::string::npos) continue;  // built without charts
    EXPECT_EQ(outcome.exit_code, 0) << line << "\n" << outcome.err;
    if (!talk) continue;
    EXPECT_TRUE(line.starts_with("build/linnet chat ")) << line;
    EXPECT_NE(outcome.out.find_first_not_of(" \n"), std::string::npos) << "no answer";
  }
}

TEST(ReadmeInChineseTest, HasTheSameLines) {
  EXPECT_EQ(LinesOf("README.md", "## Training"), LinesOf("README.zh.md", "## 训练"));
  EXPECT_EQ(LinesOf("README.md", "## Evaluation"), LinesOf("README.zh.md", "## 评测"));
  const Words first = LinesOf("README.zh.md", "## 第一个词");
  EXPECT_EQ(LinesOf("README.md", "## The first token"), first);
  EXPECT_EQ(LinesOf("README.md", "## Released models"), LinesOf("README.zh.md", "## 发布的模型"));
}

TEST(ReadmeLinesTest, WhatIsMadeSmallerIsThere) {
  const std::string readme = ReadFile("README.md");
  for (const auto& [from, to] : kSmaller) EXPECT_NE(readme.find(from), std::string::npos) << from;
}

}  // namespace
}  // namespace linnet
