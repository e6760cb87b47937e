#include "server/completion_request.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

#include "server/openai_errors.h"

namespace linnet {
namespace {

constexpr size_t kMostPrompts = 256, kDefaultTokens = 256;
constexpr int64_t kMostChosen = 128, kMostLogprobs = 20;

[[noreturn]] void RefusePrompt() {
  throw RequestError(
      400,
      "prompt is neither a string, a list of strings, a list of token ids nor a list "
      "of such lists",
      "prompt", "invalid_type");
}

CompletionPrompt IdsPrompt(const Json& ids) {
  CompletionPrompt prompt{.is_ids = true};
  prompt.ids.reserve(ids.size());
  for (const Json& id : ids) {
    // Some clients write 1.0 for 1.
    const double number = id.is_number() ? id.get<double>() : -1;
    const bool is_id = number >= 0 && number <= std::numeric_limits<int32_t>::max() &&
                       number == std::floor(number);
    if (!is_id) RefusePrompt();
    prompt.ids.push_back(static_cast<int32_t>(number));
  }
  return prompt;
}

void ParseLogprobs(const Fields& body, GenerationFields& generation) {
  const Json* logprobs = body.Find("logprobs");
  if (logprobs == nullptr) return;
  if (logprobs->is_boolean()) {
    generation.logprobs = logprobs->get<bool>();
    return;
  }
  const auto top = body.Integer("logprobs", 0, kMostLogprobs);
  generation.logprobs = true;
  generation.top_logprobs = static_cast<size_t>(*top);
}

// G1's order: what comes after first, so that typing on extends the end of the prompt.
std::string BetweenPrompt(const std::string& before, const std::string& after) {
  return fmt::format("✿prefix✿✿suffix✿{}✿middle✿{}", after, before);
}
}  // namespace

std::vector<CompletionPrompt> ParsePrompts(const Fields& body) {
  const Json* prompt = body.Find("prompt");
  if (prompt == nullptr) {
    throw RequestError(400, "prompt is missing, expected a text", "prompt",
                       "missing_required_parameter");
  }
  if (prompt->is_string()) return {{.text = prompt->get<std::string>()}};
  if (!prompt->is_array() || prompt->empty()) RefusePrompt();
  if (prompt->front().is_number()) return {IdsPrompt(*prompt)};
  if (prompt->size() > kMostPrompts) {
    throw RequestError(400,
                       fmt::format("prompt is a list of {} prompts, expected at most {}",
                                   prompt->size(), kMostPrompts),
                       "prompt", "array_above_max_length");
  }
  std::vector<CompletionPrompt> prompts;
  prompts.reserve(prompt->size());
  for (const Json& one : *prompt) {
    if (one.is_string()) {
      prompts.push_back({.text = one.get<std::string>()});
    } else if (one.is_array()) {
      prompts.push_back(IdsPrompt(one));
    } else {
      RefusePrompt();
    }
  }
  return prompts;
}

std::vector<int32_t> PromptIds(const CompletionPrompt& prompt,
                               const std::optional<std::string>& suffix,
                               const ServedModel& served) {
  if (!prompt.is_ids) {
    return EncodePrompt(*served.tokenizer,
                        suffix ? BetweenPrompt(prompt.text, *suffix) : prompt.text);
  }
  for (const int32_t id : prompt.ids) {
    if (static_cast<size_t>(id) < served.vocab) continue;
    throw RequestError(
        400, fmt::format("prompt: id {} is outside the vocabulary, 0 to {}", id, served.vocab - 1),
        "prompt", "invalid_value");
  }
  return prompt.ids;
}

CompletionRequest ParseCompletion(const Json& body_json) {
  const Fields body(body_json);
  CompletionRequest request;
  request.model = body.String("model").value_or("");
  request.prompts = ParsePrompts(body);
  request.suffix = body.String("suffix");
  if (request.suffix && request.suffix->empty()) request.suffix.reset();
  const bool ids = std::any_of(request.prompts.begin(), request.prompts.end(),
                               [](const CompletionPrompt& prompt) { return prompt.is_ids; });
  if (request.suffix && ids) {
    throw RequestError(400, "suffix is given, but the prompt is token ids, expected a text",
                       "suffix", "invalid_value");
  }
  request.echo = body.Bool("echo", false);
  GenerationFields& generation = request.generation;
  generation = ParseGeneration(body);
  if (!generation.max_tokens) generation.max_tokens = kDefaultTokens;
  ParseResponseFormat(body, generation.format);
  ParseLogprobs(body, generation);
  generation.choices = static_cast<size_t>(body.Integer("n", 1, kMostChosen).value_or(1));
  request.stream = body.Bool("stream", false);
  const auto least = static_cast<int64_t>(generation.choices);
  const auto best = body.Integer("best_of", 1, kMostChosen).value_or(least);
  if (best < least) {
    throw RequestError(400, fmt::format("best_of is {}, expected at least n, {}", best, least),
                       "best_of", "invalid_value");
  }
  if (best > least && request.stream) {
    throw RequestError(400, "best_of is larger than n, which cannot be streamed", "best_of",
                       "invalid_value");
  }
  request.best_of = static_cast<size_t>(best);
  if (const auto options = body.Object("stream_options")) {
    request.stream_usage = options->Bool("include_usage", false);
  }
  return request;
}

}  // namespace linnet
