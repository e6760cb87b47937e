#include "cli/output_kind.h"

#include <algorithm>
#include <fstream>
#include <nlohmann/json.hpp>
#include <string_view>
#include <utility>
#include <vector>

#include "base/mapped_file.h"
#include "io/container.h"
#include "io/tensor_file.h"
#include "models/detect.h"
#include "text/utf8.h"
#include "text/vocabulary_file.h"
#include "train/token_data.h"

namespace linnet::cli {
namespace {

namespace fs = std::filesystem;

// Identifies a file of tensors without reading their values.
OutputKind TensorsOfKind(const char* name, FileKind kind) {
  return {name, [kind](const fs::path& path) { return KindOf(Checkpoint(path)) == kind; }};
}

std::string FrontOf(const fs::path& path, size_t bytes) {
  std::string front(bytes, '\0');
  std::ifstream file(path, std::ios::binary);
  file.read(front.data(), static_cast<std::streamsize>(bytes));
  front.resize(static_cast<size_t>(file.gcount()));
  return front;
}

bool HasObject(const nlohmann::json& json, const char* key) {
  return json.is_object() && json.contains(key) && json[key].is_object();
}

bool IsText(const fs::path& path) {
  const std::string front = FrontOf(path, 4096);
  for (std::string_view left = front; !left.empty();) {
    const Utf8Step step = NextUtf8(left);
    if (step.cut) break;  // the end of the bytes that were read
    if (!step.valid || step.c == 0) return false;
    left.remove_prefix(step.bytes);
  }
  return true;
}

}  // namespace

OutputKind ModelOutput() { return TensorsOfKind("a model", FileKind::kModel); }
OutputKind AdapterOutput() { return TensorsOfKind("an adapter", FileKind::kAdapter); }
OutputKind StateOutput() { return TensorsOfKind("a saved state", FileKind::kState); }
OutputKind TunedStateOutput() { return TensorsOfKind("a tuned state", FileKind::kTimeState); }

OutputKind LogitsOutput() {
  return {"logits", [](const fs::path& path) {
            const TensorFile file = TensorFile::Open(path);
            return file.Find("logits") != nullptr && file.Find("tokens") != nullptr;
          }};
}

OutputKind GradientOutput() {
  return {"gradients", [](const fs::path& path) {
            const TensorFile file = TensorFile::Open(path);
            for (const TensorView& t : file.tensors()) {
              if (t.name != "loss" && !t.name.starts_with("grad.")) return false;
            }
            return file.Find("loss") != nullptr;
          }};
}

OutputKind VocabularyOutput() {
  return {"a vocabulary", [](const fs::path& path) {
            if (fs::file_size(path) > (uint64_t{64} << 20)) return false;
            const MappedFile map(path);
            return !ParseVocabulary(AsText(map.bytes()), path.string()).empty();
          }};
}

OutputKind TokenOutput() { return {"tokenized data", IsTokenFile}; }

namespace {

OutputKind PageOutput(const char* name, const char* title) {
  return {name, [title](const fs::path& path) {
            const std::string front = FrontOf(path, 512);
            return front.starts_with("<!doctype html>") && front.find(title) != front.npos;
          }};
}

// JSON lines of which the first is an object with all `keys`.
OutputKind LinesOutput(const char* name, std::vector<const char*> keys) {
  return {name, [keys = std::move(keys)](const fs::path& path) {
            std::ifstream file(path);
            std::string line;
            std::getline(file, line);
            const auto json = nlohmann::json::parse(line);
            return json.is_object() && std::all_of(keys.begin(), keys.end(), [&](const char* key) {
                     return json.contains(key);
                   });
          }};
}

}  // namespace

OutputKind PlotOutput() {
  return PageOutput("a page of linnet plot", "<title>Linnet: training</title>");
}
OutputKind EvalPageOutput() {
  return PageOutput("a page of linnet eval", "<title>Linnet: evaluation</title>");
}
OutputKind CurvePageOutput() {
  return PageOutput("a page of linnet perplexity", "<title>Linnet: loss by position</title>");
}

OutputKind SamplesOutput() { return LinesOutput("samples of an evaluation", {"doc_id", "resps"}); }

OutputKind NpyOutput() {
  return {"an array of NumPy",
          [](const fs::path& path) { return FrontOf(path, 6) == "\x93NUMPY"; }};
}

OutputKind VectorLinesOutput() { return LinesOutput("vectors of linnet embed", {"embedding"}); }

OutputKind JournalOutput() {
  return {"a journal of an evaluation", [](const fs::path& path) {
            std::ifstream file(path);
            std::string line;
            while (line.empty() && std::getline(file, line)) {
            }
            const auto json = nlohmann::json::parse(line);
            return json.is_object() && json.contains("model") && json.contains("key");
          }};
}

OutputKind RunOptionsOutput() {
  return {"a run's options", [](const fs::path& path) {
            std::ifstream file(path);
            return HasObject(nlohmann::json::parse(file), "options");
          }};
}

OutputKind MetricsOutput() { return LinesOutput("a run's metrics", {"step", "loss"}); }

std::string ContentOf(const fs::path& path) {
  const OutputKind kinds[] = {
      ModelOutput(),    AdapterOutput(),    StateOutput(),      TunedStateOutput(), LogitsOutput(),
      GradientOutput(), PlotOutput(),       EvalPageOutput(),   CurvePageOutput(),  SamplesOutput(),
      JournalOutput(),  TokenOutput(),      VocabularyOutput(), RunOptionsOutput(), MetricsOutput(),
      NpyOutput(),      VectorLinesOutput()};
  for (const OutputKind& kind : kinds) {
    try {
      if (kind.matches(path)) return kind.name;
    } catch (const std::exception&) {
    }
  }
  return IsText(path) ? "text" : "something else";
}

}  // namespace linnet::cli
