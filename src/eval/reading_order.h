// ReadingOrder: whether a model answers better if it knows the question before it reads the text.
#ifndef LINNET_EVAL_READING_ORDER_H_
#define LINNET_EVAL_READING_ORDER_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <vector>

#include "eval/evaluation.h"

namespace linnet {

// A question about a text, with its answer and wrong ones.
struct ReadingQuestion {
  std::string text, question;
  std::vector<std::string> answers{};  // the first is right
};

// FairytaleQA in a folder (fairytaleqa_qa.jsonl, fairytaleqa_stories.txt): its questions in order,
// and all tales. Throws Error.
struct TaleQuestion {
  size_t tale = 0;
  std::string question{}, answer{};
};
std::vector<TaleQuestion> ReadTaleQuestions(const std::filesystem::path& folder,
                                            std::vector<std::string>& tales);

// Of a file of rows {"text", "question", "answer", "wrong": [...]}, or of a folder with FairytaleQA
// (fairytaleqa_qa.jsonl, fairytaleqa_stories.txt). Without `wrong`, the wrong answers of a question
// are the right ones of the next three questions about the same text that differ. At most `limit`
// questions, spread evenly; 0: all. Throws Error.
std::vector<ReadingQuestion> ReadQuestions(const std::filesystem::path& path, size_t limit);

enum class QuestionPlace : uint8_t { kAfter, kBefore, kBoth };
inline constexpr std::array kQuestionPlaces = {QuestionPlace::kAfter, QuestionPlace::kBefore,
                                               QuestionPlace::kBoth};
const char* Name(QuestionPlace place);  // "after", "before", "both"
std::string ReadingPrompt(const ReadingQuestion& question, QuestionPlace place);

struct Estimate {
  double mean = 0, error = 0;
};

struct OrderScore {
  QuestionPlace place = QuestionPlace::kAfter;
  Estimate acc;       // the likeliest answer is the right one
  Estimate acc_norm;  // by log-likelihood per character
  Estimate nats;      // of the right answer, per token
  // The differences from kAfter, of the same questions, and their errors.
  Estimate acc_gain, acc_norm_gain, nats_gain;
};

std::vector<OrderScore> CompareOrders(const Model& model, const Tokenizer& tokenizer,
                                      Workspace& workspace,
                                      std::span<const ReadingQuestion> questions,
                                      const EvaluationOptions& options);

}  // namespace linnet

#endif  // LINNET_EVAL_READING_ORDER_H_
