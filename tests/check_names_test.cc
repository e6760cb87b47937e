// tools/check-names: one definition, and one meaning, of each type name.
#include <gtest/gtest.h>

#include <fstream>
#include <string>

#include "program.h"

namespace linnet {
namespace {

constexpr const char* kTool = "tools/check-names";

class CheckNames : public testing::Test {
 protected:
  std::string File(const char* name, const std::string& text) const {
    std::string path = scratch_ / name;
    std::ofstream(path) << text;
    return path;
  }
  static std::string Within(const std::string& space, const std::string& text) {
    return "namespace " + space + " {\n\n" + text + "\n}  // namespace " + space + "\n";
  }

  ScratchFolder scratch_;
};

TEST_F(CheckNames, ANameDefinedTwiceIsRefused) {
  const std::string first = File("a.h", Within("linnet", "class Row {\n};\n"));
  for (const std::string& second :
       {Within("linnet", "struct Row {};\n"),
        Within("linnet", "template <class T>\nclass Row\n    : public T {\n};\n"),
        Within("linnet", "enum class Row : int { kOne };\n"),
        Within("linnet", "using Row = int;\n"),
        Within("linnet::cli", "struct alignas(64) Row {  // one\n};\n")}) {
    const std::string path = File("b.h", second);
    const Outcome outcome = RunProgram(kTool, {first, path});
    EXPECT_NE(outcome.exit_code, 0) << second;
    EXPECT_TRUE(outcome.err.starts_with(path)) << outcome.err;
    EXPECT_NE(outcome.err.find("type Row is defined in " + first + ":3 too"), std::string::npos)
        << outcome.err;
  }
}

TEST_F(CheckNames, WhatDefinesNothingNewPasses) {
  const std::string a = File("a.h", Within("linnet", "class Row {\n  struct Part {};\n};\n"));
  const std::string b =
      File("b.cc", Within("linnet",
                          "class Row;\nstruct Row::Impl {\n};\ntemplate <>\nstruct Row<int> {\n};\n"
                          "namespace {\n\nstruct Row {};\n\n}  // namespace\n"));
  const std::string c =
      File("c.cc", Within("other", "namespace {\nstruct Row {};\n}  // namespace\n"));
  const Outcome outcome = RunProgram(kTool, {a, b, c});
  EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
}

TEST_F(CheckNames, HoldsForTheSources) {
  const Outcome outcome = RunProgram(kTool, {});
  EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
}

}  // namespace
}  // namespace linnet
