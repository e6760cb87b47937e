#include "server/models.h"

#include <algorithm>
#include <chrono>
#include <ctime>
#include <string>
#include <utility>

#include "base/utc_time.h"
#include "server/openai_errors.h"

namespace linnet {
namespace {

void SendModel(const ServedModels& models, const std::string& name, HttpReply& reply) {
  const auto entries = models.entries();
  if (const ModelEntry* model = FindEntry(entries, name)) {
    return reply.Send(200, Dump(ModelObject(*model)));
  }
  throw NoSuchModel(name, entries);
}

}  // namespace

OrderedJson ModelObject(const ModelEntry& model) {
  OrderedJson meta = OrderedJson::object();
  if (model.served != nullptr) {
    const ServedModel& served = *model.served;
    meta = {{"n_vocab", served.vocab}, {"n_ctx_train", served.context_length}};
    if (served.model != nullptr) {
      const Config& config = served.model->config();
      meta["architecture"] = std::string("rwkv") + Name(config.generation);
      meta["n_embd"] = config.width;
      meta["n_layer"] = config.layers;
    }
    if (served.chat_template) meta["chat_template"] = served.chat_template->name();
  }
  meta["loaded"] = model.served != nullptr;
  return {
      {"id", model.name},
      {"object", "model"},
      {"created", model.created},
      {"owned_by", "linnet"},
      {"type", "model"},
      {"display_name", model.name},
      {"lifecycle", "active"},
      {"created_at",
       UtcTime(std::chrono::system_clock::from_time_t(static_cast<std::time_t>(model.created)))},
      {"meta", meta}};
}

OrderedJson CodexModelObject(const ModelEntry& model) {
  OrderedJson levels = OrderedJson::array();
  const auto& served = model.served;
  if (served && served->chat_template && served->chat_template->thinks()) {
    for (const char* level : {"none", "low", "medium", "high"}) {
      levels.push_back({{"effort", level}, {"description", ""}});
    }
  }
  return {{"slug", model.name},
          {"display_name", model.name},
          {"description", nullptr},
          {"supported_reasoning_levels", levels},
          {"shell_type", "shell_command"},
          {"visibility", "list"},
          {"minimal_client_version", {0, 1, 0}},
          {"supported_in_api", true},
          {"priority", 0},
          {"availability_nux", nullptr},
          {"upgrade", nullptr},
          {"base_instructions", "You are a coding agent. You work in the user's terminal."},
          {"supports_reasoning_summaries", false},
          {"default_reasoning_summary", "auto"},
          {"reasoning_summary_format", "none"},
          {"support_verbosity", false},
          {"default_verbosity", nullptr},
          {"apply_patch_tool_type", nullptr},
          {"truncation_policy", {{"mode", "bytes"}, {"limit", 10000}}},
          {"supports_parallel_tool_calls", true},
          {"context_window", served ? served->context_length : ServedModel().context_length},
          {"experimental_supported_tools", OrderedJson::array()},
          {"input_modalities", {"text"}}};
}

void AddModelRoutes(Router& router, std::shared_ptr<const ServedModels> models) {
  router.Add("GET", "/v1/models", [models](const RouteCall& call) {
    OrderedJson data = OrderedJson::array(), codex = OrderedJson::array();
    for (const ModelEntry& model : models->entries()) {
      data.push_back(ModelObject(model));
      codex.push_back(CodexModelObject(model));
    }
    call.reply->Send(200, Dump(OrderedJson{{"object", "list"},
                                           {"first_id", models->all().front()->name},
                                           {"last_id", models->all().back()->name},
                                           {"has_more", false},
                                           {"data", data},
                                           {"models", codex}}));
  });
  router.Add("GET", "/v1/models/{model}",
             [models](const RouteCall& call) { SendModel(*models, call["model"], *call.reply); });
  router.Add("GET", "/v1/models/{folder}/{model}", [models](const RouteCall& call) {
    SendModel(*models, call["folder"] + "/" + call["model"], *call.reply);
  });
}

void AddHealthRoutes(Router& router, std::function<bool()> ready) {
  router.Add("GET", "/health",
             [](const RouteCall& call) { call.reply->Send(200, R"({"status":"ok"})"); });
  router.Add("GET", "/ready", [ready = std::move(ready)](const RouteCall& call) {
    if (ready()) {
      call.reply->Send(200, R"({"status":"ready"})");
    } else {
      call.reply->Send(503, ErrorBody(503, "the server is starting, stopping or full"),
                       "application/json", {{"retry-after", "1"}});
    }
  });
}

}  // namespace linnet
