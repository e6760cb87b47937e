// Recall and BM25 by hand, and the sets of the public files.
#include "eval/retrieval.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <fstream>
#include <map>
#include <string>
#include <vector>

#include "base/scratch_folder.h"
#include "io/test_bytes.h"
#include "models/goldens.h"
#include "models/test_models.h"

namespace linnet {
namespace {

using test::MessageOf;

TEST(RecallTest, CountsRanksOfTheRightDocument) {
  RetrievalSet set{.queries = {"a", "b", "c", "d"},
                   .documents = std::vector<std::string>(7),
                   .right = {0, 6, 2, 3}};
  const std::vector<std::vector<double>> scores = {
      {9, 1, 2, 3, 4, 5, 6},   // first
      {9, 1, 2, 3, 4, 5, 6},   // second
      {1, 1, 1, 1, 1, 1, 1},   // equal ones before it are better: third
      {9, 8, 7, 1, 6, 5, 4}};  // seventh
  const Recall recall = RecallOf(set, [&](size_t i) { return scores[i]; });
  EXPECT_EQ(recall.queries, 4u);
  EXPECT_DOUBLE_EQ(recall.at1, 0.25);
  EXPECT_DOUBLE_EQ(recall.at5, 0.75);
}

TEST(Bm25Test, IsTheFormula) {
  const std::vector<std::string> documents = {"The cat, the CAT!", "a dog", "The dog and the cat"};
  const Bm25 bm25(documents);
  const double mean = (4 + 2 + 5) / 3.0;
  const auto term = [&](double f, double length, double n) {
    const double idf = std::log(1 + (3 - n + 0.5) / (n + 0.5));
    return idf * f * 2.2 / (f + 1.2 * (0.25 + 0.75 * length / mean));
  };
  const auto scores = bm25.Scores("Cat dog bird");
  EXPECT_NEAR(scores[0], term(2, 4, 2), 1e-12);
  EXPECT_NEAR(scores[1], term(1, 2, 2), 1e-12);
  EXPECT_NEAR(scores[2], term(1, 5, 2) + term(1, 5, 2), 1e-12);
  EXPECT_EQ(bm25.Scores("bird"), (std::vector<double>{0, 0, 0}));
  EXPECT_EQ(Bm25(std::vector<std::string>{}).Scores("x"), std::vector<double>{});
}

class RetrievalSetTest : public testing::Test {
 protected:
  void Write(const std::string& name, const std::string& text) const {
    std::ofstream(folder_ / name) << text;
  }
  std::string Xcopa(const char* language, int rows) const {
    std::string text;
    for (int i = 0; i < rows; ++i) {
      const std::string n = std::to_string(i);
      text += R"({"premise":")" + std::string(language) + " premise " + n + R"(","choice1":"one )" +
              n + R"(","choice2":"two )" + n + R"(","label":)" + std::to_string(i % 2) +
              R"(,"idx":)" + n + "}\n";
    }
    return text;
  }
  test::TemporaryFolder folder_;
};

TEST_F(RetrievalSetTest, ReadsTalesAndQuestions) {
  Write("fairytaleqa_stories.txt", "First tale.<|endoftext|>\nSecond tale.<|endoftext|>\n");
  Write("fairytaleqa_qa.jsonl",
        R"({"story":"a","question":"Who?","answer":"x"}
{"story":"b","question":"Where?","answer":"y"}
{"story":"a","question":"Why?","answer":"z"}
)");
  const auto sets = ReadRetrievalSets(folder_ / "", 0);
  ASSERT_EQ(sets.size(), 1u);
  EXPECT_EQ(sets[0].documents, (std::vector<std::string>{"First tale.", "Second tale."}));
  EXPECT_EQ(sets[0].queries, (std::vector<std::string>{"Who?", "Where?", "Why?"}));
  EXPECT_EQ(sets[0].right, (std::vector<size_t>{0, 1, 0}));
}

TEST_F(RetrievalSetTest, ReadsChoicesAndTranslations) {
  Write("test.et.jsonl", Xcopa("et", 5));
  Write("test.it.jsonl", Xcopa("it", 5));
  auto sets = ReadRetrievalSets(folder_ / "", 0);
  ASSERT_EQ(sets.size(), 2u);
  EXPECT_EQ(sets[0].choices, 2u);
  EXPECT_EQ(sets[0].queries.size(), 10u);
  EXPECT_EQ(sets[0].documents[sets[0].right[3]], "two 3");
  EXPECT_EQ(sets[1].queries[2], "it premise 2");
  EXPECT_EQ(sets[1].documents[sets[1].right[2]], "et premise 2");
  sets = ReadRetrievalSets(folder_ / "", 3);  // choices move with their queries
  ASSERT_EQ(sets[0].queries.size(), 3u);
  EXPECT_EQ(sets[0].documents.size(), 6u);
  for (size_t i = 0; i < 3; ++i) EXPECT_EQ(sets[0].right[i] / 2, i);
  EXPECT_EQ(sets[0].queries[1], "et premise 3");
  EXPECT_EQ(sets[0].documents[sets[0].right[1]], "two 3");
  EXPECT_EQ(sets[1].documents.size(), 5u);
}

TEST_F(RetrievalSetTest, WhatIsMissingOrWrongIsNamed) {
  EXPECT_NE(MessageOf([&] { ReadRetrievalSets(folder_ / "", 0); }).find("has neither"),
            std::string::npos);
  Write("test.et.jsonl", R"({"premise":"p","choice1":"a","choice2":"b","label":2,"idx":0})");
  EXPECT_NE(MessageOf([&] { ReadRetrievalSets(folder_ / "", 0); }).find("a label is 2"),
            std::string::npos);
}

// With the documents as queries each finds itself, whole and by its passages.
TEST(MeasureRetrievalTest, ATextIsNearestToItself) {
  const Model model = Model::Open(test::ByteModel("7"));
  Workspace workspace({.threads = 1});
  const Embedder embedder(model, Tokenizer::ForVocabulary(256));
  RetrievalSet set;
  for (size_t i = 0; i < 8; ++i) {
    set.documents.push_back("text " + std::to_string(i * i * 31337));
    set.queries.push_back(set.documents.back());
    set.right.push_back(i);
  }
  for (const bool passages : {false, true}) {
    const auto scores = MeasureRetrieval(set, embedder, workspace, passages, {});
    ASSERT_EQ(scores.size(), 6u);
    for (const RetrievalScore& score : scores) {
      EXPECT_DOUBLE_EQ(score.recall.at1, 1) << score.method << passages;
    }
  }
}

TEST(MeasureRetrievalTest, PublicSetsHaveTheirSizes) {
  if (goldens::Missing()) GTEST_SKIP() << "../shared/data is absent";
  const auto tales = ReadRetrievalSets(goldens::Data("text"), 200);
  ASSERT_EQ(tales.size(), 1u);
  EXPECT_EQ(tales[0].documents.size(), 278u);
  EXPECT_EQ(tales[0].queries.size(), 200u);
  EXPECT_GT(RecallOfBm25(tales[0]).at1, 0.5);
  const auto xcopa = ReadRetrievalSets(goldens::Data("eval"), 0);
  ASSERT_EQ(xcopa.size(), 2u);
  EXPECT_EQ(xcopa[0].queries.size(), 5500u);
  EXPECT_EQ(xcopa[1].queries.size(), 5000u);
  EXPECT_EQ(xcopa[1].documents.size(), 500u);
}

}  // namespace
}  // namespace linnet
