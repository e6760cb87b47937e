#include "server/openai_completions.h"

#include <fmt/format.h>

#include <algorithm>
#include <mutex>
#include <utility>
#include <vector>

#include "server/chat_plan.h"
#include "server/completion_request.h"
#include "server/completion_text.h"
#include "server/openai_answer.h"
#include "server/openai_errors.h"
#include "server/reply_grammar.h"

namespace linnet {
namespace {

// G1's order: what comes after first, so that typing on extends the end of the prompt.
std::string BetweenPrompt(const std::string& before, const std::string& after) {
  return fmt::format("✿prefix✿✿suffix✿{}✿middle✿{}", after, before);
}
constexpr const char* kBetweenStop = "✿";

const char* CompletionReason(Finish finish) { return finish == Finish::kStop ? "stop" : "length"; }

// The answer to all prompts of a request. Thread-safe: a prompt may be refused while others are
// being written.
class CompletionAnswer {
 public:
  CompletionAnswer(std::shared_ptr<HttpReply> reply, std::shared_ptr<const ServedModel> served,
                   const CompletionRequest& request)
      : stream_(std::move(reply)),
        served_(std::move(served)),
        request_(request),
        head_(AnswerHead("cmpl-", *served_).Json("text_completion")),
        prompts_(request.prompts.size()),
        left_(request.prompts.size()) {
    for (size_t i = 0; i < prompts_.size(); ++i) {
      const CompletionPrompt& given = request.prompts[i];
      Prompt& prompt = prompts_[i];
      prompt.shown = given.is_ids ? ShowIds(given.ids) : given.text;
      const size_t before = request.echo ? 0 : CharactersIn(prompt.shown);
      prompt.texts.reserve(request.best_of);
      for (size_t j = 0; j < request.best_of; ++j) {
        prompt.texts.emplace_back(*served_->tokenizer, before);
      }
      prompt.endings.resize(request.best_of);
    }
  }

  void OnStart() {
    const std::lock_guard lock(mutex_);
    if (request_.stream && !failed_) stream_.Begin();
  }

  void OnPromptTokens(size_t prompt, std::span<const TokenInfo> tokens) {
    const std::lock_guard lock(mutex_);
    auto& scored = prompts_[prompt].scored;
    scored.insert(scored.end(), tokens.begin(), tokens.end());
  }

  void OnPrompt(size_t prompt, const PromptRead& read) {
    const std::lock_guard lock(mutex_);
    usage_.prompt_tokens += read.tokens;
    usage_.cached_tokens += read.cached;
    if (!request_.echo) return;
    for (size_t i = 0; i < request_.best_of; ++i) {
      prompts_[prompt].texts[i].Add(prompts_[prompt].shown, prompts_[prompt].scored);
      Flush(prompt, i);
    }
  }

  void OnPiece(size_t prompt, size_t choice, const Piece& piece) {
    const std::lock_guard lock(mutex_);
    const bool wanted = request_.generation.logprobs;
    prompts_[prompt].texts[choice].Add(piece.text, wanted ? piece.tokens : piece.tokens.first(0));
    if (!piece.text.empty() || wanted) Flush(prompt, choice);
  }

  void OnEnd(size_t prompt, size_t choice, const Ending& ending) {
    const std::lock_guard lock(mutex_);
    prompts_[prompt].endings[choice] = ending;
    usage_.completion_tokens += ending.tokens;
    usage_.AddGuesses(ending.speculation);
    if (request_.stream) Flush(prompt, choice, CompletionReason(ending.finish));
  }

  void OnDone() {
    const std::lock_guard lock(mutex_);
    if (--left_ > 0 || failed_) return;
    stream_.reply().CountTokens(usage_.prompt_tokens + usage_.completion_tokens);
    if (request_.stream) {
      if (request_.stream_usage) {
        OrderedJson chunk = head_;
        chunk["choices"] = OrderedJson::array();
        chunk["usage"] = UsageJson(usage_);
        stream_.Write(chunk);
      }
      stream_.Done();
      return;
    }
    OrderedJson answer = head_;
    OrderedJson choices = OrderedJson::array();
    for (size_t i = 0; i < prompts_.size(); ++i) {
      size_t place = i * request_.generation.choices;
      for (const size_t best : BestChoices(prompts_[i].endings, request_.generation.choices)) {
        OrderedJson choice = prompts_[i].texts[best].Take(place++, request_.generation.logprobs);
        choice["finish_reason"] = CompletionReason(prompts_[i].endings[best].finish);
        choices.push_back(std::move(choice));
      }
    }
    answer["choices"] = std::move(choices);
    answer["usage"] = UsageJson(usage_);
    stream_.reply().Send(200, Dump(answer));
  }

  void OnError(const Error& error) {
    {
      const std::lock_guard lock(mutex_);
      if (std::exchange(failed_, true)) return;
      stream_.Fail(error);
    }
    CancelAll();
  }

  // The jobs of the prompts, for CancelAll. Any thread.
  void AddJob(uint64_t job) {
    {
      const std::lock_guard lock(mutex_);
      if (!cancelled_) {
        jobs_.push_back(job);
        return;
      }
    }
    served_->cancel(job);
  }
  void CancelAll() {
    std::vector<uint64_t> jobs;
    {
      const std::lock_guard lock(mutex_);
      cancelled_ = true;
      jobs = std::exchange(jobs_, {});
    }
    for (const uint64_t job : jobs) served_->cancel(job);
  }

