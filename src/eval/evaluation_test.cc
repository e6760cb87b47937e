#include "eval/evaluation.h"

#include <gtest/gtest.h>

#include <cmath>
#include <fstream>
#include <thread>

#include "base/scratch_folder.h"
#include "eval/loss_curve.h"
#include "eval/perplexity.h"
#include "eval/reading_order.h"
#include "eval/uncheatable.h"
#include "linnet/error.h"
#include "models/test_models.h"

namespace linnet {
namespace {

// Exchanges of several runs in one thread: each run first says what it has, then gets all.
class Exchange {
 public:
  // What `run` returns when it is process 0 of so many.
  template <class F>
  auto OnProcesses(size_t processes, F&& run) {
    std::vector<std::vector<double>> known;  // complete arrays so far
    while (true) {
      std::vector<double> next;
      decltype(run(EvaluationOptions())) result;
      bool more = false;
      for (size_t r = processes; r-- > 0;) {
        size_t calls = 0;
        EvaluationOptions options;
        options.process = r;
        options.processes = processes;
        options.exchange = [&](std::span<double> values, std::span<const size_t> bounds) {
          if (calls < known.size()) {
            std::copy(known[calls].begin(), known[calls].end(), values.begin());
            ++calls;
            return;
          }
          next.resize(values.size());
          std::copy(values.begin() + static_cast<std::ptrdiff_t>(bounds[r]),
                    values.begin() + static_cast<std::ptrdiff_t>(bounds[r + 1]),
                    next.begin() + static_cast<std::ptrdiff_t>(bounds[r]));
          more = true;
          throw Stop();
        };
        try {
          result = run(options);
        } catch (const Stop&) {
        }
      }
      if (!more) return result;
      known.push_back(std::move(next));
    }
  }

 private:
  struct Stop {};
};

class EvaluationTest : public ::testing::Test {
 protected:
  void SetUp() override {
    std::string rows;
    for (int i = 0; i < 9; ++i) {
      rows += TaskJson{{"q", "The " + std::string(static_cast<size_t>(i), 'o') + "wl said"},
                       {"c", {"yes", "no, it is", "it"}},
                       {"y", i % 3},
                       {"a", "x"}}
                  .dump() +
              "\n";
    }
    folder_.Write("rows.jsonl", rows);
    const std::string data = "test_split: test\ndataset_kwargs: {data_files: {test: rows.jsonl}}\n";
    library_.AddFile(folder_.Write("choice.yaml",
                                   "task: choice\noutput_type: multiple_choice\ndoc_to_text: "
                                   "q\ndoc_to_target: y\ndoc_to_choice: c\n" +
                                       data));
    library_.AddFile(folder_.Write(
        "likely.yaml",
        "task: likely\noutput_type: loglikelihood\ndoc_to_text: q\ndoc_to_target: \" yes\"\n" +
            data));
    library_.AddFile(folder_.Write("write.yaml",
                                   "task: write\ndoc_to_text: q\ndoc_to_target: "
                                   "a\ngeneration_kwargs: {until: [e], max_gen_toks: 12}\n" +
                                       data));
    library_.AddFile(
        folder_.Write("all.yaml",
                      "group: all\ntask: [choice, likely, write]\naggregate_metric_list: [{metric: "
                      "acc, weight_by_size: true}]\n"));
    for (const TaskConfig* task : library_.Resolve("all"))
      prompts_.emplace_back(*task, data_, TaskOptions());
  }
  std::vector<TaskResult> Run(EvaluationOptions options, size_t threads = 1) {
    options.bootstrap = 1000;
    options.pad = {10};
    Workspace workspace({.threads = threads});
    return Evaluate(model_, *tokenizer_, workspace, prompts_, options);
  }
  std::string Json(const std::vector<TaskResult>& results) {
    return ResultsJson(library_, std::vector<std::string>{"all"}, results).dump();
  }

