#include "eval/evaluation.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <numeric>
#include <utility>

#include "base/sha256.h"
#include "linnet/error.h"

namespace linnet {
namespace {

// What is asked of the model, and of which row.
struct PairPlace {
  size_t task, document, pair;
};
struct PromptPlace {
  size_t task, document;
};

AnswerRequest RequestOf(const TaskConfig& task, const Tokenizer& tokenizer,
                        std::span<const int32_t> pad, const std::string& prompt) {
  const auto number = [&](const char* name, double otherwise) {
    const auto it = task.generation.find(name);
    return it != task.generation.end() && it->is_number() ? it->get<double>() : otherwise;
  };
  AnswerRequest request;
  request.prompt.assign(pad.begin(), pad.end());
  const std::vector<int32_t> ids = tokenizer.Encode(prompt);
  request.prompt.insert(request.prompt.end(), ids.begin(), ids.end());
  if (request.prompt.empty()) request.prompt.push_back(0);
  request.text.max_tokens =
      static_cast<size_t>(std::clamp(number("max_gen_toks", number("max_tokens", 256)), 1.0, 1e6));
  for (const TaskJson& stop : task.generation["until"])
    request.text.stops.push_back(stop.get<std::string>());
  // 0 is a byte like any other of models that read bytes.
  if (std::string_view(tokenizer.name()) == "bytes") request.text.stop_ids.clear();
  request.sampler.temperature = static_cast<float>(number("temperature", 0));
  request.sampler.top_p = static_cast<float>(number("top_p", 1));
  request.sampler.top_k = static_cast<int>(number("top_k", 0));
  request.sampler.presence_penalty = request.sampler.frequency_penalty = 0;
  request.sampler.order = SamplingOrder::kOpenAI;
  request.sampler.seed = 1234;
  return request;
}

class EvaluationRun {
 public:
  EvaluationRun(const Model& model, const Tokenizer& tokenizer, Workspace& workspace,
                std::span<const TaskPrompts> tasks, const EvaluationOptions& options)
      : model_(model),
        tokenizer_(tokenizer),
        workspace_(workspace),
        tasks_(tasks),
        options_(options) {}

  std::vector<TaskResult> Run() {
    for (size_t t = 0; t < tasks_.size(); ++t) {
      scores_.emplace_back(tasks_[t].documents().size());
      answers_.emplace_back(tasks_[t].documents().size());
      for (size_t d = 0; d < tasks_[t].documents().size(); ++d) {
        scores_[t][d].resize(tasks_[t].documents()[d].pairs.size());
      }
    }
    ScorePairs();
    WriteAnswers();
    std::vector<TaskResult> results;
    for (size_t t = 0; t < tasks_.size(); ++t) results.push_back(Result(t));
    return results;
  }

 private:
  bool Mine(size_t document) const { return document % options_.processes == options_.process; }

  void ScorePairs() {
    std::vector<TokenRequest> requests;
    std::vector<PairPlace> places;
    std::map<std::pair<size_t, size_t>, size_t> known;
    for (size_t t = 0; t < tasks_.size(); ++t) {
      const auto& documents = tasks_[t].documents();
      for (size_t d = 0; d < documents.size(); ++d) {
        if (!Mine(d)) continue;
        for (size_t p = 0; p < documents[d].pairs.size(); ++p) {
          const ScoredPair& pair = documents[d].pairs[p];
          TokenRequest request =
              EncodePair(tokenizer_, options_.pad, pair.context, pair.continuation);
          if (options_.journal != nullptr) {
            if (const auto found = options_.journal->Find(request)) {
              scores_[t][d][p] = {found->logprob, found->greedy};
              continue;
            }
          }
          requests.push_back(std::move(request));
          places.push_back({t, d, p});
        }
      }
    }
    ScoringOptions scoring = options_.scoring;
    scoring.progress = [&](size_t done, size_t total) {
      if (options_.progress) options_.progress("scoring", done, total);
    };
    scoring.scored = [&](size_t i, const TokenScore& score) {
      if (!std::isfinite(score.logprob)) {
        throw Error(ErrorKind::kBadModel,
                    "a log-likelihood is not finite: the weights hold infinities or NaN, or values "
                    "that overflow on the way");
      }
      if (options_.journal != nullptr) options_.journal->Add(requests[i], score);
    };
    const std::vector<TokenScore> found = ScoreContinuations(model_, workspace_, requests, scoring);
    for (size_t i = 0; i < places.size(); ++i) {
      scores_[places[i].task][places[i].document][places[i].pair] = {found[i].logprob,
                                                                     found[i].greedy};
    }
    ExchangeScores();
  }

  // Every process's rows, in its shard, to all.
  template <class F>
  void ForShards(std::vector<size_t>& bounds, const F& f) const {
    bounds = {0};
    for (size_t r = 0; r < options_.processes; ++r) {
      size_t at = bounds.back();
      for (size_t t = 0; t < tasks_.size(); ++t) {
        for (size_t d = r; d < tasks_[t].documents().size(); d += options_.processes)
          at = f(t, d, at);
      }
      bounds.push_back(at);
    }
  }

