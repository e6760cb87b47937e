// The tables of speeds that `make bench` and `make bench-training` print: a row for each choice,
// figures in every cell, no model left behind.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <sstream>
#include <string>
#include <vector>

#include "program.h"

namespace linnet {
namespace {

Outcome RunTable(const ScratchFolder& scratch, std::vector<std::string> arguments) {
  const std::vector<std::string> fixed = {
      "tools/bench-table", "--program", LINNET_PROGRAM, "--scratch", scratch / ".", "--prompt", "8",
      "--decode",          "2",         "--batch",      "2"};
  arguments.insert(arguments.begin(), fixed.begin(), fixed.end());
  return RunProgram("/usr/bin/env", [&] {
    arguments.insert(arguments.begin(), "python3");
    return arguments;
  }());
}

TEST(BenchTable, HoldsARowForEachChoice) {
  const ScratchFolder scratch;
  const Outcome table = RunTable(scratch, {"tiny", "v5.2", "f16", "nf4"});
  ASSERT_EQ(table.exit_code, 0) << table.err;
  std::vector<std::string> rows;
  std::istringstream lines(table.out);
  for (std::string line; std::getline(lines, line);) {
    if (line.rfind("| v", 0) == 0) rows.push_back(line);
  }
  ASSERT_EQ(rows.size(), 2u) << table.out;
  EXPECT_EQ(rows[0].rfind("| v5.2 tiny | f16 | ", 0), 0u) << rows[0];
  EXPECT_EQ(rows[1].rfind("| v5.2 tiny | nf4 | ", 0), 0u) << rows[1];
  for (const std::string& row : rows) {
    EXPECT_EQ(std::count(row.begin(), row.end(), '|'), 12) << row;
    std::istringstream cells(row.substr(2));
    int place = 0;
    for (std::string cell; std::getline(cells, cell, '|'); ++place) {
      if (place < 2) continue;
      // A share of the machine's peak may round to nothing: a tiny model in a build that checks
      // itself is slow.
      const bool is_share = cell.find('%') != std::string::npos;
      EXPECT_GE(std::stod(cell), is_share ? 0 : 1e-9) << row;
    }
  }
  EXPECT_TRUE(std::filesystem::is_empty(scratch / "."));
}

TEST(BenchTable, HoldsGenerateBesideDecoding) {
  const ScratchFolder scratch;
  const Outcome table = RunTable(scratch, {"tiny", "v7", "bf16", "--generate", "3"});
  ASSERT_EQ(table.exit_code, 0) << table.err;
  EXPECT_NE(table.out.find("| generate 3, tokens/s |"), std::string::npos) << table.out;
  const size_t row = table.out.find("| v7 tiny | bf16 | ");
  ASSERT_NE(row, std::string::npos) << table.out;
  const std::string cells = table.out.substr(row);
  EXPECT_EQ(std::count(cells.begin(), cells.end(), '|'), 13) << cells;
  const size_t last = cells.rfind('|', cells.rfind('|') - 1);
  EXPECT_GT(std::stod(cells.substr(last + 1)), 0) << cells;
}

TEST(BenchTable, NamesAWordThatNoRowHas) {
  const ScratchFolder scratch;
  const Outcome table = RunTable(scratch, {"v9"});
  EXPECT_EQ(table.exit_code, 1);
  EXPECT_NE(table.err.find("no row has 'v9'"), std::string::npos) << table.err;
}

TEST(BenchTraining, FillsTheRowThatIsNamed) {
  const ScratchFolder scratch;
  const Outcome table = RunProgram(
      "tools/bench-training", {"tiny", "--program", LINNET_PROGRAM, "--scratch", scratch / "."});
  ASSERT_EQ(table.exit_code, 0) << table.err;
  const size_t row = table.out.find("| tiny | ");
  ASSERT_NE(row, std::string::npos) << table.out;
  EXPECT_GT(std::stod(table.out.substr(row + 9)), 0) << table.out;
  EXPECT_TRUE(std::filesystem::is_empty(scratch / "."));
}

}  // namespace
}  // namespace linnet
