#include "server/chat_plan.h"

#include <fmt/format.h>

#include <algorithm>
#include <random>
#include <utility>

#include "server/openai_errors.h"
#include "server/reply_grammar.h"

namespace linnet {
namespace {

using Calls = ReplyLimits::Calls;

// The functions that this reply may call.
std::vector<ChatTool> ToolsFor(const ChatRequest& request) {
  if (request.tool_choice.kind == ToolChoice::Kind::kNone) return {};
  return request.tools;
}

Think ThinkFor(const ChatRequest& request, const ServedModel& served) {
  if (!served.chat_template->thinks()) return Think::kNone;
  const Think usual = served.think;
  switch (request.thinking) {
    case Thinking::kOff:
      return usual == Think::kNone ? Think::kNone : Think::kFast;
    case Thinking::kOn:
      return usual == Think::kNone || usual == Think::kFast ? Think::kFree : usual;
    case Thinking::kBit:
      return Think::kBit;
    case Thinking::kMedium:
      return Think::kMedium;
    case Thinking::kLot:
      return Think::kLot;
    case Thinking::kDefault:
      break;
  }
  // Thoughts before JSON only if they are asked for.
  return request.generation.format.kind == OutputFormat::Kind::kText ? usual : Think::kNone;
}

bool IsJson(const OutputFormat& format) {
  return format.kind == OutputFormat::Kind::kJson || format.kind == OutputFormat::Kind::kJsonSchema;
}

// How the reply begins, is limited and is read.
struct Shape {
  std::vector<ChatTool> tools;
  Calls calls = Calls::kNone;
  PromptOptions options;
  bool thinks = false, skips_thought = false;
};

Shape ShapeOf(const ChatRequest& request, const ServedModel& served) {
  Shape shape;
  shape.tools = ToolsFor(request);
  const auto choice = request.tool_choice.kind;
  if (!shape.tools.empty()) {
    const bool must = choice == ToolChoice::Kind::kRequired || choice == ToolChoice::Kind::kNamed;
    shape.calls = must ? Calls::kMust : Calls::kMay;
    if (!served.chat_template->has_tools()) {
      throw RequestError(422,
                         fmt::format("tools are given, but the chat template {} of model {} has no "
                                     "form for them",
                                     served.chat_template->name(), served.name),
                         "tools", "unsupported_parameter");
    }
  }
  const Think think = ThinkFor(request, served);
  if (shape.calls == Calls::kMust) {
    shape.options.lead = ReplyLead::kCall;
  } else if (IsJson(request.generation.format) && shape.calls == Calls::kNone &&
             think == Think::kNone && served.chat_template->has_tools()) {
    shape.options.lead = ReplyLead::kJson;
  } else {
    shape.options.think = think;
    shape.skips_thought = think == Think::kFast;
    shape.thinks = think != Think::kNone && think != Think::kFast;
  }
  return shape;
}

// The reply is the rest of the last message.
bool GoesOn(const ChatRequest& request, const Shape& shape) {
  const ChatMessage& last = request.messages.back();
  return shape.options.lead == ReplyLead::kText && last.role == ChatRole::kAssistant &&
         last.calls.empty();
}

ChatPrompt RenderFor(const ChatRequest& request, const Shape& shape, const ServedModel& served) {
  return served.chat_template->Render(request.messages, shape.tools, shape.options);
}

// Places of message ends as numbers of tokens.
std::vector<size_t> MarksOf(const ChatPrompt& prompt, std::span<const int32_t> tokens,
                            const Tokenizer& tokenizer) {
  std::vector<size_t> marks = TokensUpTo(tokenizer, tokens, prompt.ends);
  marks.erase(std::unique(marks.begin(), marks.end()), marks.end());
  if (!marks.empty() && marks.front() == 0) marks.erase(marks.begin());
  return marks;
}

std::shared_ptr<const Grammar> GrammarFor(const ChatRequest& request, const Shape& shape,
                                          const std::vector<ChatTool>& callable,
                                          const CallTrigger* trigger, const ChatPrompt& prompt,
                                          const ServedModel& served) {
  ReplyLimits limits{.calls = shape.calls,
                     .tools = callable,
                     .trigger = trigger,
                     .lists = request.parallel_calls,
                     .format = request.generation.format};
  if (!prompt.reply_start.empty()) {
    if (shape.thinks) limits.thought = ReplyLimits::Thought::kOpen;
    if (shape.skips_thought) limits.thought = ReplyLimits::Thought::kSkipped;
  }
  const bool limited =
      limits.calls != Calls::kNone || limits.format.kind != OutputFormat::Kind::kText;
  if (!limited) return nullptr;
  return served.grammars->Find(request.owner + KeyOf(limits),
                               [&] { return GrammarOfReply(limits); });
}

std::vector<int32_t> After(const std::vector<int32_t>& before, std::span<const int32_t> tokens) {
  std::vector<int32_t> all;
  all.reserve(before.size() + tokens.size());
  all.insert(all.end(), before.begin(), before.end());
  all.insert(all.end(), tokens.begin(), tokens.end());
  return all;
}

size_t CountUpTo(const Tokenizer& tokenizer, std::span<const int32_t> tokens, size_t bytes) {
  return TokensUpTo(tokenizer, tokens, std::span(&bytes, 1)).front();
}

// What later requests have in common with this one, whose prompt may end in wishes for thoughts.
// If the tokens are those of another text, as the 20B tokenizer normalizes, all is left to be
// encoded (`always`), or nothing is returned.
std::optional<ChatPast> PastOf(const ChatRequest& request, const Shape& shape,
                               const std::string& prompt, std::span<const int32_t> tokens,
                               bool always, const ServedModel& served) {
  const ChatTemplate& chat = *served.chat_template;
  const Tokenizer& tokenizer = *served.tokenizer;
  ChatPast past;
  std::span<const ChatMessage> messages = request.messages;
  if (GoesOn(request, shape)) {
    past.begun = messages.back().text;
    messages = messages.first(messages.size() - 1);
  }
  const ChatPrompt rendered = chat.RenderPast(messages, shape.tools, {});
  const std::string& text = rendered.text;
  const auto differ = std::mismatch(text.begin(), text.end(), prompt.begin(), prompt.end()).first;
  const auto common = static_cast<size_t>(differ - text.begin());
  // A token depends on the text after it, so that those of the prompt are taken up to the end of a
  // message after which both texts go on alike.
  size_t end = 0;
  for (const size_t place : rendered.ends) {
    if (place < common || common == text.size()) end = place;
  }
  // False if these are not the next tokens of the text.
  const auto append = [&](std::span<const int32_t> more) {
    past.tokens.insert(past.tokens.end(), more.begin(), more.end());
    const std::string read = tokenizer.Decode(past.tokens);
    end = read.size();
    return text.starts_with(read);
  };
  const auto refuse = [&]() -> std::optional<ChatPast> {
    if (!always) return std::nullopt;
    past.tokens.clear();
    past.rest = text;
    return past;
  };
  if (!append(tokens.first(CountUpTo(tokenizer, tokens, end)))) return refuse();
  if (common < text.size()) {
    const std::vector<int32_t> more = tokenizer.Encode(text.substr(end) + chat.form().reply_head);
    if (!append(std::span(more).first(CountUpTo(tokenizer, more, text.size() - end)))) {
      return refuse();
    }
  }
  past.rest = text.substr(end);
  return past;
}

}  // namespace

SamplerOptions SamplerFor(const GenerationFields& fields, const SamplerOptions& base,
                          const ServedModel& served) {
  SamplerOptions options = base;
  const auto set = [](auto& option, const auto& field) {
    if (field) option = *field;
  };
  set(options.temperature, fields.temperature);
  set(options.top_p, fields.top_p);
  set(options.top_k, fields.top_k);
  set(options.min_p, fields.min_p);
  set(options.typical, fields.typical);
  set(options.presence_penalty, fields.presence_penalty);
  set(options.frequency_penalty, fields.frequency_penalty);
  set(options.penalty_decay, fields.penalty_decay);
  set(options.penalty, fields.penalty);
  set(options.order, fields.order);
  if (fields.mirostat) options.mirostat = fields.mirostat;
  if (!fields.logit_bias.empty()) {
    const int32_t last = fields.logit_bias.rbegin()->first;
    if (static_cast<size_t>(last) >= served.vocab) {
      throw RequestError(400,
                         fmt::format("logit_bias: id {} is outside the vocabulary, 0 to {}", last,
                                     served.vocab - 1),
                         "logit_bias", "invalid_value");
    }
    options.logit_bias = fields.logit_bias;
  }
  thread_local std::random_device device;
  options.seed = fields.seed ? *fields.seed : uint64_t{device()} << 32 | device();
  return options;
}

Job JobFor(const GenerationFields& fields, const SamplerOptions& base, const std::string& owner,
           const ServedModel& served) {
  Job job;
  job.sampler = SamplerFor(fields, base, served);
  job.text.max_tokens = fields.max_tokens.value_or(served.max_tokens);
  job.text.stops = fields.stops;
  job.text.stop_ids = EndOfTextIds(*served.tokenizer);
  if (fields.ignore_end) job.text.stop_ids.clear();
  job.choices = fields.choices;
  job.want_logprobs = fields.logprobs;
  job.logprobs = fields.top_logprobs;
  job.owner = owner;
  if (!fields.lora.empty()) job.adapter = served.adapters->Find(fields.lora);
  job.use_cache = fields.use_cache;
  if (!fields.prediction.empty()) job.prediction = served.tokenizer->Encode(fields.prediction);
  if (fields.timeout) job.deadline = std::chrono::steady_clock::now() + *fields.timeout;
  return job;
}

ChatPlan PlanChat(const ChatRequest& request, const ServedModel& served) {
  const Shape shape = ShapeOf(request, served);
  const ChatPrompt prompt = RenderFor(request, shape, served);
  ChatPlan plan;
  plan.stops = request.generation.stops;
  // Penalties and chance do harm where quotes and braces must be repeated.
  SamplerOptions base = served.chat_sampling;
  const bool must_call = shape.calls == Calls::kMust;
  if (must_call || request.generation.format.kind != OutputFormat::Kind::kText) {
    base.presence_penalty = base.frequency_penalty = 0;
  }
  if (must_call) base.temperature = 0;
  plan.job = JobFor(request.generation, base, request.owner, served);
  const std::vector<int32_t> tokens = EncodePrompt(*served.tokenizer, prompt.text);
  plan.job.prompt = After(request.before, tokens);
  plan.job.marks = MarksOf(prompt, tokens, *served.tokenizer);
  for (size_t& mark : plan.job.marks) mark += request.before.size();
  auto& stops = plan.job.text.stops;
  const ChatForm& strings = served.chat_template->form();
  if (!request.generation.ignore_end) {
    stops.insert(stops.end(), strings.stops.begin(), strings.stops.end());
    if (!shape.tools.empty()) {
      stops.insert(stops.end(), strings.tool_stops.begin(), strings.tool_stops.end());
    }
  }

  std::vector<ChatTool> callable = shape.tools;
  if (request.tool_choice.kind == ToolChoice::Kind::kNamed) {
    std::erase_if(callable,
                  [&](const ChatTool& tool) { return tool.name != request.tool_choice.name; });
  }
  ReplyForm& form = plan.form;
  if (shape.calls == Calls::kMust) {
    form.start = ReplyForm::Start::kCall;
  } else if (prompt.reply_start.empty() || shape.options.lead == ReplyLead::kJson) {
    const bool limited = request.generation.format.kind != OutputFormat::Kind::kText;
    form.start =
        GoesOn(request, shape) || limited ? ReplyForm::Start::kRest : ReplyForm::Start::kReply;
  } else {
    form.begun = prompt.reply_start;
  }
  if (shape.calls == Calls::kMay) {
    form.trigger = std::make_shared<const CallTrigger>(callable, request.parallel_calls);
    form.tools.reserve(callable.size());
    for (const ChatTool& tool : callable) form.tools.push_back(tool.name);
  }
  plan.job.grammar = GrammarFor(request, shape, callable, form.trigger.get(), prompt, served);
  const bool ends = request.generation.state.ends();
  const bool warms = served.cache != nullptr && plan.job.use_cache && plan.job.choices == 1;
  if (ends || warms) {
    plan.past = PastOf(request, shape, prompt.text, tokens, ends, served);
    if (plan.past) plan.past->tokens = After(request.before, plan.past->tokens);
  }
  if (ends) {
    const auto& past = plan.past->tokens;
    const auto& whole = plan.job.prompt;
    const auto differ = std::mismatch(past.begin(), past.end(), whole.begin(), whole.end());
    const auto common = static_cast<size_t>(differ.first - past.begin());
    if (common > 0) plan.job.state_at = common;
  }
  return plan;
}

std::vector<int32_t> TokensOf(const ChatPast& past, ChatMessage reply, const ServedModel& served) {
  reply.text = past.begun + reply.text;
  const ChatTemplate& chat = *served.chat_template;
  const std::string text = past.rest + chat.PastReply(reply);
  // Encoded with what follows, cut at a token's end before it.
  const std::string& next = reply.calls.empty() ? chat.form().user_start : chat.form().tool_start;
  const std::vector<int32_t> more = served.tokenizer->Encode(text + next);
  std::vector<int32_t> tokens = past.tokens;
  const size_t count = CountUpTo(*served.tokenizer, more, text.size());
  tokens.insert(tokens.end(), more.begin(), more.begin() + static_cast<ptrdiff_t>(count));
  return tokens;
}

std::optional<Job> PlanWarming(const ChatPast& past, ChatMessage reply, const std::string& owner,
                               const ServedModel& served) {
  if (past.begun.empty() && reply.text.empty() && reply.calls.empty()) return std::nullopt;
  Job job;
  job.prompt = TokensOf(past, std::move(reply), served);
  job.marks = {job.prompt.size()};
  job.text.max_tokens = 0;
  job.owner = owner;
  job.background = true;
  return job;
}

std::string PromptTextOf(const ChatRequest& request, const ServedModel& served) {
  return RenderFor(request, ShapeOf(request, served), served).text;
}

std::vector<int32_t> ConversationTokens(const ChatRequest& request, const ChatMessage& reply,
                                        const ServedModel& served) {
  std::vector<ChatMessage> messages = request.messages;
  messages.push_back(reply);
  const ChatPrompt past = served.chat_template->RenderPast(messages, ToolsFor(request), {});
  return After(request.before, served.tokenizer->Encode(past.text));
}

std::vector<int32_t> PromptOf(const ChatRequest& request, const ServedModel& served) {
  return After(request.before, EncodePrompt(*served.tokenizer, PromptTextOf(request, served)));
}

}  // namespace linnet
