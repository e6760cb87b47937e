#include "server/cache_explain.h"

#include <fmt/format.h>

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "engine/state_cache.h"
#include "server/chat_plan.h"
#include "server/chat_request.h"
#include "server/completion_request.h"
#include "server/openai_errors.h"
#include "text/utf8.h"

namespace linnet {
namespace {

constexpr size_t kShownStates = 32, kShownBytes = 80;

// What would be looked up.
struct Asked {
  Job job{};
  bool looks_up = true;
};

Asked AskedBy(const Json& json, const std::string& owner,
              const std::shared_ptr<const ServedModel>& served) {
  const Fields body(json);
  Asked asked;
  StateFields fields;
  if (body.Has("messages")) {
    ChatRequest request = ParseChat(json);
    request.owner = owner;
    fields = request.generation.state;
    asked.job = PlanChat(request, *served).job;
    asked.looks_up = request.generation.use_cache;
  } else {
    const CompletionRequest request = ParseCompletion(json);
    if (request.prompts.size() != 1) {
      throw RequestError(400, "prompt is a list of prompts, expected one", "prompt",
                         "invalid_value");
    }
    fields = request.generation.state;
    asked.job.prompt = PromptIds(request.prompts.front(), request.suffix, *served);
    asked.job.owner = owner;
    if (const std::string& lora = request.generation.lora; !lora.empty()) {
      asked.job.adapter = served->adapters->Find(lora);
    }
    asked.looks_up = request.generation.use_cache && !(request.echo && request.generation.logprobs);
  }
  // Only read.
  fields.update = false;
  fields.returned = StateFields::Return::kNone;
  if (const auto state = RequestState::Of(fields, owner, served, 1, asked.job.adapter))
    state->Begin(asked.job);
  return asked;
}

OrderedJson TokenJsonOf(int32_t id, const Tokenizer& tokenizer) {
  return {{"id", id}, {"text", ValidUtf8(tokenizer.Bytes(id))}};
}

// The text of the last tokens before `end`.
std::string TextBefore(std::span<const int32_t> tokens, size_t end, const Tokenizer& tokenizer) {
  size_t begin = end, bytes = 0;
  while (begin > 0 && bytes < kShownBytes) bytes += tokenizer.Bytes(tokens[--begin]).size();
  return ValidUtf8(tokenizer.Decode(tokens.subspan(begin, end - begin)));
}

struct Verdict {
  const char* reason;
  std::string message;
};

Verdict Judge(const CacheExplanation& cache, size_t prompt, size_t cached, uint64_t evicted) {
  const std::string dropped =
      evicted == 0 ? ""
                   : fmt::format("; {} states were dropped to keep the cache's budget", evicted);
  if (!cache.has_texts) {
    return {"nothing_kept", "no text of this key is kept" + dropped};
  }
  if (cached > 0 && cache.shared <= cached) {
    return {"hit", fmt::format("the state after {} tokens is used; {} tokens are new", cached,
                               prompt - cached)};
  }
  if (cache.shared >= prompt || (cached == 0 && cache.shared + 1 >= prompt)) {
    return {"no_state_here",
            fmt::format("kept texts begin with the whole prompt, but the last state before its end "
                        "is that after {} tokens{}",
                        cached, dropped)};
  }
  if (cached > 0) {
    return {"hit_earlier",
            fmt::format("the kept texts that are most alike differ from token {} on, and the last "
                        "state before it is that after {} tokens",
                        cache.shared, cached)};
  }
  if (cache.shared == 0) return {"diverged", "no kept text begins with the same token" + dropped};
  return {"diverged", fmt::format("the kept texts that are most alike differ from token {} on, and "
                                  "no state is kept before it{}",
                                  cache.shared, dropped)};
}

OrderedJson Explanation(const ServedModel& served, const Asked& asked) {
  const std::vector<int32_t>& prompt = asked.job.prompt;
  OrderedJson answer = {{"object", "cache.explanation"},
                        {"model", served.name},
                        {"prompt_tokens", prompt.size()},
                        {"cached_tokens", 0}};
  if (served.cache == nullptr || !asked.looks_up) {
    answer["reason"] = "not_used";
    answer["message"] = served.cache == nullptr ? "this model has no cache of states"
                                                : "the request does not use the cache";
    return answer;
  }
  const CacheExplanation cache = served.cache->Explain(CacheOwner(asked.job), prompt);
  const size_t cached = cache.kept.empty() ? 0 : cache.kept.back().tokens;
  const Verdict verdict = Judge(cache, prompt.size(), cached, served.cache->statistics().evictions);
  answer["cached_tokens"] = cached;
  answer["reason"] = verdict.reason;
  answer["message"] = verdict.message;
  answer["shared_tokens"] = cache.shared;
  answer["diverged_at"] = nullptr;
  if (cache.has_texts && cache.shared < prompt.size()) {
    OrderedJson kept = OrderedJson::array();
    for (const int32_t id : cache.next) kept.push_back(TokenJsonOf(id, *served.tokenizer));
    answer["diverged_at"] = {{"token", cache.shared},
                             {"before", TextBefore(prompt, cache.shared, *served.tokenizer)},
                             {"prompt", TokenJsonOf(prompt[cache.shared], *served.tokenizer)},
                             {"kept", std::move(kept)}};
  }
  OrderedJson states = OrderedJson::array();
  for (size_t i = cache.kept.size() - std::min(cache.kept.size(), kShownStates);
       i < cache.kept.size(); ++i) {
    states.push_back({{"tokens", cache.kept[i].tokens},
                      {"in_memory", cache.kept[i].in_memory},
                      {"on_disk", cache.kept[i].on_disk}});
  }
  answer["states"] = std::move(states);
  return answer;
}

}  // namespace

void AddCacheRoutes(Router& router, std::shared_ptr<const ServedModels> models) {
  router.Add("POST", "/v1/cache/explain", [models](const RouteCall& call) {
    const Json body = ParseBody(call.request.body);
    const auto served = models->Find(Fields(body).String("model").value_or(""));
    const Asked asked = AskedBy(body, call.request.owner, served);
    call.reply->Send(200, Dump(Explanation(*served, asked)));
  });
}

}  // namespace linnet
