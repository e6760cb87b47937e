// linnet eval --tasks: benchmarks, and how their results are shown.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <utility>

#include "base/atomic_file.h"
#include "cli/eval.h"
#include "cli/html_page.h"
#include "cli/output_file.h"
#include "text/columns.h"

namespace linnet::cli {
namespace {

// What was measured of one model.
struct ModelReport {
  std::string title, pad;
  std::vector<TaskResult> results{};
  TaskJson json{};
};

struct Measured {
  double value;
  std::optional<double> error;
};

// A line of the table: one metric of one task or group, of each model.
struct ReportRow {
  std::string task, metric;
  size_t rows = 0, num_fewshot = 0;
  bool is_group = false;
  std::vector<std::optional<Measured>> cells{};
};

// The table of an RWKV release: one column for each task, and their mean.
struct ReleaseTable {
  std::string name;
  std::vector<std::string> columns{};
  std::vector<std::vector<std::optional<double>>> rows{};  // per cent, a row for each model
};

std::vector<std::string> GroupsBelow(const TaskLibrary& library,
                                     const std::vector<std::string>& names) {
  std::vector<std::string> out;
  std::vector<std::string> open(names.rbegin(), names.rend());
  while (!open.empty()) {
    const std::string name = open.back();
    open.pop_back();
    const TaskGroup* group = library.FindGroup(name);
    if (group == nullptr || std::find(out.begin(), out.end(), name) != out.end()) continue;
    out.push_back(name);
    open.insert(open.end(), group->members.rbegin(), group->members.rend());
  }
  return out;
}

std::vector<ReportRow> RowsOf(const TaskLibrary& library, const std::vector<std::string>& names,
                              const std::vector<ModelReport>& reports) {
  std::vector<ReportRow> out;
  const auto add = [&](const std::string& task, bool is_group, size_t rows, size_t shots,
                       const std::function<std::vector<TaskValue>(const ModelReport&)>& values_of) {
    const size_t first = out.size();
    for (size_t m = 0; m < reports.size(); ++m) {
      for (const TaskValue& value : values_of(reports[m])) {
        const std::string metric =
            value.filter == "none" ? value.metric : value.metric + ", " + value.filter;
        auto row = std::find_if(out.begin() + static_cast<std::ptrdiff_t>(first), out.end(),
                                [&](const ReportRow& r) { return r.metric == metric; });
        if (row == out.end()) {
          out.push_back({task, metric, rows, shots, is_group,
                         std::vector<std::optional<Measured>>(reports.size())});
          row = out.end() - 1;
        }
        row->cells[m] = Measured{value.value, value.error};
      }
    }
  };
  for (size_t t = 0; t < reports[0].results.size(); ++t) {
    const TaskResult& result = reports[0].results[t];
    add(result.task->task, false, result.evaluated, result.num_fewshot,
        [&](const ModelReport& r) { return r.results[t].values; });
  }
  for (const std::string& name : GroupsBelow(library, names)) {
    size_t rows = 0;
    GroupValues(library, *library.FindGroup(name), reports[0].results, rows);
    add(name, true, rows, 0, [&](const ModelReport& r) {
      size_t same = 0;
      return GroupValues(library, *library.FindGroup(name), r.results, same);
    });
  }
  return out;
}

// nullopt if something of it was not measured.
std::optional<double> TableValue(const TaskLibrary& library, const ModelReport& report,
                                 const std::string& name, const std::string& metric) {
  std::vector<TaskValue> values;
  size_t rows = 0;
  if (const TaskGroup* group = library.FindGroup(name)) {
    values = GroupValues(library, *group, report.results, rows);
  } else {
    for (const TaskResult& result : report.results) {
      if (result.task->task == name) values = result.values;
    }
  }
  const auto value = FindValue(values, metric);
  return value ? std::optional(100 * value->value) : std::nullopt;
}

std::vector<ReleaseTable> TablesOf(const TaskLibrary& library,
                                   const std::vector<std::string>& names,
                                   const std::vector<ModelReport>& reports) {
  std::vector<ReleaseTable> out;
  for (const std::string& name : GroupsBelow(library, names)) {
    const TaskJson& metadata = library.FindGroup(name)->metadata;
    if (!metadata.is_object() || !metadata.contains("table")) continue;
    ReleaseTable table{.name = name, .columns = {"avg"}};
    for (const auto& [task, metric] : metadata["table"].items()) table.columns.push_back(task);
    for (const ModelReport& report : reports) {
      std::vector<std::optional<double>> row = {0.0};
      for (const auto& [task, metric] : metadata["table"].items()) {
        row.push_back(TableValue(library, report, task, PythonString(metric)));
        if (row[0] && row.back())
          *row[0] += *row.back() / static_cast<double>(metadata["table"].size());
        else
          row[0].reset();
      }
      table.rows.push_back(std::move(row));
    }
    out.push_back(std::move(table));
  }
  return out;
}

std::string CellText(const std::optional<Measured>& cell) {
  if (!cell) return "";
  if (!cell->error) return fmt::format("{:.4f}", cell->value);
  return fmt::format("{:.4f} ± {:.4f}", cell->value, *cell->error);
}

// Columns as wide as what is in them; numbers to the right.
std::string AlignedTable(const std::vector<std::vector<std::string>>& lines, size_t left) {
  std::vector<size_t> widths;
  for (const auto& line : lines) {
    widths.resize(std::max(widths.size(), line.size()));
    for (size_t c = 0; c < line.size(); ++c) widths[c] = std::max(widths[c], Columns(line[c]));
  }
  std::string out;
  for (const auto& line : lines) {
    std::string text;
    for (size_t c = 0; c < line.size(); ++c) {
      const std::string blanks(widths[c] - Columns(line[c]), ' ');
      if (c > 0) text += "  ";
      text += c < left ? line[c] + blanks : blanks + line[c];
    }
    text.erase(text.find_last_not_of(' ') + 1);
    out += text + "\n";
  }
  return out;
}

std::string TextOf(const std::vector<ModelReport>& reports, const std::vector<ReportRow>& rows,
                   const std::vector<ReleaseTable>& tables) {
  std::vector<std::vector<std::string>> lines = {{"task", "metric", "rows"}};
  for (const ModelReport& report : reports) lines[0].push_back(report.title);
  for (const ReportRow& row : rows) {
    std::vector<std::string> line = {
        row.task + (row.num_fewshot > 0 ? fmt::format(" ({} examples)", row.num_fewshot) : ""),
        row.metric, std::to_string(row.rows)};
    for (const auto& cell : row.cells) line.push_back(CellText(cell));
    lines.push_back(std::move(line));
  }
  std::string out = AlignedTable(lines, 2);
  for (const ReleaseTable& table : tables) {
    lines = {{table.name + ", %"}};
    lines[0].insert(lines[0].end(), table.columns.begin(), table.columns.end());
    for (size_t m = 0; m < reports.size(); ++m) {
      lines.push_back({reports[m].title});
      for (const auto& value : table.rows[m])
        lines.back().push_back(value ? fmt::format("{:.2f}", *value) : "");
    }
    out += "\n" + AlignedTable(lines, 1);
  }
  for (const ModelReport& report : reports)
    out += fmt::format("{}: {} before every context\n", report.title, report.pad);
  return out;
}

TaskJson PageData(const std::vector<ModelReport>& reports, const std::vector<ReportRow>& rows,
                  const std::vector<ReleaseTable>& tables) {
  TaskJson out = {
      {"models", TaskJson::array()}, {"rows", TaskJson::array()}, {"tables", TaskJson::array()}};
  for (const ModelReport& report : reports)
    out["models"].push_back({{"name", report.title}, {"pad", report.pad}});
  for (const ReportRow& row : rows) {
    TaskJson cells = TaskJson::array();
    for (const auto& cell : row.cells) {
      cells.push_back(!cell
                          ? TaskJson()
                          : TaskJson{{"value", cell->value},
                                     {"error", cell->error ? TaskJson(*cell->error) : TaskJson()}});
    }
    out["rows"].push_back({{"task", row.task},
                           {"metric", row.metric},
                           {"rows", row.rows},
                           {"shots", row.num_fewshot},
                           {"group", row.is_group},
                           {"cells", cells}});
  }
  for (const ReleaseTable& table : tables) {
    TaskJson values = TaskJson::array();
    for (const auto& row : table.rows) {
      TaskJson line = TaskJson::array();
      for (const auto& value : row) line.push_back(value ? TaskJson(*value) : TaskJson());
      values.push_back(line);
    }
    out["tables"].push_back({{"name", table.name}, {"columns", table.columns}, {"rows", values}});
  }
  return out;
}

}  // namespace

void RunTasks(const EvalFlags& o, const std::vector<std::string>& models, World& world) {
  const bool first = world.index() == 0;
  if (!o.samples.empty()) CheckOutput(o.common, {o.samples, SamplesOutput()});
  if (!o.html.empty()) CheckOutput(o.common, {o.html, EvalPageOutput()});
  if (!o.journal.empty() && first) CheckReplaces(o.common, {o.journal, JournalOutput()});
  TaskLibrary library;
  std::vector<std::string> names;
  for (const std::string& name : o.tasks) {
    const std::string ending = std::filesystem::path(name).extension().string();
    if (ending == ".yaml" || ending == ".yml") {
      for (const std::string& added : library.AddFile(name)) names.push_back(added);
    } else {
      names.push_back(name);
    }
  }
  std::vector<const TaskConfig*> tasks;
  for (const std::string& name : names) {
    for (const TaskConfig* task : library.Resolve(name)) {
      if (std::find(tasks.begin(), tasks.end(), task) == tasks.end()) tasks.push_back(task);
    }
  }
  TaskData data(o.data);
  std::vector<TaskPrompts> prompts;
  prompts.reserve(tasks.size());
  for (const TaskConfig* task : tasks) {
    prompts.emplace_back(*task, data, TaskOptions{.num_fewshot = o.num_fewshot, .limit = o.limit});
  }

  std::optional<AtomicFile> samples;
  if (!o.samples.empty() && first) samples.emplace(o.samples);
  std::vector<ModelReport> reports;
  for (const std::string& name : models) {
    MeasuredModel measured(o, name, world);
    if (samples) {
      measured.options().sample = [&](const TaskJson& sample) {
        TaskJson line = sample;
        if (models.size() > 1) line["model"] = measured.title();
        samples->Write(line.dump(-1, ' ', false, TaskJson::error_handler_t::replace) + "\n");
      };
    }
    ModelReport report{.title = measured.title(), .pad = measured.PadText()};
    report.results = Evaluate(measured.model(), measured.tokenizer(), measured.workspace(), prompts,
                              measured.options());
    report.json = ResultsJson(library, names, report.results);
    report.json["config"] = measured.ConfigJson();
    if (o.limit > 0) report.json["config"]["limit"] = o.limit;
    measured.Done();
    reports.push_back(std::move(report));
  }
  if (!first) return;
  if (samples) samples->Commit();
  const std::vector<ReportRow> rows = RowsOf(library, names, reports);
  const std::vector<ReleaseTable> tables = TablesOf(library, names, reports);
  if (!o.html.empty()) {
    AtomicFile file(o.html);
    file.Write(FillPage(PageKind::kEvaluation, PageData(reports, rows, tables)));
    file.Commit();
  }
  if (!o.common.json) return Print(TextOf(reports, rows, tables));
  std::vector<std::string> titles;
  std::vector<TaskJson> values;
  for (ModelReport& report : reports) {
    titles.push_back(report.title);
    values.push_back(std::move(report.json));
  }
  Print(
      ByModel(titles, std::move(values)).dump(-1, ' ', false, TaskJson::error_handler_t::replace) +
      "\n");
}

}  // namespace linnet::cli
