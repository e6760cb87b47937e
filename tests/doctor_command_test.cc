// linnet doctor, linnet licences, manuals and completions: what the program says of itself.
#include <gtest/gtest.h>

#include <cstdint>
#include <fstream>
#include <ios>
#include <map>
#include <nlohmann/json.hpp>
#include <sstream>
#include <string>
#include <vector>

#include "program.h"

namespace linnet {
namespace {

nlohmann::json DoctorJson(const Words& more = {}) {
  const Outcome run = RunLinnet(Words{"doctor", "--json", "--no-measure"} + more);
  EXPECT_EQ(run.exit_code, 0) << run.err;
  return nlohmann::json::parse(run.out);
}

TEST(DoctorTest, SaysWhatTheMachineIs) {
  const auto report = DoctorJson();
  EXPECT_GT(report["memory_bytes"].get<uint64_t>(), report["available_bytes"].get<uint64_t>() / 2);
  EXPECT_FALSE(report["levels"].empty());
  EXPECT_EQ(report["level"], report["levels"].back());
  EXPECT_EQ(DoctorJson({"--isa", "portable"})["level"], "portable");
  EXPECT_TRUE(report["speed"].is_null());
  const Outcome text = RunLinnet({"doctor", "--no-measure"});
  EXPECT_EQ(text.exit_code, 0);
  EXPECT_NE(text.out.find("13.3B"), std::string::npos);
}

TEST(DoctorTest, MeasuresTheMachine) {
  const auto report = nlohmann::json::parse(RunLinnet({"doctor", "--json", "--threads", "1"}).out);
  if (report["speed"].is_null()) GTEST_SKIP() << "too little memory is free to measure in";
  EXPECT_GT(report["speed"]["read_gb_s"].get<double>(), 0);
  const auto& smallest = report["released"][0]["formats"]["bf16"];
  EXPECT_GT(smallest["most_tokens_per_s"].get<double>(), 0);
}

TEST(DoctorTest, MoreMemoryFitsMore) {
  size_t before = 0;
  for (const char* memory : {"1.2", "4", "8", "16", "32", "64"}) {
    size_t count = 0;
    const auto report = DoctorJson({"--memory", memory});
    for (const auto& model : report["released"]) {
      const auto& formats = model["formats"];
      for (const auto& [name, format] : formats.items()) count += format["fits"] == true ? 1 : 0;
      EXPECT_LT(formats["nf4"]["memory_bytes"], formats["int8"]["memory_bytes"]);
      EXPECT_LT(formats["int8"]["memory_bytes"], formats["bf16"]["memory_bytes"]);
    }
    EXPECT_GE(count, before);
    before = count;
  }
  EXPECT_EQ(before, 18u);  // all in 64 GB
}

// Cells of a row of a table in Markdown.
std::vector<std::string> CellsOf(const std::string& line) {
  std::vector<std::string> cells;
  std::istringstream in(line);
  for (std::string cell; std::getline(in, cell, '|');) {
    const size_t begin = cell.find_first_not_of(' ');
    cells.push_back(
        begin == cell.npos ? "" : cell.substr(begin, cell.find_last_not_of(' ') - begin + 1));
  }
  return cells;
}

// The table of README.md has the figures of the program, in both languages.
TEST(DoctorTest, TablesOfTheReadmeAreComputed) {
  std::map<std::string, nlohmann::json> sizes;
  for (const auto& model : DoctorJson()["released"]) sizes[model["size"]] = model;
  for (const char* file : {"README.md", "README.zh.md"}) {
    std::ifstream in(file);
    size_t rows = 0;
    for (std::string line; std::getline(in, line);) {
      const auto cells = CellsOf(line);
      if (cells.size() < 6 || !sizes.contains(cells[1])) continue;
      const auto& model = sizes.at(cells[1]);
      const char* const formats[] = {"bf16", "int8", "nf4"};
      for (size_t i = 0; i < 3; ++i) {
        const double bytes = model["formats"][formats[i]]["memory_bytes"];
        std::ostringstream shown;
        shown.precision(1);
        shown << std::fixed << bytes / 1e9;
        EXPECT_EQ(cells[2 + i], shown.str()) << file << ": " << line;
      }
      EXPECT_NE(cells[5].find(model["name"].get<std::string>()), std::string::npos) << line;
      ++rows;
    }
    EXPECT_EQ(rows, sizes.size()) << file;
  }
}

// The largest model for each memory, as the second table says.
TEST(DoctorTest, TablesOfTheReadmeSayWhatFits) {
  for (const char* file : {"README.md", "README.zh.md"}) {
    std::ifstream in(file);
    size_t rows = 0;
    for (std::string line; std::getline(in, line);) {
      const auto cells = CellsOf(line);
      if (cells.size() < 5 || !cells[1].ends_with(" GB")) continue;
      const auto report = DoctorJson({"--memory", cells[1].substr(0, cells[1].size() - 3)});
      const char* const formats[] = {"bf16", "int8", "nf4"};
      for (size_t i = 0; i < 3; ++i) {
        std::string largest;
        for (const auto& model : report["released"]) {
          if (model["formats"][formats[i]]["fits"] == true) largest = model["size"];
        }
        EXPECT_EQ(cells[2 + i], largest) << file << ": " << line;
      }
      ++rows;
    }
    EXPECT_EQ(rows, 4u) << file;
  }
}

TEST(LicencesTest, NoticesOfAllComponentsAreThere) {
  const Outcome run = RunLinnet({"licences"});
  EXPECT_EQ(run.exit_code, 0);
  for (const char* text :
       {"Boost Software License", "OpenSSL", "Niels Lohmann", "toml++", "Apache License", "curl"}) {
    EXPECT_NE(run.out.find(text), std::string::npos) << text;
  }
}

TEST(ManualTest, EveryCommandHasAPageWithItsOptions) {
  ScratchFolder folder;
  EXPECT_EQ(RunLinnet({"manual", "--all", folder / "."}).exit_code, 0);
  const std::string serve = ReadFile(folder / "linnet-serve.1");
  for (const char* text : {".TH LINNET-SERVE 1", "\\-\\-config", "\\-\\-api\\-key\\-file",
                           "EXAMPLE", "default: 8080"}) {
    EXPECT_NE(serve.find(text), std::string::npos) << text;
  }
  EXPECT_NE(ReadFile(folder / "linnet-vocab-train.1").find("\\-\\-size"), std::string::npos);
  EXPECT_NE(ReadFile(folder / "linnet.1").find("linnet\\-pull"), std::string::npos);
  EXPECT_EQ(RunLinnet({"manual", "serve"}).out, serve);
  EXPECT_EQ(RunLinnet({"manual", "sreve"}).exit_code, 2);
}

// What bash would offer for this line.
std::string Offers(const std::string& script, const std::string& words, int at) {
  const Outcome run = RunProgram("/bin/bash", {"-c", "source " + script + "; COMP_WORDS=(" + words +
                                                         "); COMP_CWORD=" + std::to_string(at) +
                                                         "; _linnet; echo \"${COMPREPLY[*]}\""});
  EXPECT_EQ(run.err, "");
  return run.out;
}

TEST(CompletionsTest, BashKnowsCommandsOptionsAndChoices) {
  ScratchFolder folder;
  const std::string script = folder / "linnet.bash";
  WriteFile(script, RunLinnet({"completions", "bash"}).out);
  EXPECT_EQ(Offers(script, "linnet per", 1), "perplexity\n");
  EXPECT_EQ(Offers(script, "linnet serve --api", 2), "--api-key-file\n");
  EXPECT_EQ(Offers(script, "linnet serve --log-format ''", 3), "text json\n");
  EXPECT_EQ(Offers(script, "linnet vocab train --si", 3), "--size\n");
  EXPECT_NE(RunLinnet({"completions", "fish"}).out.find("complete -c linnet"), std::string::npos);
  EXPECT_EQ(RunLinnet({"completions", "zsh"}).out.rfind("#compdef linnet", 0), 0u);
  EXPECT_EQ(RunLinnet({"completions", "tcsh"}).exit_code, 2);
}

}  // namespace
}  // namespace linnet
