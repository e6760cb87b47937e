#include "eval/task_prompts.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <sstream>

#include "base/scratch_folder.h"
#include "linnet/error.h"

namespace linnet {
namespace {

// tests/eval/make_prompts.py: rows by hand in the form in which each data set is published, and
// what lm-evaluation-harness asks for these rows.
TEST(TaskPromptsTest, AreTheHarnesssToTheByte) {
  std::ifstream in("tests/eval/prompts.json");
  ASSERT_TRUE(in) << "tests run from the project's root";
  const TaskJson cases = TaskJson::parse(in);
  const TaskLibrary library;
  ASSERT_GT(cases.size(), 20u);
  for (const TaskJson& one : cases) {
    const std::string name = one["task"].get<std::string>();
    SCOPED_TRACE(name);
    const test::TemporaryFolder folder;
    for (const auto& [file, text] : one["files"].items()) {
      std::filesystem::create_directories((folder.path() / file).parent_path());
      folder.Write(file, text.get<std::string>());
    }
    TaskData data(folder.path());
    try {
      const TaskPrompts prompts(*library.Resolve(name).at(0), data,
                                {.num_fewshot = one["shots"].get<size_t>()});
      ASSERT_EQ(prompts.documents().size(), one["documents"].size());
      for (size_t d = 0; d < prompts.documents().size(); ++d) {
        const TaskDocument& got = prompts.documents()[d];
        const TaskJson& wanted = one["documents"][d];
        EXPECT_EQ(got.prompt, wanted["prompt"].get<std::string>());
        ASSERT_EQ(got.pairs.size(), wanted["pairs"].size());
        for (size_t p = 0; p < got.pairs.size(); ++p) {
          EXPECT_EQ(got.pairs[p].context, wanted["pairs"][p][0].get<std::string>());
          EXPECT_EQ(got.pairs[p].continuation, wanted["pairs"][p][1].get<std::string>());
        }
      }
    } catch (const Error& error) {
      ADD_FAILURE() << error.what();
    }
  }
}

class OwnTaskTest : public ::testing::Test {
 protected:
  TaskPrompts Load(const std::string& yaml, const std::string& rows,
                   const TaskOptions& options = {}) {
    folder_.Write("rows.jsonl", rows);
    library_.AddFile(folder_.Write("t.yaml",
                                   "task: t\ntest_split: test\ndataset_path: json\ndataset_kwargs: "
                                   "{data_files: {test: rows.jsonl}}\n" +
                                       yaml));
    return TaskPrompts(*library_.Resolve("t").at(0), data_, options);
  }
  std::vector<double> Values(const TaskPrompts& prompts, size_t document,
                             const std::vector<PairScore>& scores) {
    std::vector<double> out;
    for (const DocumentValue& value : prompts.Values(prompts.documents()[document], scores))
      out.push_back(value.sample.value);
    return out;
  }
  test::TemporaryFolder folder_;
  TaskLibrary library_;
  TaskData data_{"none"};
};

// acc_norm divides by characters, acc_bytes by bytes.
TEST_F(OwnTaskTest, ChoicesAreComparedByLength) {
  const TaskPrompts prompts = Load(
      "output_type: multiple_choice\ndoc_to_text: q\ndoc_to_target: \"{{y}}\"\ndoc_to_choice: "
      "c\nmetric_list: [{metric: acc}, {metric: acc_norm}, {metric: acc_bytes}, {metric: "
      "exact_match}, {metric: brier_score}]\n",
      "{\"q\":\"Q\",\"y\":1,\"c\":[\"abcd\",\"éé\"]}\n");
  // -3 / 4 = -0.75; -1.6 / 2 = -0.8, and -1.6 / 4 = -0.4.
  const auto values = Values(prompts, 0, {{-3, false}, {-1.6, true}});
  const double p = 1 / (1 + std::exp(-1.4)), brier = 2 * (1 - p) * (1 - p);
  ASSERT_EQ(values.size(), 5u);
  EXPECT_EQ(values[0], 1);
  EXPECT_EQ(values[1], 0);
  EXPECT_EQ(values[2], 1);
  EXPECT_EQ(values[3], 1);
  EXPECT_NEAR(values[4], brier, 1e-12);
  EXPECT_EQ(prompts.documents()[0].pairs[1].continuation, " éé");
}

TEST_F(OwnTaskTest, SeveralChoicesMayBeRight) {
  const TaskPrompts prompts = Load(
      "output_type: multiple_choice\ndoc_to_text: q\ndoc_to_target: y\ndoc_to_choice: [a, b, c]\n",
      "{\"q\":\"Q\",\"y\":[0,2]}\n");
  EXPECT_EQ(Values(prompts, 0, {{-3, false}, {-2, false}, {-1, false}})[0], 1);
  EXPECT_EQ(Values(prompts, 0, {{-3, false}, {-1, false}, {-2, false}})[0], 0);
}

TEST_F(OwnTaskTest, MutualInformationTakesTheAnswersOwnLikelihoodOff) {
  const TaskPrompts prompts = Load(
      "output_type: multiple_choice\ndoc_to_text: q\ndoc_to_target: 0\ndoc_to_choice: [a, "
      "b]\nmetric_list: [{metric: acc}, {metric: acc_mutual_info}]\n",
      "{\"q\":\"Q\"}\n");
  ASSERT_EQ(prompts.documents()[0].pairs.size(), 4u);
  EXPECT_EQ(prompts.documents()[0].pairs[2].context, "");
  EXPECT_EQ(Values(prompts, 0, {{-3, false}, {-2, false}, {-5, false}, {-1, false}}),
            (std::vector<double>{0, 1}));
}

TEST_F(OwnTaskTest, RollingCountsWordsAndBytes) {
  const TaskPrompts prompts =
      Load("output_type: loglikelihood_rolling\ndoc_to_text: \"\"\ndoc_to_target: \"{{t}}\"\n",
           "{\"t\":\" zwei ß  x\"}\n");
  const auto values = prompts.Values(prompts.documents()[0], {{-12, false}});
  ASSERT_EQ(values.size(), 3u);
  EXPECT_EQ(values[0].metric, "word_perplexity");
  EXPECT_EQ(values[0].sample.weight, 4);  // "", "zwei", "ß", "x"
  EXPECT_EQ(values[1].sample.weight, 11);
  EXPECT_EQ(values[2].sample.value, -12);
}

TEST_F(OwnTaskTest, AnswersAreFilteredAndCompared) {
  const TaskPrompts prompts = Load(
      "doc_to_text: \"{{q}}\"\ndoc_to_target: \"{{a}}\"\ngeneration_kwargs: {until: [\"\\n\"], "
      "max_gen_toks: 9}\nfilter_list:\n- {name: num, filter: [{function: regex, regex_pattern: "
      "'(-?[0-9.]+)', group_select: -1}, {function: take_first}]}\n- {name: raw, filter: "
      "[{function: remove_whitespace}]}\nmetric_list: [{metric: exact_match, ignore_case: true}]\n",
      "{\"q\":\"Q\",\"a\":\"42\"}\n{\"q\":\"R\",\"a\":\"YES\"}\n");
  std::vector<std::string> filtered;
  auto values = prompts.Values(prompts.documents()[0], " it is 7, no 42 ", filtered);
  EXPECT_EQ(filtered, (std::vector<std::string>{"42", "it is 7, no 42"}));
  EXPECT_EQ(values[0].filter, "num");
  EXPECT_EQ(values[0].sample.value, 1);
  EXPECT_EQ(values[1].sample.value, 0);
  filtered.clear();
  values = prompts.Values(prompts.documents()[1], " yes\n", filtered);
  EXPECT_EQ(filtered[0], "[invalid]");
  EXPECT_EQ(values[1].sample.value, 1);
}

TEST_F(OwnTaskTest, LimitsRowsAndNamesTheRowThatFails) {
  const std::string rows = "{\"q\":\"a\"}\n{\"q\":\"b\"}\n{\"q\":\"c\"}\n{\"r\":\"d\"}\n";
  const std::string yaml = "output_type: loglikelihood\ndoc_to_text: \"{{q}}\"\ndoc_to_target: x\n";
  EXPECT_EQ(Load(yaml, rows, {.limit = 2}).documents().size(), 2u);
  EXPECT_EQ(Load(yaml, rows, {.limit = 0.3}).documents().size(), 2u);  // rounded up
  try {
    Load(yaml, rows);
    FAIL();
  } catch (const Error& error) {
    EXPECT_NE(std::string(error.what()).find("task t: row 3 of "), std::string::npos);
    EXPECT_NE(std::string(error.what()).find("'q' is not a field of the row, which has r"),
              std::string::npos);
  }
}

TEST(TaskDataTest, SaysWhatFilesItExpects) {
  const TaskLibrary library;
  TaskData data("nowhere");
  try {
    TaskPrompts(*library.Resolve("piqa").at(0), data, {});
    FAIL();
  } catch (const Error& error) {
    EXPECT_NE(
        std::string(error.what())
            .find(
                "task piqa: no rows of the split validation in nowhere; expected piqa.valid.jsonl"),
        std::string::npos)
        << error.what();
  }
}

}  // namespace
}  // namespace linnet