 private:
  struct Prompt {
    std::string shown;
    std::vector<TokenInfo> scored;
    std::vector<CompletionText> texts;
    std::vector<Ending> endings;
  };

  std::string ShowIds(const std::vector<int32_t>& ids) const {
    Utf8Stream text;
    std::string shown = text.Push(served_->tokenizer->Decode(ids));
    return shown + text.Finish();
  }

  // A chunk with what a choice has, if it is streamed.
  void Flush(size_t prompt, size_t choice, const char* finish = nullptr) {
    if (!request_.stream || failed_) return;
    const size_t index = prompt * request_.generation.choices + choice;
    OrderedJson entry = prompts_[prompt].texts[choice].Take(
        index, request_.generation.logprobs && finish == nullptr);
    if (finish != nullptr) entry["finish_reason"] = finish;
    OrderedJson chunk = head_;
    chunk["choices"] = OrderedJson::array({std::move(entry)});
    if (request_.stream_usage) chunk["usage"] = nullptr;
    stream_.Write(chunk);
  }

  EventStream stream_;
  std::shared_ptr<const ServedModel> served_;
  CompletionRequest request_;
  OrderedJson head_;
  std::vector<Prompt> prompts_;
  size_t left_;  // prompts that are not done
  bool failed_ = false;
  ChatUsage usage_;
  std::mutex mutex_;
  std::vector<uint64_t> jobs_;
  bool cancelled_ = false;
};

// Passes the events of one prompt on.
class PromptListener : public Listener {
 public:
  PromptListener(std::shared_ptr<CompletionAnswer> answer, size_t prompt)
      : answer_(std::move(answer)), prompt_(prompt) {}

  void OnStart() override { answer_->OnStart(); }
  void OnPromptTokens(std::span<const TokenInfo> tokens) override {
    answer_->OnPromptTokens(prompt_, tokens);
  }
  void OnPrompt(const PromptRead& read) override { answer_->OnPrompt(prompt_, read); }
  void OnPiece(size_t choice, const Piece& piece) override {
    answer_->OnPiece(prompt_, choice, piece);
  }
  void OnEnd(size_t choice, const Ending& ending) override {
    answer_->OnEnd(prompt_, choice, ending);
  }
  void OnDone() override { answer_->OnDone(); }
  void OnError(const Error& error) override { answer_->OnError(error); }

 private:
  std::shared_ptr<CompletionAnswer> answer_;
  size_t prompt_;
};

std::vector<int32_t> IdsOf(const CompletionPrompt& prompt, const CompletionRequest& request,
                           const ServedModel& served) {
  if (!prompt.is_ids) {
    return EncodePrompt(*served.tokenizer,
                        request.suffix ? BetweenPrompt(prompt.text, *request.suffix) : prompt.text);
  }
  for (const int32_t id : prompt.ids) {
    if (static_cast<size_t>(id) < served.vocab) continue;
    throw RequestError(
        400, fmt::format("prompt: id {} is outside the vocabulary, 0 to {}", id, served.vocab - 1),
        "prompt", "invalid_value");
  }
  return prompt.ids;
}

Job CompletionJob(const CompletionRequest& request, const ServedModel& served) {
  const GenerationFields& generation = request.generation;
  SamplerOptions base = served.text_sampling;
  const bool limited = generation.format.kind != OutputFormat::Kind::kText;
  if (limited) base.presence_penalty = base.frequency_penalty = 0;
  Job job = JobFor(generation, base, request.owner, served);
  job.choices = request.best_of;
  if (request.best_of > generation.choices) job.want_logprobs = true;
  job.score_prompt = request.echo && generation.logprobs;
  if (request.suffix) job.text.stops.emplace_back(kBetweenStop);
  if (limited) {
    const ReplyLimits limits{.format = generation.format};
    job.grammar = served.grammars->Find(request.owner + KeyOf(limits),
                                        [&] { return GrammarOfReply(limits); });
  }
  return job;
}

void AnswerCompletion(const ServedModels& models, const RouteCall& call) {
  CompletionRequest request = ParseCompletion(ParseBody(call.request.body));
  request.owner = call.request.owner;
  const auto served = models.Find(request.model);
  const Job job = CompletionJob(request, *served);
  std::vector<std::vector<int32_t>> prompts;
  prompts.reserve(request.prompts.size());
  for (const CompletionPrompt& prompt : request.prompts) {
    prompts.push_back(IdsOf(prompt, request, *served));
  }
  const auto answer = std::make_shared<CompletionAnswer>(call.reply, served, request);
  call.reply->OnGone([answer] { answer->CancelAll(); });
  for (size_t i = 0; i < prompts.size(); ++i) {
    Job one = job;
    one.prompt = std::move(prompts[i]);
    one.marks = {one.prompt.size()};
    try {
      answer->AddJob(served->submit(std::move(one), std::make_shared<PromptListener>(answer, i)));
    } catch (const Error& error) {
      answer->OnError(error);
      return;
    }
  }
}

}  // namespace

void AddCompletions(Router& router, std::shared_ptr<const ServedModels> models) {
  const RouteHandler handler = [models = std::move(models)](const RouteCall& call) {
    AnswerCompletion(*models, call);
  };
  router.Add("POST", "/v1/completions", handler);
  router.Add("POST", "/completions", handler);
}

}  // namespace linnet