  test::TemporaryFolder folder_;
  TaskLibrary library_;
  TaskData data_{folder_.path()};
  std::vector<TaskPrompts> prompts_;
  Model model_ = Model::Open(test::ByteModel("v7"));
  std::shared_ptr<const Tokenizer> tokenizer_ = Tokenizer::ForVocabulary(256);
};

TEST_F(EvaluationTest, ReportsInTheHarnesssLayout) {
  const TaskJson json = TaskJson::parse(Json(Run({})));
  for (const char* key :
       {"acc,none", "acc_stderr,none", "acc_norm,none", "alias", "name", "sample_len"}) {
    EXPECT_TRUE(json["results"]["choice"].contains(key)) << key;
  }
  EXPECT_TRUE(json["results"]["likely"]["perplexity_stderr,none"].is_number());
  EXPECT_TRUE(json["results"]["write"].contains("exact_match,none"));
  // The group's mean of the tasks that have acc.
  const double mean = (json["results"]["choice"]["acc,none"].get<double>() +
                       json["results"]["likely"]["acc,none"].get<double>()) /
                      2;
  EXPECT_NEAR(json["groups"]["all"]["acc,none"].get<double>(), mean, 1e-12);
  EXPECT_EQ(json["group_subtasks"]["all"], TaskJson({"choice", "likely", "write"}));
  EXPECT_EQ(json["n-samples"]["choice"]["effective"], 9);
  EXPECT_EQ(json["higher_is_better"]["likely"]["perplexity"], false);
}

TEST_F(EvaluationTest, IsTheSameOnAnyThreadsAndProcesses) {
  const std::string alone = Json(Run({}));
  EXPECT_EQ(Json(Run({}, 3)), alone);
  EvaluationOptions small;
  small.scoring.rows = 3;
  small.scoring.logit_rows = 1;
  EXPECT_EQ(Json(Run(small)), alone);
  for (const size_t processes : {2, 4}) {
    EXPECT_EQ(
        Json(Exchange().OnProcesses(processes, [&](const EvaluationOptions& o) { return Run(o); })),
        alone)
        << processes;
  }
}

TEST_F(EvaluationTest, GoesOnFromAJournalWithTheSameNumbers) {
  const std::string alone = Json(Run({}));
  const auto path = folder_ / "journal.jsonl";
  EvaluationOptions options;
  {  // stopped after the first passes
    EvalJournal journal(path, "model");
    options.journal = &journal;
    options.scoring.rows = 20;
    size_t passes = 0;
    options.progress = [&](const char*, size_t, size_t) {
      if (++passes == 5) throw Error(ErrorKind::kBusy, "stopped");
    };
    EXPECT_THROW(Run(options), Error);
  }
  std::ofstream(path, std::ios::app) << "{\"model\":\"model\",\"key\":\"cut of";
  options.progress = nullptr;
  size_t first = 0;
  {
    EvalJournal journal(path, "model");
    first = journal.found();
    EXPECT_GT(first, 0u);
    options.journal = &journal;
    EXPECT_EQ(Json(Run(options)), alone);
  }
  {  // all is known: nothing is run
    EvalJournal journal(path, "model");
    EXPECT_GT(journal.found(), first);
    options.journal = &journal;
    options.progress = [](const char*, size_t, size_t total) { EXPECT_EQ(total, 0u); };
    EXPECT_EQ(Json(Run(options)), alone);
  }
  EXPECT_EQ(EvalJournal(path, "another").found(), 0u);
  EvalJournal(path, "model").Remove();
  EXPECT_FALSE(std::filesystem::exists(path));
}

TEST_F(EvaluationTest, SamplesHoldWhatWasAsked) {
  std::vector<TaskJson> samples;
  EvaluationOptions options;
  options.sample = [&](const TaskJson& sample) { samples.push_back(sample); };
  Run(options);
  ASSERT_EQ(samples.size(), 27u);
  EXPECT_EQ(samples[1]["task"], "choice");
  EXPECT_EQ(samples[1]["arguments"][0], TaskJson({"The owl said", " yes"}));
  EXPECT_TRUE(samples[1]["filtered_resps"][0][0].is_number());
  EXPECT_TRUE(samples[1]["acc"].is_number());
  EXPECT_TRUE(samples[26]["filtered_resps"][0].is_string());
  EXPECT_LE(CountCharacters(samples[26]["resps"][0][0].get<std::string>()), 12u);
}

TEST_F(EvaluationTest, WeightsThatOverflowAreNoScore) {
  const auto path = test::Once("nan-eval.pth", [](const auto& p) {
    test::WriteRandomModel({.generation = Generation::k7, .layers = 1, .width = 64, .vocab = 256},
                           SourceType::kF32, p,
                           [](const std::string& name, std::vector<float>& values) {
                             if (name == "head.weight") values[0] = NAN;
                           });
  });
  model_ = Model::Open(path);
  EXPECT_THROW(Run({}), Error);
}

const std::vector<std::string> kDocuments = {
    "The morning was clear. She said that the boat would come.", "x", "",
    std::string(2500, 'a') + "ü", "日本"};

TEST(UncheatableTest, IsPerplexityInChunksOverAllBytes) {
  const Model model = Model::Open(test::ByteModel("v6"));
  const auto tokenizer = Tokenizer::ForVocabulary(256);
  Workspace workspace({.threads = 2});
  const CompressionScore score = ScoreCompression(model, *tokenizer, workspace, kDocuments, {});
  double nats = 0;
  size_t bytes = 0, characters = 0;
  for (const std::string& document : kDocuments) {
    PerplexityOptions options;
    options.chunk = 1024;
    nats += ScoreText(model, *tokenizer, workspace, document, options).nats;
    bytes += document.size();
    characters += CountCharacters(document);
  }
  EXPECT_NEAR(score.nats, nats, 1e-6 * nats);
  EXPECT_EQ(score.bytes, bytes);
  EXPECT_EQ(score.characters, characters);
  EXPECT_EQ(score.documents, kDocuments.size());
  // (Σ nll / n) / (Σ bytes / n) / ln 2 · 0.125 · 100, and bits per byte are 0.08 of it.
  const auto n = static_cast<double>(kDocuments.size());
  EXPECT_NEAR(score.compression_rate(),
              score.nats / n / (static_cast<double>(bytes) / n) / std::log(2.0) * 0.125 * 100,
              1e-9);
  EXPECT_NEAR(score.bits_per_byte(), score.compression_rate() * 0.08, 1e-12);
  const CompressionScore shared = Exchange().OnProcesses(3, [&](EvaluationOptions o) {
    o.scoring.rows = 100;
    return ScoreCompression(model, *tokenizer, workspace, kDocuments, o);
  });
  EXPECT_EQ(shared.nats, score.nats);
}

TEST(LossCurveTest, HasTheMeanOfEveryPosition) {
  LossCurve curve;
  for (size_t position = 0; position < 5000; ++position)
    curve.Add(position, static_cast<double>(position));
  curve.Add(0, 2);
  const auto points = curve.points();
  EXPECT_EQ(points[0].tokens, 2u);
  EXPECT_EQ(points[0].nats, 1);
  size_t tokens = 0, expected = 1;
  for (const auto& p : points) {
    EXPECT_EQ(p.begin, expected);  // without gaps
    expected = p.end;
    tokens += p.tokens;
    if (p.begin == 1 || p.end > 5000) continue;
    EXPECT_EQ(p.tokens, p.end - p.begin);
    EXPECT_NEAR(p.nats, (static_cast<double>(p.begin) + static_cast<double>(p.end) - 1) / 2 - 1,
                1e-9);
    EXPECT_LE(p.end - p.begin, std::max<size_t>(1, p.begin / 8));
  }
  EXPECT_EQ(tokens, 5001u);
  EXPECT_LT(points.size(), 100u);
}

TEST(LossCurveTest, PositionsOfAText) {
  const Model model = Model::Open(test::ByteModel("v7"));
  Workspace workspace({.threads = 1});
  for (const size_t chunk : {0, 5}) {
    std::vector<size_t> positions;
    double sum = 0;
    PerplexityOptions options;
    options.chunk = chunk;
    options.token = [&](size_t position, double nats) {
      positions.push_back(position);
      sum += nats;
    };
    const TextScore score =
        ScoreText(model, *Tokenizer::ForVocabulary(256), workspace, "0123456789ab", options);
    EXPECT_NEAR(sum, score.nats, 1e-12);
    const std::vector<size_t> whole = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11},
                              parts = {1, 2, 3, 4, 1, 2, 3, 4, 1};
    EXPECT_EQ(positions, chunk == 0 ? whole : parts);
  }
}

TEST(ReadingOrderTest, AsksEachQuestionThreeTimes) {
  test::TemporaryFolder folder;
  std::string rows;
  for (int i = 0; i < 6; ++i) {
    rows += TaskJson{{"text", i < 4 ? "The owl sat." : "It rained."},
                     {"question", "Who " + std::to_string(i) + "?"},
                     {"answer", "answer " + std::to_string(i)}}
                .dump() +
            "\n";
  }
  const auto questions = ReadQuestions(folder.Write("q.jsonl", rows), 0);
  ASSERT_EQ(questions.size(), 6u);
  EXPECT_EQ(questions[3].answers,
            (std::vector<std::string>{"answer 3", "answer 0", "answer 1", "answer 2"}));
  EXPECT_EQ(questions[4].answers, (std::vector<std::string>{"answer 4", "answer 5"}));
  EXPECT_EQ(ReadingPrompt(questions[0], QuestionPlace::kAfter),
            "Text: The owl sat.\n\nQuestion: Who 0?\n\nAnswer:");
  EXPECT_EQ(ReadingPrompt(questions[0], QuestionPlace::kBefore),
            "Question: Who 0?\n\nText: The owl sat.\n\nAnswer:");
  EXPECT_EQ(ReadingPrompt(questions[0], QuestionPlace::kBoth),
            "Question: Who 0?\n\nText: The owl sat.\n\nQuestion: Who 0?\n\nAnswer:");
  EXPECT_EQ(ReadQuestions(folder / "q.jsonl", 3)[1].question, "Who 2?");

  const Model model = Model::Open(test::ByteModel("v7"));
  Workspace workspace({.threads = 1});
  const auto scores =
      CompareOrders(model, *Tokenizer::ForVocabulary(256), workspace, questions, {});
  ASSERT_EQ(scores.size(), 3u);
  for (const OrderScore& score : scores) {
    double right = 0;
    for (const ReadingQuestion& question : questions) {
      std::vector<double> logprobs;
      for (const std::string& answer : question.answers) {
        const TokenRequest request = EncodePair(*Tokenizer::ForVocabulary(256), {},
                                                ReadingPrompt(question, score.place), " " + answer);
        logprobs.push_back(ScoreContinuations(model, workspace, std::span(&request, 1))[0].logprob);
      }
      right += std::max_element(logprobs.begin(), logprobs.end()) == logprobs.begin() ? 1 : 0;
    }
    EXPECT_NEAR(score.acc.mean, right / 6, 1e-12) << Name(score.place);
    EXPECT_NEAR(score.acc_gain.mean, score.acc.mean - scores[0].acc.mean, 1e-12);
    EXPECT_NEAR(score.nats_gain.mean, score.nats.mean - scores[0].nats.mean, 1e-9);
  }
}

TEST(ReadingOrderTest, ReadsFairytaleQa) {
  const std::filesystem::path folder = "../shared/data/text";
  if (!std::filesystem::exists("../shared/data")) GTEST_SKIP() << "no ../shared/data";
  const auto questions = ReadQuestions(folder, 50);
  ASSERT_EQ(questions.size(), 50u);
  for (const ReadingQuestion& question : questions) EXPECT_EQ(question.answers.size(), 4u);
  // The first tale and its first question.
  EXPECT_EQ(questions[0].question, "How did the Snow Man describe the weather?");
  EXPECT_NE(questions[0].text.find("said the Snow Man"), std::string::npos);
}

}  // namespace
}  // namespace linnet
