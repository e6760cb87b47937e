#include "eval/row_files.h"

#include <gtest/gtest.h>

#include "base/scratch_folder.h"
#include "linnet/error.h"

namespace linnet {
namespace {

class RowFilesTest : public ::testing::Test {
 protected:
  TaskRows Read(const std::string& name, const std::string& text,
                const RowFileOptions& options = {}) {
    return ReadRowFile(folder_.Write(name, text), options);
  }
  std::string Failure(const std::string& name, const std::string& text) {
    try {
      Read(name, text);
    } catch (const Error& error) {
      return error.what();
    }
    return "none";
  }
  test::TemporaryFolder folder_;
};

TEST_F(RowFilesTest, ReadsEveryKind) {
  const TaskRows wanted = {{{"a", "x"}, {"n", 1}}, {{"a", "y\n,\"z"}, {"n", 2}}};
  EXPECT_EQ(
      Read("r.jsonl", "\xEF\xBB\xBF{\"a\":\"x\",\"n\":1}\r\n\n{\"a\":\"y\\n,\\\"z\",\"n\":2}"),
      wanted);
  EXPECT_EQ(Read("r.json", "[{\"a\":\"x\",\"n\":1},{\"a\":\"y\\n,\\\"z\",\"n\":2}]"), wanted);
  EXPECT_EQ(Read("lines.json", "{\"a\":\"x\",\"n\":1}\n{\"a\":\"y\\n,\\\"z\",\"n\":2}\n"), wanted);
  EXPECT_EQ(Read("r.csv", "a,n\r\nx,1\r\n\"y\n,\"\"z\",2\r\n"), wanted);
  EXPECT_EQ(Read("texts.json", "[\"one\", \"two\"]"),
            (TaskRows{{{"text", "one"}}, {{"text", "two"}}}));
  EXPECT_EQ(Read("one.json", "{\"exams\":{}}"), (TaskRows{{{"exams", TaskJson::object()}}}));
}

TEST_F(RowFilesTest, ColumnsAreNumbersIfAllTheirValuesAre) {
  const TaskRows rows =
      Read("r.tsv", "w\tn\tr\tm\tq\n1a\t1\t1.5\t\t\"he\" said\n2\t-2\t2\t7\t\"whole\"\n");
  EXPECT_EQ(rows[0],
            (TaskJson{{"w", "1a"}, {"n", 1}, {"r", 1.5}, {"m", nullptr}, {"q", "\"he\" said"}}));
  EXPECT_EQ(rows[1], (TaskJson{{"w", "2"}, {"n", -2}, {"r", 2.0}, {"m", 7}, {"q", "whole"}}));
  EXPECT_EQ(Read("n.csv", "x,5\ny,6\n", {.columns = {"a", "b"}}),
            (TaskRows{{{"a", "x"}, {"b", 5}}, {{"a", "y"}, {"b", 6}}}));
}

TEST_F(RowFilesTest, SaysTheLineThatIsWrong) {
  EXPECT_NE(Failure("r.jsonl", "{\"a\":1}\n{\"a\":}\n").find("r.jsonl: line 2: "),
            std::string::npos);
  EXPECT_NE(Failure("r.jsonl", "[1]\n").find("line 1: found no JSON object"), std::string::npos);
  EXPECT_NE(Failure("r.csv", "a,b\n1\n").find("line 2: found 1 fields, expected 2"),
            std::string::npos);
  EXPECT_NE(Failure("r.csv", "a\n\"open\n").find("has no end"), std::string::npos);
  EXPECT_NE(Failure("r.json", "[{\"a\": 1}").find("r.json: "), std::string::npos);
  EXPECT_NE(Failure("r.json", "[[1]]").find("not a JSON object"), std::string::npos);
  EXPECT_NE(Failure("r.txt", "x").find("expected a .jsonl"), std::string::npos);
  EXPECT_NE(Failure("r.jsonl", "").find("has no rows"), std::string::npos);
  if (!CanReadArrow()) {
    EXPECT_NE(Failure("r.parquet", "PAR1").find("built without Arrow"), std::string::npos);
  }
}

TEST_F(RowFilesTest, FormsSayWhatARowLacks) {
  const auto form = [&](const char* name, const TaskJson& row) {
    try {
      InPublicForm(name, {row}, folder_ / "f.json");
    } catch (const Error& error) {
      return std::string(error.what());
    }
    return std::string("none");
  };
  EXPECT_NE(
      form("headqa", {{"exams", {{"one", {{"data", {{{"ra", "x"}}}}}}}}}).find("expected a number"),
      std::string::npos);
  EXPECT_NE(form("storycloze", {{"a", 1}}).find("has no 'answer_right_ending'"), std::string::npos);
  EXPECT_NE(
      form("record", {{"passage", {{"text", "ab"}, {"entities", {{{"start", 1}, {"end", 2}}}}}},
                      {"qas", TaskJson::array()}})
          .find("outside its passage"),
      std::string::npos);
  EXPECT_NE(form("mmlu", {{"question", 1}, {"choices", {"a"}}, {"answer", "E"}})
                .find("found the answer E"),
            std::string::npos);
  folder_.Write("dev-labels.lst", "1\n");
  EXPECT_THROW(InPublicForm("piqa", {{{"goal", "a"}}, {{"goal", "b"}}}, folder_ / "dev.jsonl"),
               Error);
}

TEST_F(RowFilesTest, FindsTheFirstNameThatFitsAndItsShards) {
  folder_.Write("a-00001.jsonl", "x");
  folder_.Write("a-00000.jsonl", "x");
  const auto found =
      FindDataFiles(folder_.path(), {"none.json", "b*.jsonl", "a-*.jsonl", "a-00001.jsonl"});
  ASSERT_EQ(found.size(), 2u);
  EXPECT_EQ(found[0].filename(), "a-00000.jsonl");
  EXPECT_TRUE(FindDataFiles(folder_.path(), {"none/*.json"}).empty());
}

}  // namespace
}  // namespace linnet
