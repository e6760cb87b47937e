// linnet eval --tasks uncheatable: how well models compress new texts.
#include <fmt/format.h>

#include <algorithm>
#include <filesystem>

#include "cli/eval.h"
#include "eval/uncheatable.h"
#include "linnet/error.h"

namespace linnet::cli {
namespace {

namespace fs = std::filesystem;

// The files, and those in folders, by name.
std::vector<fs::path> FilesIn(const std::vector<std::string>& names) {
  std::vector<fs::path> out;
  for (const std::string& name : names) {
    std::error_code error;
    if (!fs::is_directory(name, error)) {
      out.emplace_back(name);
      continue;
    }
    std::vector<fs::path> inside;
    for (const auto& entry : fs::directory_iterator(name)) {
      const std::string ending = entry.path().extension().string();
      if (ending == ".json" || ending == ".jsonl") inside.push_back(entry.path());
    }
    if (inside.empty())
      throw Error(ErrorKind::kBadInput, fmt::format("{}: has no .json or .jsonl file", name));
    std::sort(inside.begin(), inside.end());
    out.insert(out.end(), inside.begin(), inside.end());
  }
  return out;
}

TaskJson ScoreJson(const CompressionScore& score) {
  const auto n = static_cast<double>(score.documents);
  return {{"compression_rate", score.compression_rate()},
          {"bits_per_byte", score.bits_per_byte()},
          {"mean_nll", score.nats / n},
          {"mean_tokens", static_cast<double>(score.tokens) / n},
          {"mean_characters", static_cast<double>(score.characters) / n},
          {"mean_bytes", static_cast<double>(score.bytes) / n},
          {"documents", score.documents}};
}

}  // namespace

void RunUncheatable(const EvalFlags& o, const std::vector<std::string>& models,
                    const std::vector<std::string>& names, World& world) {
  const std::vector<fs::path> files = FilesIn(names);
  if (files.empty())
    throw CLI::ValidationError("FILE", "is missing: give JSON files of texts behind the model");
  std::vector<std::vector<std::string>> documents;
  for (const fs::path& file : files) {
    documents.push_back(ReadDocuments(file));
    if (o.limit >= 1 && documents.back().size() > static_cast<size_t>(o.limit))
      documents.back().resize(static_cast<size_t>(o.limit));
  }
  std::vector<std::string> titles;
  std::vector<TaskJson> values;
  std::string text = fmt::format("{:<32}  {:>8}  {:>13}  {:>9}\n", "file", "rate, %",
                                 "bits per byte", "documents");
  for (const std::string& name : models) {
    MeasuredModel measured(o, name, world);
    TaskJson all = {{"files", TaskJson::object()}};
    double rate = 0, bits = 0;
    if (models.size() > 1) text += measured.title() + "\n";
    for (size_t f = 0; f < files.size(); ++f) {
      const CompressionScore score =
          ScoreCompression(measured.model(), measured.tokenizer(), measured.workspace(),
                           documents[f], measured.options());
      all["files"][files[f].filename().string()] = ScoreJson(score);
      rate += score.compression_rate() / static_cast<double>(files.size());
      bits += score.bits_per_byte() / static_cast<double>(files.size());
      text += fmt::format("{:<32}  {:>8.3f}  {:>13.4f}  {:>9}\n", files[f].filename().string(),
                          score.compression_rate(), score.bits_per_byte(), score.documents);
    }
    // The mean of the files, whatever their sizes, as the published average is.
    all["mean"] = {{"compression_rate", rate}, {"bits_per_byte", bits}};
    text += fmt::format("{:<32}  {:>8.3f}  {:>13.4f}\n", "mean", rate, bits);
    all["config"] = measured.ConfigJson();
    all["config"].erase("pad");
    all["config"].erase("bootstrap_iters");
    measured.Done();
    titles.push_back(measured.title());
    values.push_back(std::move(all));
  }
  if (world.index() != 0) return;
  Print(o.common.json ? ByModel(titles, std::move(values)).dump() + "\n" : text);
}

}  // namespace linnet::cli