  void ExchangeScores() {
    if (options_.processes == 1) return;
    std::vector<size_t> bounds;
    ForShards(bounds, [&](size_t t, size_t d, size_t at) { return at + 2 * scores_[t][d].size(); });
    std::vector<double> values(bounds.back());
    ForShards(bounds, [&](size_t t, size_t d, size_t at) {
      for (const PairScore& score : scores_[t][d]) {
        values[at++] = score.logprob;
        values[at++] = score.greedy ? 1 : 0;
      }
      return at;
    });
    options_.exchange(values, bounds);
    ForShards(bounds, [&](size_t t, size_t d, size_t at) {
      for (PairScore& score : scores_[t][d]) {
        score = {values[at], values[at + 1] != 0};
        at += 2;
      }
      return at;
    });
  }

  void WriteAnswers() {
    std::vector<AnswerRequest> requests;
    std::vector<PromptPlace> places;
    bool any = false;
    for (size_t t = 0; t < tasks_.size(); ++t) {
      if (tasks_[t].task().output != TaskOutput::kGenerateUntil) continue;
      any = true;
      for (size_t d = 0; d < tasks_[t].documents().size(); ++d) {
        if (!Mine(d)) continue;
        AnswerRequest request =
            RequestOf(tasks_[t].task(), tokenizer_, options_.pad, tasks_[t].documents()[d].prompt);
        if (options_.journal != nullptr) {
          if (const auto found = options_.journal->Find(request)) {
            answers_[t][d] = *found;
            continue;
          }
        }
        requests.push_back(std::move(request));
        places.push_back({t, d});
      }
    }
    AnswerOptions writing;
    writing.state_bytes = options_.scoring.state_bytes;
    writing.progress = [&](size_t done, size_t total) {
      if (options_.progress) options_.progress("writing answers", done, total);
    };
    writing.answered = [&](size_t i, const std::string& text) {
      if (options_.journal != nullptr) options_.journal->Add(requests[i], text);
    };
    const std::vector<std::string> texts =
        GenerateAnswers(model_, tokenizer_, workspace_, requests, writing);
    for (size_t i = 0; i < places.size(); ++i)
      answers_[places[i].task][places[i].document] = texts[i];
    if (any) ExchangeAnswers();
  }

  void ExchangeAnswers() {
    if (options_.processes == 1) return;
    // The lengths, then the bytes, as numbers: exchanges are of doubles.
    std::vector<size_t> bounds;
    ForShards(bounds, [&](size_t, size_t, size_t at) { return at + 1; });
    std::vector<double> lengths(bounds.back());
    ForShards(bounds, [&](size_t t, size_t d, size_t at) {
      lengths[at] = static_cast<double>(answers_[t][d].size());
      return at + 1;
    });
    options_.exchange(lengths, bounds);
    ForShards(bounds, [&](size_t t, size_t d, size_t at) {
      answers_[t][d].resize(static_cast<size_t>(lengths[at]));
      return at + 1;
    });
    ForShards(bounds, [&](size_t t, size_t d, size_t at) { return at + answers_[t][d].size(); });
    std::vector<double> bytes(bounds.back());
    ForShards(bounds, [&](size_t t, size_t d, size_t at) {
      for (const char c : answers_[t][d]) bytes[at++] = static_cast<unsigned char>(c);
      return at;
    });
    options_.exchange(bytes, bounds);
    ForShards(bounds, [&](size_t t, size_t d, size_t at) {
      for (char& c : answers_[t][d]) c = static_cast<char>(static_cast<unsigned char>(bytes[at++]));
      return at;
    });
  }

  TaskResult Result(size_t t) {
    const TaskPrompts& prompts = tasks_[t];
    TaskResult result{.task = &prompts.task(),
                      .rows = prompts.rows(),
                      .evaluated = prompts.documents().size(),
                      .num_fewshot = prompts.num_fewshot()};
    for (const auto& file : prompts.files()) result.files.push_back(file.filename().string());
    // By metric and filter, in the order of the first row.
    std::vector<std::pair<std::string, std::string>> keys;
    std::map<std::pair<std::string, std::string>, std::vector<MetricSample>> samples;
    for (size_t d = 0; d < prompts.documents().size(); ++d) {
      const TaskDocument& document = prompts.documents()[d];
      std::vector<std::string> filtered;
      const bool writes = prompts.task().output == TaskOutput::kGenerateUntil;
      const std::vector<DocumentValue> values =
          writes ? prompts.Values(document, answers_[t][d], filtered)
                 : prompts.Values(document, scores_[t][d]);
      for (const DocumentValue& value : values) {
        auto& list = samples[{value.metric, value.filter}];
        if (list.empty()) keys.emplace_back(value.metric, value.filter);
        list.push_back(value.sample);
      }
      if (options_.sample && options_.process == 0) options_.sample(Sample(t, d, values, filtered));
    }
    for (const auto& key : keys) {
      const auto metric = std::find_if(prompts.task().metrics.begin(), prompts.task().metrics.end(),
                                       [&](const TaskMetric& m) { return m.name == key.first; });
      const std::string aggregation =
          metric == prompts.task().metrics.end() ? "mean" : metric->aggregation;
      const auto& list = samples[key];
      const auto error =
          options_.process == 0
              ? StandardError(aggregation, list, options_.bootstrap,
                              [&](size_t tasks, const std::function<void(size_t)>& body) {
                                workspace_.ForEach(tasks, body);
                              })
              : std::nullopt;
      result.values.push_back({key.first, key.second, Aggregate(aggregation, list), error,
                               metric == prompts.task().metrics.end() || metric->higher_is_better});
    }
    return result;
  }

