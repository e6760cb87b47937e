// linnet plot: draws the curves of one or more runs as a single self-contained page.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <functional>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/atomic_file.h"
#include "cli/cli.h"
#include "cli/html_page.h"
#include "cli/output_file.h"
#include "linnet/error.h"

namespace linnet::cli {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::json;

struct PlotFlags {
  CommonOptions common;
  std::vector<std::string> runs;
  std::string out;
};

// A curve is reduced to about so many points, each the mean of a range.
constexpr size_t kPoints = 600;

class Curve {
 public:
  void Add(double x, double y) {
    if (std::isfinite(x) && std::isfinite(y)) points_.emplace_back(x, y);
  }
  bool empty() const { return points_.empty(); }
  double last() const { return points_.empty() ? 0 : points_.back().second; }
  double least() const {
    return std::min_element(points_.begin(), points_.end(),
                            [](const auto& a, const auto& b) { return a.second < b.second; })
        ->second;
  }
  Json Thinned() const {
    Json out = Json::array();
    const size_t buckets = std::min(points_.size(), kPoints);
    for (size_t i = 0; i < buckets; ++i) {
      const size_t begin = points_.size() * i / buckets, end = points_.size() * (i + 1) / buckets;
      double sum = 0;
      for (size_t k = begin; k < end; ++k) sum += points_[k].second;
      const double mean = sum / static_cast<double>(end - begin);
      out.push_back({points_[end - 1].first, std::stod(fmt::format("{:.6g}", mean))});
    }
    return out;
  }

 private:
  std::vector<std::pair<double, double>> points_;
};

fs::path MetricsOf(const std::string& run) {
  return fs::is_directory(run) ? fs::path(run) / "metrics.jsonl" : fs::path(run);
}

// The path that names a run: its folder, or the file itself.
fs::path PlaceOf(const std::string& run) {
  fs::path path = fs::absolute(run).lexically_normal();
  if (!path.has_filename()) path = path.parent_path();
  return path.filename() == "metrics.jsonl" ? path.parent_path() : path;
}

Json ReadRun(const std::string& run) {
  const fs::path path = MetricsOf(run);
  std::ifstream in(path);
  if (!in) {
    throw Error(ErrorKind::kIo, path.string() + ": cannot be read; expected a run of linnet train");
  }
  Curve loss, valid, rate, norm, speed;
  uint64_t steps = 0;
  double tokens = 0;
  for (std::string line; std::getline(in, line);) {
    const Json json = Json::parse(line, nullptr, /*allow_exceptions=*/false);
    if (!json.is_object()) continue;  // the last line of a run that was killed
    const auto number = [&](const char* key) {
      const auto it = json.find(key);
      return it != json.end() && it->is_number() ? it->get<double>() : NAN;
    };
    tokens = number("tokens");
    if (std::isfinite(number("step"))) steps = static_cast<uint64_t>(number("step"));
    loss.Add(tokens, number("loss"));
    valid.Add(tokens, number("valid_bits_per_byte"));
    rate.Add(tokens, number("lr"));
    norm.Add(tokens, number("grad_norm"));
    speed.Add(tokens, number("tokens_per_s"));
  }
  if (loss.empty()) {
    throw Error(ErrorKind::kBadInput, path.string() + ": holds no step of a run");
  }
  return {{"name", PlaceOf(run).filename().string()},
          {"steps", steps},
          {"tokens", tokens},
          {"last_loss", loss.last()},
          {"best", valid.empty() ? Json() : Json(valid.least())},
          {"rate", speed.last()},
          {"loss", loss.Thinned()},
          {"valid", valid.Thinned()},
          {"lr", rate.Thinned()},
          {"norm", norm.Thinned()},
          {"speed", speed.Thinned()}};
}

// Prefixes equal names of runs with the names of their parent folders until they differ.
void TellApart(const std::vector<std::string>& paths, Json& runs) {
  std::vector<fs::path> left;  // the folders above the name so far
  left.reserve(paths.size());
  for (const std::string& path : paths) left.push_back(PlaceOf(path).parent_path());
  for (bool changed = true; changed;) {
    changed = false;
    std::map<std::string, size_t> uses;
    for (const Json& run : runs) ++uses[run["name"].get<std::string>()];
    for (size_t i = 0; i < left.size(); ++i) {
      const std::string name = runs[i]["name"].get<std::string>();
      if (uses[name] < 2 || !left[i].has_filename()) continue;
      runs[i]["name"] = left[i].filename().string() + "/" + name;
      left[i] = left[i].parent_path();
      changed = true;
    }
  }
}

void RunPlot(const PlotFlags& o) {
  Json runs = Json::array();
  for (const std::string& run : o.runs) runs.push_back(ReadRun(run));
  TellApart(o.runs, runs);
  const std::string page = FillPage(PageKind::kTraining, runs);
  const fs::path out =
      !o.out.empty() ? fs::path(o.out) : MetricsOf(o.runs[0]).parent_path() / "plot.html";
  CheckOutput(o.common, {out, PlotOutput()});
  AtomicFile file(out);
  file.Write(page);
  file.Commit();
  if (o.common.json) {
    Print(Json{{"path", out.string()}, {"runs", o.runs.size()}}.dump() + "\n");
  } else {
    Print(out.string() + "\n");
  }
}

}  // namespace

void AddPlot(CLI::App& app) {
  const auto o = std::make_shared<PlotFlags>();
  CLI::App* command = AddCommand(
      app, "plot", "Draw the curves of training runs as one HTML page",
      "linnet plot run1 run2 --out compare.html", o->common, [o] { RunPlot(*o); }, kJson);
  command->add_option("RUN", o->runs, "Folders of linnet train")->required();
  AddOutput(*command, o->common, "--out", o->out,
            "The page to write; default: plot.html in the first run")
      ->type_name("FILE");
}

}  // namespace linnet::cli
