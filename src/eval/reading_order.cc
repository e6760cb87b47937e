#include "eval/reading_order.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>

#include "base/mapped_file.h"
#include "linnet/error.h"

namespace linnet {
namespace {

namespace fs = std::filesystem;

constexpr size_t kWrongAnswers = 3;
constexpr const char* kTaleEnd = "<|endoftext|>";

std::string TextField(const TaskJson& row, const char* name, const fs::path& path) {
  const auto it = row.find(name);
  if (it == row.end() || !it->is_string()) {
    throw Error(ErrorKind::kBadInput,
                fmt::format("{}: a row has no text '{}'", path.string(), name));
  }
  return it->get<std::string>();
}

std::vector<ReadingQuestion> FromTales(const fs::path& folder) {
  std::vector<std::string> tales;
  std::vector<ReadingQuestion> out;
  for (TaleQuestion& q : ReadTaleQuestions(folder, tales)) {
    out.push_back({tales[q.tale], std::move(q.question), {std::move(q.answer)}});
  }
  return out;
}

std::vector<ReadingQuestion> FromRows(const fs::path& path) {
  std::vector<ReadingQuestion> out;
  for (const TaskJson& row : ReadRowFile(path)) {
    out.push_back({TextField(row, "text", path),
                   TextField(row, "question", path),
                   {TextField(row, "answer", path)}});
    if (!row.contains("wrong") || !row["wrong"].is_array()) continue;
    for (const TaskJson& wrong : row["wrong"]) out.back().answers.push_back(PythonString(wrong));
  }
  return out;
}

// The right answers to the next questions about the same text.
void AddWrongAnswers(std::vector<ReadingQuestion>& all) {
  std::map<std::string, std::vector<size_t>> by_text;
  for (size_t i = 0; i < all.size(); ++i) by_text[all[i].text].push_back(i);
  std::vector<std::vector<std::string>> wrong(all.size());
  for (const auto& [text, members] : by_text) {
    for (size_t m = 0; m < members.size(); ++m) {
      const size_t i = members[m];
      for (size_t step = 1; step < members.size() && wrong[i].size() < kWrongAnswers; ++step) {
        const std::string& other = all[members[(m + step) % members.size()]].answers[0];
        const bool known = PythonLower(other) == PythonLower(all[i].answers[0]) ||
                           std::find(wrong[i].begin(), wrong[i].end(), other) != wrong[i].end();
        if (!known) wrong[i].push_back(other);
      }
    }
  }
  for (size_t i = 0; i < all.size(); ++i) {
    if (all[i].answers.size() == 1)
      all[i].answers.insert(all[i].answers.end(), wrong[i].begin(), wrong[i].end());
  }
  std::erase_if(all, [](const ReadingQuestion& q) { return q.answers.size() < 2; });
}

Estimate EstimateOf(const std::vector<double>& values) {
  const auto n = static_cast<double>(values.size());
  Estimate out;
  for (const double x : values) out.mean += x / n;
  double sum = 0;
  for (const double x : values) sum += (x - out.mean) * (x - out.mean);
  out.error = values.size() > 1 ? std::sqrt(sum / (n - 1) / n) : 0;
  return out;
}

Estimate GainOf(const std::vector<double>& values, const std::vector<double>& from) {
  std::vector<double> gains;
  for (size_t i = 0; i < values.size(); ++i) gains.push_back(values[i] - from[i]);
  return EstimateOf(gains);
}

}  // namespace

// The tales are in the order in which the questions first name them.
std::vector<TaleQuestion> ReadTaleQuestions(const fs::path& folder,
                                            std::vector<std::string>& tales) {
  const fs::path file = folder / "fairytaleqa_qa.jsonl";
  const MappedFile mapped(folder / "fairytaleqa_stories.txt");
  const auto bytes = mapped.bytes();
  tales.clear();
  for (const std::string& tale :
       SplitAt({reinterpret_cast<const char*>(bytes.data()), bytes.size()}, kTaleEnd)) {
    tales.push_back(Strip(tale));
  }
  if (!tales.empty() && tales.back().empty()) tales.pop_back();
  std::map<std::string, size_t> numbers;
  std::vector<TaleQuestion> out;
  for (const TaskJson& row : ReadRowFile(file)) {
    const size_t number =
        numbers.emplace(TextField(row, "story", file), numbers.size()).first->second;
    if (number >= tales.size())
      throw Error(ErrorKind::kBadInput,
                  fmt::format("{}: names more tales than there are", file.string()));
    out.push_back({number, TextField(row, "question", file), TextField(row, "answer", file)});
  }
  return out;
}

std::vector<ReadingQuestion> ReadQuestions(const fs::path& path, size_t limit) {
  std::error_code error;
  std::vector<ReadingQuestion> all =
      fs::is_directory(path, error) ? FromTales(path) : FromRows(path);
  AddWrongAnswers(all);
  if (all.empty())
    throw Error(ErrorKind::kBadInput,
                fmt::format("{}: has no question with a wrong answer", path.string()));
  if (limit == 0 || limit >= all.size()) return all;
  std::vector<ReadingQuestion> some;
  for (size_t i = 0; i < limit; ++i) some.push_back(all[i * all.size() / limit]);
  return some;
}

const char* Name(QuestionPlace place) {
  return place == QuestionPlace::kAfter    ? "after"
         : place == QuestionPlace::kBefore ? "before"
                                           : "both";
}

std::string ReadingPrompt(const ReadingQuestion& question, QuestionPlace place) {
  const std::string asked = fmt::format("Question: {}\n\n", question.question);
  std::string prompt = place == QuestionPlace::kAfter ? "" : asked;
  prompt += fmt::format("Text: {}\n\n", question.text);
  if (place != QuestionPlace::kBefore) prompt += asked;
  return prompt + "Answer:";
}

std::vector<OrderScore> CompareOrders(const Model& model, const Tokenizer& tokenizer,
                                      Workspace& workspace,
                                      std::span<const ReadingQuestion> questions,
                                      const EvaluationOptions& options) {
  std::vector<TokenRequest> requests;
  for (const QuestionPlace place : kQuestionPlaces) {
    for (const ReadingQuestion& question : questions) {
      const std::string prompt = ReadingPrompt(question, place);
      for (const std::string& answer : question.answers) {
        requests.push_back(EncodePair(tokenizer, options.pad, prompt, " " + answer));
      }
    }
  }
  ScoringOptions scoring = options.scoring;
  scoring.progress = [&](size_t done, size_t total) {
    if (options.progress) options.progress("reading", done, total);
  };
  const std::vector<TokenScore> scores = ScoreContinuations(model, workspace, requests, scoring);
  std::vector<OrderScore> out;
  std::vector<double> first[3];
  size_t at = 0;
  for (const QuestionPlace place : kQuestionPlaces) {
    std::vector<double> acc, norm, nats;
    for (const ReadingQuestion& question : questions) {
      size_t best = 0, best_norm = 0;
      const auto per_character = [&](size_t i) {
        return scores[at + i].logprob /
               static_cast<double>(std::max<size_t>(1, CountCharacters(question.answers[i])));
      };
      for (size_t i = 1; i < question.answers.size(); ++i) {
        if (scores[at + i].logprob > scores[at + best].logprob) best = i;
        if (per_character(i) > per_character(best_norm)) best_norm = i;
      }
      acc.push_back(best == 0 ? 1 : 0);
      norm.push_back(best_norm == 0 ? 1 : 0);
      nats.push_back(-scores[at].logprob /
                     static_cast<double>(
                         std::max<size_t>(1, requests[at].tokens.size() - requests[at].scored)));
      at += question.answers.size();
    }
    if (place == QuestionPlace::kAfter) {
      first[0] = acc;
      first[1] = norm;
      first[2] = nats;
    }
    out.push_back({place, EstimateOf(acc), EstimateOf(norm), EstimateOf(nats),
                   GainOf(acc, first[0]), GainOf(norm, first[1]), GainOf(nats, first[2])});
  }
  return out;
}

}  // namespace linnet