  // lm_eval/evaluator.py: one entry of `samples`.
  TaskJson Sample(size_t t, size_t d, const std::vector<DocumentValue>& values,
                  const std::vector<std::string>& filtered) const {
    const TaskPrompts& prompts = tasks_[t];
    const TaskDocument& document = prompts.documents()[d];
    TaskJson arguments = TaskJson::array(), answers = TaskJson::array(),
             results = TaskJson::array();
    std::string prompt = document.prompt;
    for (size_t p = 0; p < document.pairs.size(); ++p) {
      arguments.push_back({document.pairs[p].context, document.pairs[p].continuation});
      answers.push_back({{scores_[t][d][p].logprob, scores_[t][d][p].greedy}});
      results.push_back({scores_[t][d][p].logprob, scores_[t][d][p].greedy});
    }
    if (document.pairs.empty()) {
      arguments.push_back({document.prompt, prompts.task().generation});
      answers.push_back({answers_[t][d]});
      for (const std::string& text : filtered) results.push_back(text);
    } else {
      prompt = document.pairs[0].context;
    }
    const TaskJson& row = prompts.row(document);
    TaskJson sample = {
        {"task", prompts.task().task},
        {"doc_id", document.id},
        {"doc", row},
        {"target", document.gold},
        {"arguments", arguments},
        {"resps", answers},
        {"filtered_resps", results},
        {"filter", prompts.task().filters[0].name},
        {"metrics", TaskJson::array()},
        {"doc_hash", Hex(Sha256Of(row.dump(-1, ' ', false, TaskJson::error_handler_t::replace)))},
        {"prompt_hash", Hex(Sha256Of(prompt))},
        {"target_hash", Hex(Sha256Of(PythonString(document.gold)))}};
    for (const DocumentValue& value : values) {
      sample["metrics"].push_back(value.metric);
      sample[value.metric] = value.sample.value;
    }
    return sample;
  }

  const Model& model_;
  const Tokenizer& tokenizer_;
  Workspace& workspace_;
  std::span<const TaskPrompts> tasks_;
  const EvaluationOptions& options_;
  std::vector<std::vector<std::vector<PairScore>>> scores_;  // by task, document, pair
  std::vector<std::vector<std::string>> answers_;
};

}  // namespace

std::vector<TaskResult> Evaluate(const Model& model, const Tokenizer& tokenizer,
                                 Workspace& workspace, std::span<const TaskPrompts> tasks,
                                 const EvaluationOptions& options) {
  return EvaluationRun(model, tokenizer, workspace, tasks, options).Run();
}

std::optional<TaskValue> FindValue(std::span<const TaskValue> values, const std::string& metric) {
  const auto it = std::find_if(values.begin(), values.end(),
                               [&](const TaskValue& v) { return v.metric == metric; });
  return it == values.end() ? std::nullopt : std::optional(*it);
}

std::vector<TaskValue> GroupValues(const TaskLibrary& library, const TaskGroup& group,
                                   std::span<const TaskResult> results, size_t& rows) {
  std::vector<const TaskResult*> members;
  rows = 0;
  for (const TaskConfig* task : library.Resolve(group.name)) {
    for (const TaskResult& result : results) {
      if (result.task != task) continue;
      members.push_back(&result);
      rows += result.evaluated;
    }
  }
  std::vector<TaskValue> out;
  for (const TaskGroup::Aggregate& aggregate : group.aggregates) {
    std::vector<double> values, errors;
    std::vector<size_t> sizes;
    TaskValue value{.metric = aggregate.metric, .filter = "none"};
    for (const TaskResult* member : members) {
      const auto found = FindValue(member->values, aggregate.metric);
      if (!found) continue;
      values.push_back(found->value);
      sizes.push_back(member->evaluated);
      if (found->error) errors.push_back(*found->error);
      value.filter = found->filter;
      value.higher_is_better = found->higher_is_better;
    }
    if (values.empty()) continue;
    value.value = GroupMean(values, sizes, aggregate.weight_by_size);
    if (errors.size() == values.size())
      value.error = GroupError(errors, sizes, aggregate.weight_by_size);
    out.push_back(std::move(value));
  }
  return out;
}

}  // namespace linnet
