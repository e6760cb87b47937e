#include "server/ollama_models.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <chrono>
#include <cstdint>
#include <filesystem>
#include <map>
#include <system_error>
#include <utility>

#include "base/sha256.h"
#include "base/utc_time.h"
#include "models/model_of.h"
#include "models/names.h"
#include "models/packed.h"
#include "server/json_fields.h"
#include "server/ollama_template.h"

namespace linnet {
namespace {

// The version of Ollama whose interface these routes follow: clients refuse older ones.
constexpr const char* kOllamaVersion = "0.14.0";
// Models stay in memory until the server ends.
constexpr const char* kNeverExpires = "9999-12-31T23:59:59Z";

// As Ollama's clients expect names.
std::string Tagged(const std::string& name) {
  return name.find(':') == std::string::npos ? name + ":latest" : name;
}

std::string Upper(std::string text) {
  for (char& c : text) c = static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
  return text;
}

// What the file of a model says.
struct ModelFile {
  std::string format = "safetensors", family = "rwkv", quantization = "unknown";
  uint64_t parameters = 0, bytes = 0;
  std::string digest;  // 64 hex digits
};

ModelFile FileOf(const ServedModel& served) {
  ModelFile file;
  file.digest = Hex(Sha256Of(served.name));
  if (served.model == nullptr) return file;
  const Model& model = *served.model;
  // The hash has fewer digits than clients show.
  file.digest = Hex(Sha256Of(model.hash()));
  file.family += Name(model.config().generation);
  const std::string ending = model.path().extension().string();
  if (ending.size() > 1) file.format = ending.substr(1);
  std::map<std::string, uint64_t> types;
  for (const TensorView& tensor : CheckpointOf(model).tensors()) {
    types[TypeName(tensor)] += tensor.elements();
    file.parameters += tensor.elements();
  }
  const auto most = std::max_element(
      types.begin(), types.end(), [](const auto& a, const auto& b) { return a.second < b.second; });
  if (most != types.end()) file.quantization = Upper(most->first);
  std::error_code failed;
  const auto size = std::filesystem::file_size(model.path(), failed);
  file.bytes = failed ? model.cost().matrix_bytes : size;
  return file;
}

// "1.5B", "191.1M", "12.3K"
std::string CountText(uint64_t count) {
  const auto number = static_cast<double>(count);
  if (count >= 1'000'000'000) return fmt::format("{:.1f}B", number / 1e9);
  if (count >= 1'000'000) return fmt::format("{:.1f}M", number / 1e6);
  return fmt::format("{:.1f}K", number / 1e3);
}

OrderedJson DetailsOf(const ModelFile& file) {
  return {{"parent_model", ""},
          {"format", file.format},
          {"family", file.family},
          {"families", {file.family}},
          {"parameter_size", CountText(file.parameters)},
          {"quantization_level", file.quantization}};
}

std::string CreatedAt(const ServedModel& served) {
  return UtcTime(std::chrono::system_clock::from_time_t(static_cast<std::time_t>(served.created)));
}

OrderedJson ListedModel(const ServedModel& served) {
  const ModelFile file = FileOf(served);
  return {{"name", TaggedName(served)},
          {"model", TaggedName(served)},
          {"modified_at", CreatedAt(served)},
          {"size", file.bytes},
          {"digest", file.digest},
          {"details", DetailsOf(file)}};
}

// One that is not in memory: what is known of it without reading it.
OrderedJson ListedEntry(const ModelEntry& entry) {
  ModelFile file;
  file.bytes = entry.bytes;
  OrderedJson details = DetailsOf(file);
  details["parameter_size"] = "";
  return {
      {"name", Tagged(entry.name)},
      {"model", Tagged(entry.name)},
      {"modified_at",
       UtcTime(std::chrono::system_clock::from_time_t(static_cast<std::time_t>(entry.created)))},
      {"size", entry.bytes},
      {"digest", Hex(Sha256Of(entry.name))},
      {"details", std::move(details)}};
}

// What can be asked for, with the names that models were given.
OrderedJson ListedModels(const ServedModels& models) {
  OrderedJson list = OrderedJson::array();
  for (const ModelEntry& entry : models.entries()) {
    list.push_back(entry.served ? ListedModel(*entry.served) : ListedEntry(entry));
    OrderedJson other = list.back();
    for (const std::string& name : entry.other_names) {
      other["name"] = other["model"] = Tagged(name);
      list.push_back(other);
    }
  }
  return list;
}

OrderedJson RunningOne(const ServedModel& served) {
  const ModelFile file = FileOf(served);
  return {{"name", TaggedName(served)},
          {"model", TaggedName(served)},
          {"size", served.model == nullptr ? 0 : served.model->cost().matrix_bytes},
          {"digest", file.digest},
          {"details", DetailsOf(file)},
          {"expires_at", kNeverExpires},
          {"size_vram", 0},
          {"context_length", served.context_length}};
}

// The sampling of chat, in lines as `ollama show` prints them.
std::string ParametersText(const ServedModel& served) {
  const SamplerOptions& sampling = served.chat_sampling;
  std::string text = fmt::format(
      "temperature {}\ntop_p {}\ntop_k {}\nmin_p {}\npresence_penalty {}\nfrequency_penalty {}\n"
      "num_predict {}",
      sampling.temperature, sampling.top_p, sampling.top_k, sampling.min_p,
      sampling.presence_penalty, sampling.frequency_penalty, served.max_tokens);
  for (const std::string& stop : served.chat_template->stops()) {
    text += "\nstop " + Dump(Json(stop));
  }
  return text;
}

OrderedJson ModelInfo(const ServedModel& served, const ModelFile& file) {
  OrderedJson info = {{"general.architecture", file.family},
                      {"general.basename", served.name},
                      {"general.parameter_count", file.parameters},
                      {file.family + ".context_length", served.context_length},
                      {file.family + ".vocab_size", served.vocab}};
  if (served.model != nullptr) {
    const Config& config = served.model->config();
    info[file.family + ".block_count"] = config.layers;
    info[file.family + ".embedding_length"] = config.width;
    info[file.family + ".feed_forward_length"] = config.ffn;
    info[file.family + ".attention.head_count"] = config.heads;
  }
  return info;
}

OrderedJson ShownModel(const ServedModel& served) {
  const ModelFile file = FileOf(served);
  const std::string chat_template = TemplateText(served.chat_template->form());
  const std::string parameters = ParametersText(served);
  std::string modelfile = "FROM " + TaggedName(served) + "\nTEMPLATE \"\"\"" + chat_template +
                          "\"\"\"\nPARAMETER " + parameters;
  for (size_t at = modelfile.size() - parameters.size();
       (at = modelfile.find('\n', at)) != std::string::npos;) {
    modelfile.insert(++at, "PARAMETER ");
  }
  return {{"modelfile", modelfile},
          {"parameters", parameters},
          {"template", chat_template},
          {"details", DetailsOf(file)},
          {"model_info", ModelInfo(served, file)},
          {"capabilities", CapabilitiesOf(served)},
          {"modified_at", CreatedAt(served)}};
}

}  // namespace

std::string TaggedName(const ServedModel& served) { return Tagged(served.name); }

std::vector<std::string> CapabilitiesOf(const ServedModel& served) {
  if (served.model != nullptr && served.model->config().purpose == Purpose::kEmbedding) {
    return {"embedding"};
  }
  std::vector<std::string> capabilities = {"completion"};
  if (served.chat_template->has_tools()) capabilities.emplace_back("tools");
  if (served.chat_template->thinks()) capabilities.emplace_back("thinking");
  return capabilities;
}

void AddOllamaModelRoutes(Router& router, std::shared_ptr<const ServedModels> models) {
  router.Add("GET", "/api/version", [](const RouteCall& call) {
    call.reply->Send(200, Dump(OrderedJson{{"version", kOllamaVersion}}));
  });
  router.Add("GET", "/api/tags", [models](const RouteCall& call) {
    call.reply->Send(200, Dump(OrderedJson{{"models", ListedModels(*models)}}));
  });
  router.Add("GET", "/api/ps", [models](const RouteCall& call) {
    OrderedJson list = OrderedJson::array();
    for (const auto& served : models->all()) list.push_back(RunningOne(*served));
    call.reply->Send(200, Dump(OrderedJson{{"models", std::move(list)}}));
  });
  router.Add("POST", "/api/show", [models = std::move(models)](const RouteCall& call) {
    const Json json = ParseBody(call.request.body);
    const Fields body(json);
    body.Bool("verbose");
    const std::string name = body.String("model").value_or(body.String("name").value_or(""));
    call.reply->Send(200, Dump(ShownModel(*models->Find(name))));
  });
}

}  // namespace linnet
