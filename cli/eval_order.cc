// linnet eval --order: where a question is best asked.
#include <fmt/format.h>

#include "cli/eval.h"
#include "eval/reading_order.h"
#include "linnet/error.h"

namespace linnet::cli {
namespace {

std::string ValueText(const Estimate& e) { return fmt::format("{:.3f} ± {:.3f}", e.mean, e.error); }
std::string GainText(const Estimate& e) { return fmt::format("{:+.3f} ± {:.3f}", e.mean, e.error); }

TaskJson EstimateJson(const Estimate& e) { return {{"mean", e.mean}, {"stderr", e.error}}; }

}  // namespace

void RunOrders(const EvalFlags& o, const std::vector<std::string>& models,
               const std::vector<std::string>& files, World& world) {
  if (world.size() > 1)
    throw Error(ErrorKind::kBadInput, "questions in several orders are asked by one process only");
  if (files.size() > 1) throw CLI::ValidationError("FILE", "expected one file of questions");
  const auto questions =
      ReadQuestions(files.empty() ? o.data : files[0], static_cast<size_t>(o.limit));
  std::vector<std::string> titles;
  std::vector<TaskJson> values;
  std::string text;
  for (const std::string& name : models) {
    MeasuredModel measured(o, name, world);
    const auto scores = CompareOrders(measured.model(), measured.tokenizer(), measured.workspace(),
                                      questions, measured.options());
    text += fmt::format("{}, {} questions; {} before every context\n", measured.title(),
                        questions.size(), measured.PadText());
    text +=
        fmt::format("{:<12}{:>17}{:>17}{:>17}\n", "question", "acc", "acc_norm", "nats per token");
    TaskJson all = {{"questions", questions.size()}};
    for (const OrderScore& score : scores) {
      text += fmt::format("{:<12}{:>17}{:>17}{:>17}\n", Name(score.place), ValueText(score.acc),
                          ValueText(score.acc_norm), ValueText(score.nats));
      TaskJson one = {{"acc", EstimateJson(score.acc)},
                      {"acc_norm", EstimateJson(score.acc_norm)},
                      {"nats_per_token", EstimateJson(score.nats)}};
      if (score.place != QuestionPlace::kAfter) {
        text += fmt::format("{:<12}{:>17}{:>17}{:>17}\n", "  difference", GainText(score.acc_gain),
                            GainText(score.acc_norm_gain), GainText(score.nats_gain));
        one["gain"] = {{"acc", EstimateJson(score.acc_gain)},
                       {"acc_norm", EstimateJson(score.acc_norm_gain)},
                       {"nats_per_token", EstimateJson(score.nats_gain)}};
      }
      all[Name(score.place)] = one;
    }
    all["config"] = measured.ConfigJson();
    measured.Done();
    titles.push_back(measured.title());
    values.push_back(std::move(all));
  }
  Print(o.common.json ? ByModel(titles, std::move(values)).dump() + "\n" : text);
}

}  // namespace linnet::cli
