// linnet models: the models that are there, with their names and sizes.
#include "cli/models.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdint>
#include <ctime>
#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "cli/cli.h"
#include "download/pulled_models.h"
#include "linnet/error.h"
#include "linnet/model.h"
#include "models/builtin_model.h"
#include "models/detect.h"
#include "models/names.h"

namespace linnet::cli {
namespace {

struct ModelsFlags {
  CommonOptions common;
  std::vector<std::string> remove;
};

// "RWKV-7, 24 layers of 1024, 450.8 M parameters"; from the file's header only.
ModelFacts FactsIn(const Checkpoint& checkpoint) {
  const Config config = ConfigOf(checkpoint);
  ModelFacts facts;
  facts.generation = Name(config.generation);
  facts.layers = config.layers;
  facts.width = config.width;
  for (const TensorView& tensor : checkpoint.tensors()) facts.parameters += tensor.elements();
  return facts;
}

std::string DayOf(int64_t time) {
  const auto seconds = static_cast<std::time_t>(time);
  std::tm parts{};
  if (gmtime_r(&seconds, &parts) == nullptr) return "";
  return fmt::format("{:04}-{:02}-{:02}", parts.tm_year + 1900, parts.tm_mon + 1, parts.tm_mday);
}

void Remove(const ModelsFlags& o) {
  const std::filesystem::path folder = PulledModelsFolder();
  for (const std::string& name : o.remove) {
    const auto model = FindPulled(folder, name);
    if (!model) {
      throw Error(
          ErrorKind::kBadInput,
          fmt::format("'{}': no pulled model has this name; `linnet models` lists them", name));
    }
    RemovePulled(folder, *model);
    Say(fmt::format("removed {}, {:.2f} GB\n", model->full_name,
                    static_cast<double>(model->bytes()) / 1e9));
  }
}

void RunModels(const ModelsFlags& o) {
  if (!o.remove.empty()) return Remove(o);
  const auto models = ModelsHere();
  if (o.common.json) {
    nlohmann::ordered_json list = nlohmann::ordered_json::array();
    for (const ModelHere& model : models) list.push_back(ToJson(model));
    Print(nlohmann::ordered_json{{"folder", PulledModelsFolder().string()},
                                 {"models", std::move(list)}}
              .dump() +
          "\n");
    return;
  }
  size_t width = 4;
  for (const ModelHere& model : models) width = std::max(width, model.name.size());
  for (const ModelHere& model : models) {
    Print(fmt::format("{:<{}}  {:>9}  {:<10}  {}\n", model.name, width,
                      fmt::format("{:.3f} GB", static_cast<double>(model.bytes) / 1e9),
                      model.time != 0 ? DayOf(model.time) : "", model.Describe()));
  }
}

}  // namespace

std::string ModelHere::Describe() const {
  if (!problem.empty()) return problem;
  return fmt::format("RWKV-{}, {} layers of {}, {:.1f} M parameters", facts.generation,
                     facts.layers, facts.width, static_cast<double>(facts.parameters) / 1e6);
}

nlohmann::ordered_json ToJson(const ModelHere& model) {
  nlohmann::ordered_json json = {{"name", model.name},
                                 {"full_name", model.full_name},
                                 {"path", model.path},
                                 {"bytes", model.bytes}};
  if (model.time != 0) json["pulled"] = model.time;
  if (model.problem.empty()) {
    json["generation"] = model.facts.generation;
    json["layers"] = model.facts.layers;
    json["width"] = model.facts.width;
    json["parameters"] = model.facts.parameters;
  } else {
    json["problem"] = model.problem;
  }
  return json;
}

std::vector<ModelHere> ModelsHere() {
  std::vector<ModelHere> models;
  const auto add = [&](ModelHere model, const std::string& file) {
    try {
      const Checkpoint checkpoint = CheckpointNamed(file);
      model.facts = FactsIn(checkpoint);
      if (model.bytes == 0) model.bytes = checkpoint.file().file_bytes();
    } catch (const Error& error) {
      model.problem = error.what();
    }
    models.push_back(std::move(model));
  };
  if (Model::HasBuiltIn()) {
    ModelHere model;
    model.name = model.full_name = kBuiltInName;
    add(std::move(model), std::string(kBuiltInName));
  }
  for (const PulledModel& pulled : PulledModels(PulledModelsFolder())) {
    ModelHere model;
    model.name = pulled.name;
    model.full_name = pulled.full_name;
    model.path = pulled.path.string();
    model.bytes = pulled.bytes();
    model.time = pulled.time;
    add(std::move(model), pulled.path.string());
  }
  return models;
}

void AddModels(CLI::App& app) {
  const auto o = std::make_shared<ModelsFlags>();
  CLI::App* command = AddCommand(
      app, "models", "List the models that are there, or remove some",
      "linnet models --remove rwkv7-g1d-0.4b-20260210-ctx8192\n\n"
      "Lists the built-in model and those of `linnet pull`. Each name can stand for MODEL in "
      "every\n"
      "command.",
      o->common, [o] { RunModels(*o); }, kJson);
  command->add_option("--remove", o->remove, "Remove this pulled model")->type_name("NAME...");
}

}  // namespace linnet::cli
