// linnet eval --retrieval: how often vectors find the text that belongs to a query.
#include "cli/eval.h"

#include <fmt/format.h>

#include <algorithm>

#include "eval/retrieval.h"
#include "linnet/error.h"

namespace linnet::cli {
namespace {

TaskJson RecallJson(const Recall& r) {
  return {{"recall_at_1", r.at1}, {"recall_at_5", r.at5}, {"queries", r.queries}};
}

// Of two choices the right one is always among the first five.
std::string RecallRow(const std::string& name, const RetrievalSet& set, const Recall& r) {
  return fmt::format("  {:<20}{:>10.3f}{}\n", name, r.at1,
                     set.choices == 0 ? fmt::format("{:>10.3f}", r.at5) : "");
}

}  // namespace

void RunRetrieval(const EvalFlags& o, const std::vector<std::string>& models,
                  const std::vector<std::string>& files, World& world) {
  if (world.size() > 1)
    throw Error(ErrorKind::kBadInput, "retrieval is measured by one process only");
  if (files.size() > 1) throw CLI::ValidationError("FILE", "expected one folder of queries");
  const auto sets =
      ReadRetrievalSets(files.empty() ? o.data : files[0], static_cast<size_t>(o.limit));
  const std::string unit = o.passages ? "nearest passage" : "whole text";
  std::vector<std::string> titles;
  std::vector<TaskJson> values;
  std::string text;
  const auto add = [&](const RetrievalSet& set, const std::string& method, const Recall& recall,
                       TaskJson& json) {
    text += RecallRow(method, set, recall);
    json[set.name][method] = RecallJson(recall);
  };
  const auto head = [&](const RetrievalSet& set) {
    text += fmt::format("{}: {} queries, {}\n  {:<20}{:>10}{}\n", set.name, set.queries.size(),
                        set.choices == 0 ? fmt::format("{} documents", set.documents.size())
                                         : fmt::format("{} choices each", set.choices),
                        "", "recall@1", set.choices == 0 ? "  recall@5" : "");
  };
  TaskJson words;
  text += "BM25\n";
  for (const RetrievalSet& set : sets) {
    head(set);
    add(set, "BM25", RecallOfBm25(set), words);
  }
  titles.emplace_back("BM25");
  values.push_back(words);
  for (const std::string& name : models) {
    MeasuredModel measured(o, name, world);
    const Embedder embedder(measured.model(), measured.shared_tokenizer());
    TaskJson json = {{"documents", unit}};
    text += fmt::format("\n{}, {}\n", measured.title(), unit);
    for (const RetrievalSet& set : sets) {
      head(set);
      EmbedRun run{.rows = o.rows};
      run.progress = [&](size_t done, size_t total) {
        if (measured.options().progress) {
          measured.options().progress(set.name.c_str(), done, total);
        }
      };
      for (const RetrievalScore& score :
           MeasureRetrieval(set, embedder, measured.workspace(), o.passages, run)) {
        add(set, score.method, score.recall, json);
      }
    }
    json["config"] = measured.ConfigJson();
    measured.Done();
    titles.push_back(measured.title());
    values.push_back(std::move(json));
  }
  Print(o.common.json ? ByModel(titles, std::move(values)).dump() + "\n" : text);
}

}  // namespace linnet::cli
