#include "server/llama_completion.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <optional>
#include <utility>

#include "server/completion_job.h"
#include "server/openai_answer.h"
#include "server/openai_completions.h"
#include "server/openai_errors.h"
#include "server/prompt_batch.h"
#include "server/token_fields.h"
#include "text/utf8.h"

namespace linnet {
namespace {

using LlamaClock = std::chrono::steady_clock;

constexpr size_t kMostLlamaPrompts = 256, kMostResponseFields = 256;
constexpr const char* kFieldCharacters = "abcdefghijklmnopqrstuvwxyz_/";
constexpr int64_t kMostProbs = 100, kMostCompletions = 128;

// How long one prompt and its texts took.
struct LlamaTimes {
  LlamaClock::time_point start, read;
  size_t evaluated = 0, cached = 0;

  OrderedJson Json(size_t predicted, const SpeculationCounts& guesses = {}) const {
    const auto ms = [](LlamaClock::duration time) {
      return std::chrono::duration<double, std::milli>(time).count();
    };
    const auto part = [](OrderedJson& to, const std::string& name, size_t count, double time) {
      const auto n = static_cast<double>(count);
      to[name + "_n"] = count;
      to[name + "_ms"] = time;
      to[name + "_per_token_ms"] = count > 0 ? time / n : 0;
      to[name + "_per_second"] = time > 0 ? 1000 * n / time : 0;
    };
    OrderedJson timings = {{"cache_n", cached}};
    part(timings, "prompt", evaluated - cached, ms(read - start));
    part(timings, "predicted", predicted, ms(LlamaClock::now() - read));
    if (guesses.guessed > 0) {
      timings["draft_n"] = guesses.guessed;
      timings["draft_n_accepted"] = guesses.accepted;
    }
    return timings;
  }
};

OrderedJson ProbabilityJson(const TokenInfo& token, const Tokenizer& tokenizer) {
  OrderedJson json = LogprobJson(token, tokenizer);
  OrderedJson ordered = {{"id", token.id}};
  for (auto& [key, value] : json.items()) ordered[key] = std::move(value);
  OrderedJson& tops = ordered["top_logprobs"];
  for (size_t i = 0; i < tops.size(); ++i) tops[i]["id"] = token.top[i].first;
  return ordered;
}

class LlamaAnswer : public PromptBatch {
 public:
  LlamaAnswer(std::shared_ptr<HttpReply> reply, std::shared_ptr<const ServedModel> model,
              const LlamaRequest& request, const Job& job)
      : PromptBatch(std::move(model), request.prompts.size()),
        stream_(std::move(reply)),
        request_(request),
        choices_(job.choices),
        settings_(LlamaSettings(job, request.request.stream)),
        prompts_(request.prompts.size()),
        texts_(request.prompts.size() * job.choices) {
    for (size_t i = 0; i < prompts_.size(); ++i) {
      prompts_[i].shown = ValidUtf8(served().tokenizer->Decode(request_.prompts[i]));
    }
  }

 protected:
  void OnStart(size_t prompt) override {
    prompts_[prompt].times.start = prompts_[prompt].times.read = LlamaClock::now();
    if (request_.request.stream) stream_.Begin();
  }

  void OnPrompt(size_t prompt, const PromptRead& read) override {
    LlamaTimes& times = prompts_[prompt].times;
    times.read = LlamaClock::now();
    times.evaluated = read.tokens;
    times.cached = read.cached;
    tokens_ += read.tokens;
  }

  void OnPiece(size_t prompt, size_t choice, const Piece& piece) override {
    LlamaText& text = TextOf(prompt, choice);
    text.content += piece.text;
    OrderedJson probabilities = OrderedJson::array();
    const size_t first = text.tokens.size();
    for (const TokenInfo& token : piece.tokens) {
      text.tokens.push_back(token.id);
      if (request_.request.generation.logprobs) {
        probabilities.push_back(ProbabilityJson(token, *served().tokenizer));
      }
    }
    text.has_new_line = text.has_new_line || piece.text.find('\n') != piece.text.npos;
    if (!request_.request.stream) {
      for (OrderedJson& token : probabilities) text.probabilities.push_back(std::move(token));
      return;
    }
    OrderedJson chunk = {
        {"index", IndexOf(prompt, choice)},
        {"content", piece.text},
        {"tokens", std::vector<int32_t>(text.tokens.begin() + static_cast<ptrdiff_t>(first),
                                        text.tokens.end())},
        {"stop", false},
        {"id_slot", 0},
        {"tokens_predicted", text.tokens.size()},
        {"tokens_evaluated", prompts_[prompt].times.evaluated}};
    if (request_.timings_per_token) {
      chunk["timings"] = prompts_[prompt].times.Json(text.tokens.size());
    }
    if (!probabilities.empty()) chunk["completion_probabilities"] = std::move(probabilities);
    stream_.Write(chunk);
  }

