#include "server/llama_status.h"

#include <string>
#include <string_view>
#include <utility>

#include "server/chat_plan.h"
#include "server/json_fields.h"
#include "server/llama_completion.h"
#include "server/openai_errors.h"
#include "server/tokenizer_routes.h"
#include "text/jinja_template.h"

namespace linnet {
namespace {

ServedLoad LoadOf(const ServedModel& served) { return served.load ? served.load() : ServedLoad{}; }

OrderedJson SlotJson(size_t id, bool busy, const ServedModel& served) {
  return {
      {"id", id},
      {"id_task", -1},
      {"n_ctx", served.context_length},
      {"speculative", false},
      {"is_processing", busy},
      {"params", OrderedJson::object()},
      {"next_token",
       {{"has_next_token", busy}, {"has_new_line", false}, {"n_remain", -1}, {"n_decoded", 0}}}};
}

void Props(const ServedModels& models, const RouteCall& call) {
  const auto served = models.Find(call.request.QueryValue("model").value_or(""));
  const ChatTemplate& chat = *served->chat_template;
  OrderedJson defaults = SlotJson(0, false, *served);
  Job job = JobFor({}, served->text_sampling, "", *served);
  job.sampler.seed = 0xFFFFFFFF;  // llama-server's word for any
  defaults["params"] = LlamaSettings(job, true);
  const std::string_view end = EndOfTextName(*served->tokenizer);
  const OrderedJson end_token = end.empty() ? OrderedJson("") : OrderedJson(end);
  call.reply->Send(200, Dump(OrderedJson{{"default_generation_settings", std::move(defaults)},
                                         {"total_slots", LoadOf(*served).places},
                                         {"model_alias", served->name},
                                         {"model_path", served->name},
                                         {"chat_template", JinjaOf(chat, served->think)},
                                         {"chat_template_caps",
                                          {{"supports_system_role", true},
                                           {"supports_tools", chat.has_tools()},
                                           {"supports_tool_calls", chat.has_tools()},
                                           {"supports_parallel_tool_calls", chat.has_tools()},
                                           {"supports_preserve_reasoning", false}}},
                                         {"modalities", {{"vision", false}, {"audio", false}}},
                                         {"bos_token", end_token},
                                         {"eos_token", end_token},
                                         {"build_info", "linnet"},
                                         {"is_sleeping", false}}));
}

void Slots(const ServedModels& models, const RouteCall& call) {
  const auto served = models.Find(call.request.QueryValue("model").value_or(""));
  const ServedLoad load = LoadOf(*served);
  if (call.request.QueryValue("fail_on_no_slot").value_or("0") == "1" &&
      load.running >= load.places) {
    call.reply->Send(503, ErrorBody(503, "no slot is free", "", "no_slot"), "application/json",
                     {{"retry-after", "1"}});
    return;
  }
  OrderedJson slots = OrderedJson::array();
  for (size_t i = 0; i < load.places; ++i) {
    slots.push_back(SlotJson(i, i < load.running, *served));
  }
  call.reply->Send(200, Dump(slots));
}

}  // namespace

void AddLlamaStatus(Router& router, std::shared_ptr<const ServedModels> models) {
  router.Add("GET", "/props", [models](const RouteCall& call) { Props(*models, call); });
  router.Add("GET", "/slots", [models](const RouteCall& call) { Slots(*models, call); });
  router.Add("POST", "/infill", [](const RouteCall&) {
    throw RequestError(501,
                       "infill is not supported, as models here have no tokens for it; use "
                       "/v1/completions with prompt and suffix",
                       "", "not_supported_error");
  });
}

}  // namespace linnet
