#include "eval/task_config.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "base/scratch_folder.h"
#include "eval/yaml_value.h"
#include "linnet/error.h"

namespace linnet {
namespace {

template <class F>
std::string ErrorOf(F&& f) {
  try {
    f();
  } catch (const Error& error) {
    return error.what();
  }
  return "none";
}

TEST(YamlValueTest, GivesPlainWordsPythonsTypes) {
  const TaskJson v = ParseYaml(
      "a: yes\nb: 'yes'\nc: 2016\nd: \"2016\"\ne: 1.0\nf: ~\ng: 1e3\nh: off\ni: No\nj: nO\nk: [1, "
      "x]\nl: !function u.f\nm: +7\n",
      "t")[0];
  EXPECT_EQ(
      v,
      TaskJson::parse(
          R"({"a":true,"b":"yes","c":2016,"d":"2016","e":1.0,"f":null,"g":"1e3","h":false,"i":false,"j":"nO","k":[1,"x"],"l":{"!function":"u.f"},"m":7})"));
}

TEST(YamlValueTest, RefusesWhatIsNoYamlOrTooLarge) {
  EXPECT_NE(ErrorOf([] { ParseYaml("a: [1", "file.yaml"); }).find("file.yaml: line 1"),
            std::string::npos);
  EXPECT_NE(ErrorOf([] { ParseYaml("a: !python/object:os.system x", "f"); }).find("has no meaning"),
            std::string::npos);
  // Each line ten times the one before.
  std::string bomb = "a0: &a0 [x,x,x,x,x,x,x,x,x,x]\n";
  for (int i = 1; i < 9; ++i) {
    bomb += "a" + std::to_string(i) + ": &a" + std::to_string(i) + " [";
    for (int k = 0; k < 10; ++k) bomb += (k > 0 ? ",*a" : "*a") + std::to_string(i - 1);
    bomb += "]\n";
  }
  EXPECT_NE(ErrorOf([&] { ParseYaml(bomb, "f"); }).find("too large"), std::string::npos);
  EXPECT_NE(ErrorOf([] { ParseYaml(std::string(5000, '['), "f"); }), "none");
}

TEST(TaskLibraryTest, HasTheTablesTasks) {
  const TaskLibrary library;
  EXPECT_EQ(library.Resolve("rwkv_english").size(), 12u);
  EXPECT_EQ(library.Resolve("mmlu").size(), 57u);
  EXPECT_EQ(library.Resolve("mmlu_rwkv").size(), 57u);
  EXPECT_EQ(library.Resolve("mmlu_stem").size(), 19u);
  EXPECT_EQ(library.Resolve("xcopa").size(), 11u);
  EXPECT_EQ(library.Resolve("rwkv_multilingual").size(), 5u + 11 + 6 + 11);
  EXPECT_EQ(library.Resolve("ai2_arc").size(), 2u);  // a tag
  // Every member of every group is there.
  for (const std::string& name : library.Names())
    EXPECT_FALSE(library.Resolve(name).empty()) << name;
  EXPECT_NE(ErrorOf([&] { library.Resolve("pica"); }).find("no task 'pica'; there are "),
            std::string::npos);
}

class TaskFileTest : public ::testing::Test {
 protected:
  std::string Failure(const std::string& text) {
    return ErrorOf([&] { TaskLibrary().AddFile(folder_.Write("t.yaml", text)); });
  }
  test::TemporaryFolder folder_;
};

TEST_F(TaskFileTest, ReadsTheHarnesssFieldsAndIncludes) {
  folder_.Write("base_yaml",
                "output_type: multiple_choice\ndoc_to_text: \"{{q}}\"\ndoc_to_choice: {a: x, b: "
                "y}\ntest_split: test\nmetric_list: [{metric: acc_bytes}]\n");
  const auto path = folder_.Write("mine.yaml",
                                  "include: base_yaml\ntask: mine\ndoc_to_target: 1\ntag: [t1, "
                                  "t2]\nnum_fewshot: 2\ntarget_delimiter: \"\"\n");
  TaskLibrary library;
  EXPECT_EQ(library.AddFile(path), std::vector<std::string>{"mine"});
  const TaskConfig& task = *library.Resolve("t2").at(0);
  EXPECT_EQ(task.output, TaskOutput::kMultipleChoice);
  EXPECT_EQ(task.doc_to_choice, TaskJson({"x", "y"}));
  EXPECT_EQ(task.metrics.at(0).name, "acc_bytes");
  EXPECT_TRUE(task.metrics.at(0).higher_is_better);
  EXPECT_EQ(task.num_fewshot, 2u);
  EXPECT_EQ(task.target_delimiter, "");
  EXPECT_EQ(task.eval_split(), "test");
  const auto group = folder_.Write("group.yaml",
                                   "group: both\ntask: [mine, piqa]\naggregate_metric_list: "
                                   "{metric: acc, weight_by_size: false}\n");
  library.AddFile(group);
  EXPECT_EQ(library.Resolve("both").size(), 2u);
  EXPECT_FALSE(library.FindGroup("both")->aggregates.at(0).weight_by_size);
}

TEST_F(TaskFileTest, SaysWhatItDoesNotKnow) {
  EXPECT_NE(
      Failure("task: t\ndoc_to_text: !function utils.f\n")
          .find(
              "t.yaml: task t: doc_to_text is the Python function utils.f; write it as a template"),
      std::string::npos);
  EXPECT_NE(Failure("task: t\nprocess_docs: !function utils.f\n").find("process_docs"),
            std::string::npos);
  EXPECT_NE(Failure("task: t\noutput_type: chat\n").find("expected loglikelihood"),
            std::string::npos);
  EXPECT_NE(Failure("task: t\nmetric_list: [{metric: bleu}]\n").find("metric bleu"),
            std::string::npos);
  EXPECT_NE(Failure("task: t\noutput_type: multiple_choice\n").find("needs doc_to_choice"),
            std::string::npos);
  EXPECT_NE(Failure("- 1\n").find("expected the fields of a task"), std::string::npos);
  EXPECT_NE(Failure("a: 1\n").find("have no `task`"), std::string::npos);
  folder_.Write("loop.yaml", "include: loop.yaml\ntask: t\n");
  EXPECT_NE(Failure("include: loop.yaml\ntask: t\n").find("circle"), std::string::npos);
  EXPECT_NE(Failure("include: none.yaml\ntask: t\n").find("none.yaml: cannot be read"),
            std::string::npos);
  EXPECT_NE(Failure("group: g\ntask: [g]\n"), "");
  TaskLibrary library;
  library.AddFile(folder_.Write("g.yaml", "group: g\ntask: [g]\n"));
  EXPECT_NE(ErrorOf([&] { library.Resolve("g"); }).find("contains itself"), std::string::npos);
}

}  // namespace
}  // namespace linnet