  void OnEnd(size_t prompt, size_t choice, const Ending& ending) override {
    OrderedJson whole = Whole(prompt, choice, ending);
    tokens_ += ending.tokens;
    if (request_.request.stream) {
      stream_.Write(whole);
    } else {
      TextOf(prompt, choice).whole = std::move(whole);
    }
  }

  void OnDone() override {
    stream_.reply().CountTokens(tokens_);
    if (request_.request.stream) return stream_.End();
    OrderedJson all = OrderedJson::array();
    for (LlamaText& text : texts_) all.push_back(std::move(text.whole));
    stream_.reply().Send(200, Dump(request_.is_list ? all : all[0]));
  }

  void OnError(const Error& error) override { stream_.Fail(error); }

 private:
  struct LlamaPrompt {
    std::string shown;
    LlamaTimes times;
  };
  struct LlamaText {
    std::string content;
    std::vector<int32_t> tokens;
    OrderedJson probabilities = OrderedJson::array();
    bool has_new_line = false;
    OrderedJson whole;
  };

  size_t IndexOf(size_t prompt, size_t choice) const { return prompt * choices_ + choice; }
  LlamaText& TextOf(size_t prompt, size_t choice) { return texts_[IndexOf(prompt, choice)]; }

  static const char* StopType(const Ending& ending) {
    if (ending.finish != Finish::kStop) return "limit";
    return ending.stop.empty() ? "eos" : "word";
  }

  // A stream has had content and tokens already.
  OrderedJson Whole(size_t prompt, size_t choice, const Ending& ending) {
    LlamaText& text = TextOf(prompt, choice);
    const LlamaTimes& times = prompts_[prompt].times;
    const bool stream = request_.request.stream;
    OrderedJson whole = {{"index", IndexOf(prompt, choice)},
                         {"content", stream ? std::string() : text.content},
                         {"tokens", OrderedJson::array()},
                         {"id_slot", 0},
                         {"stop", true},
                         {"model", served().name},
                         {"tokens_predicted", ending.tokens},
                         {"tokens_evaluated", times.evaluated},
                         {"generation_settings", settings_},
                         {"prompt", prompts_[prompt].shown},
                         {"has_new_line", text.has_new_line},
                         {"truncated", false},
                         {"stop_type", StopType(ending)},
                         {"stopping_word", ending.stop},
                         {"tokens_cached", times.evaluated + ending.tokens},
                         {"timings", times.Json(ending.tokens, ending.speculation)}};
    if (!stream && request_.return_tokens) whole["tokens"] = text.tokens;
    if (!stream && request_.request.generation.logprobs) {
      whole["completion_probabilities"] = std::move(text.probabilities);
    }
    if (request_.response_fields.empty()) return whole;
    OrderedJson chosen = OrderedJson::object();
    for (const std::string& field : request_.response_fields) {
      const OrderedJson::json_pointer at("/" + field);
      if (whole.contains(at)) chosen[field] = whole[at];
    }
    return chosen;
  }

  EventStream stream_;
  const LlamaRequest request_;
  const size_t choices_;
  const OrderedJson settings_;
  std::vector<LlamaPrompt> prompts_;
  std::vector<LlamaText> texts_;
  size_t tokens_ = 0;
};

void AnswerLlama(const ServedModels& models, const RouteCall& call, const Json& body) {
  LlamaRequest request = ParseLlama(body, models);
  request.request.owner = call.request.owner;
  const auto served = models.Find(request.model);
  const Job job = CompletionJob(request.request, *served);
  auto answer = std::make_shared<LlamaAnswer>(call.reply, served, request, job);
  answer->Start(job, std::move(request.prompts), *call.reply);
}

bool HasAny(const Json& body, const std::vector<const char*>& names) {
  return std::any_of(names.begin(), names.end(),
                     [&](const char* name) { return body.contains(name); });
}

// A list that is one prompt has ids in it, others are lists of prompts.
bool IsOnePrompt(const Json& prompt) {
  return prompt.is_string() ||
         (prompt.is_array() && std::any_of(prompt.begin(), prompt.end(),
                                           [](const Json& part) { return part.is_number(); }));
}

void ParseLlamaPrompts(const Fields& body, const ServedModel& served, LlamaRequest& request) {
  const Json* prompt = body.Find("prompt");
  if (prompt == nullptr) {
    throw RequestError(400, "prompt is missing, expected a text or token ids", "prompt",
                       "missing_required_parameter");
  }
  if (IsOnePrompt(*prompt)) {
    request.prompts = {ParseMixedTokens(*prompt, "prompt", served)};
    return;
  }
  request.is_list = true;
  const Json* list = body.List("prompt", kMostLlamaPrompts);
  if (list->empty()) {
    throw RequestError(400, "prompt is an empty list, expected a text or token ids", "prompt",
                       "invalid_value");
  }
  for (size_t i = 0; i < list->size(); ++i) {
    request.prompts.push_back(ParseMixedTokens((*list)[i], body.NameOf("prompt", i), served));
  }
}

}  // namespace

bool IsLlamaBody(const Json& body) {
  return HasAny(body, {"n_predict", "n_probs", "n_cmpl", "n_keep", "id_slot", "cache_prompt",
                       "return_tokens", "response_fields", "timings_per_token", "samplers",
                       "repeat_last_n", "return_progress"}) &&
         !HasAny(body, {"max_tokens", "logprobs", "echo", "suffix", "best_of", "stream_options"});
}

LlamaRequest ParseLlama(const Json& json, const ServedModels& models) {
  const Fields body(json);
  LlamaRequest request;
  request.model = body.String("model").value_or("");
  ParseLlamaPrompts(body, *models.Find(request.model), request);
  GenerationFields& generation = request.request.generation;
  generation = ParseGeneration(body);
  const auto probs = body.Integer("n_probs", 0, kMostProbs).value_or(0);
  generation.logprobs = probs > 0;
  generation.top_logprobs = static_cast<size_t>(probs);
  if (body.Bool("post_sampling_probs", false)) {
    throw RequestError(400,
                       "post_sampling_probs is true, expected false: n_probs tells the model's own "
                       "probabilities",
                       "post_sampling_probs", "unsupported_value");
  }
  const auto choices = body.Integer("n_cmpl", 1, kMostCompletions);
  generation.choices = static_cast<size_t>(choices.value_or(1));
  request.request.best_of = generation.choices;
  request.is_list = request.is_list || generation.choices > 1;
  request.request.stream = body.Bool("stream", false);
  request.return_tokens = body.Bool("return_tokens", false);
  request.timings_per_token = body.Bool("timings_per_token", false);
  request.response_fields = body.Strings("response_fields", kMostResponseFields);
  for (const std::string& field : request.response_fields) {
    if (field.find_first_not_of(kFieldCharacters) == field.npos) continue;
    throw RequestError(400, "response_fields has a name of other characters than a to z, _ and /",
                       "response_fields", "invalid_value");
  }
  return request;
}

OrderedJson LlamaSettings(const Job& job, bool stream) {
  const SamplerOptions& s = job.sampler;
  OrderedJson samplers = OrderedJson::array({"penalties", "top_k", "top_p", "min_p", "typ_p"});
  samplers.insert(s.order == SamplingOrder::kOpenAI ? samplers.begin() + 1 : samplers.end(),
                  "temperature");
  OrderedJson bias = OrderedJson::array();
  for (const auto& [id, value] : s.logit_bias) {
    const OrderedJson shown = std::isfinite(value) ? OrderedJson(value) : OrderedJson(false);
    bias.push_back({{"token", id}, {"bias", shown}});
  }
  return {{"n_predict", job.text.max_tokens},
          {"max_tokens", job.text.max_tokens},
          {"seed", s.seed},
          {"temperature", s.temperature},
          {"top_k", s.top_k},
          {"top_p", s.top_p},
          {"min_p", s.min_p},
          {"typical_p", s.typical},
          {"presence_penalty", s.presence_penalty},
          {"frequency_penalty", s.frequency_penalty},
          {"penalty_decay", s.penalty_decay},
          {"repeat_penalty", 1.0},
          {"mirostat", s.mirostat ? 2 : 0},
          {"mirostat_tau", s.mirostat ? s.mirostat->tau : Mirostat().tau},
          {"mirostat_eta", s.mirostat ? s.mirostat->rate : Mirostat().rate},
          {"stop", job.text.stops},
          {"ignore_eos", job.text.stop_ids.empty()},
          {"logit_bias", std::move(bias)},
          {"n_probs", job.logprobs},
          {"has_grammar", job.grammar != nullptr},
          {"samplers", std::move(samplers)},
          {"stream", stream}};
}

void AddLlamaCompletion(Router& router, std::shared_ptr<const ServedModels> models) {
  router.Add("POST", "/completion", [models](const RouteCall& call) {
    AnswerLlama(*models, call, ParseBody(call.request.body));
  });
  router.Add("POST", "/completions", [models](const RouteCall& call) {
    const Json body = ParseBody(call.request.body);
    if (!IsLlamaBody(body)) return AnswerCompletion(*models, call);
    AnswerLlama(*models, call, body);
  });
}

}  // namespace linnet
