#include "server/openai_completions.h"

#include <algorithm>
#include <span>
#include <utility>
#include <vector>

#include "server/completion_job.h"
#include "server/completion_request.h"
#include "server/completion_text.h"
#include "server/openai_answer.h"
#include "server/prompt_batch.h"
#include "server/request_state.h"

namespace linnet {
namespace {

const char* CompletionReason(Finish finish) { return finish == Finish::kStop ? "stop" : "length"; }

// The answer to all prompts of a request.
class CompletionAnswer : public PromptBatch {
 public:
  CompletionAnswer(std::shared_ptr<HttpReply> reply, std::shared_ptr<const ServedModel> model,
                   const CompletionRequest& request)
      : PromptBatch(std::move(model), request.prompts.size()),
        stream_(std::move(reply)),
        request_(request),
        head_(AnswerHead("cmpl-", served()).Json("text_completion")),
        prompts_(request.prompts.size()) {
    for (size_t i = 0; i < prompts_.size(); ++i) {
      const CompletionPrompt& given = request.prompts[i];
      Prompt& prompt = prompts_[i];
      prompt.shown = given.is_ids ? ShowIds(given.ids) : given.text;
      const size_t before = request.echo ? 0 : CharactersIn(prompt.shown);
      prompt.texts.reserve(request.best_of);
      for (size_t j = 0; j < request.best_of; ++j) {
        prompt.texts.emplace_back(*served().tokenizer, before);
      }
      prompt.endings.resize(request.best_of);
    }
  }

  void SetState(std::shared_ptr<RequestState> state) { state_ = std::move(state); }

 protected:
  void OnStart(size_t /*prompt*/) override {
    if (request_.stream) stream_.Begin();
  }

  void OnPromptTokens(size_t prompt, std::span<const TokenInfo> tokens) override {
    auto& scored = prompts_[prompt].scored;
    scored.insert(scored.end(), tokens.begin(), tokens.end());
  }

  void OnPrompt(size_t prompt, const PromptRead& read) override {
    usage_.prompt_tokens += read.tokens;
    usage_.cached_tokens += read.cached;
    if (!request_.echo) return;
    for (size_t i = 0; i < request_.best_of; ++i) {
      prompts_[prompt].texts[i].Add(prompts_[prompt].shown, prompts_[prompt].scored);
      Flush(prompt, i);
    }
  }

  void OnPiece(size_t prompt, size_t choice, const Piece& piece) override {
    const bool wanted = request_.generation.logprobs;
    prompts_[prompt].texts[choice].Add(piece.text, wanted ? piece.tokens : piece.tokens.first(0));
    if (!piece.text.empty() || wanted) Flush(prompt, choice);
  }

  void OnEnd(size_t prompt, size_t choice, const Ending& ending) override {
    prompts_[prompt].endings[choice] = ending;
    usage_.completion_tokens += ending.tokens;
    usage_.AddGuesses(ending.speculation);
    if (ending.finish == Finish::kInterrupted) interrupted_ = true;
    // As vLLM: the token that ended the text has a place, too. lm-evaluation-harness counts on it.
    if (request_.generation.logprobs && ending.stop_info) {
      prompts_[prompt].texts[choice].Add("", std::span(&*ending.stop_info, 1));
    }
    if (request_.stream) Flush(prompt, choice, CompletionReason(ending.finish));
  }

  // There is one text if a state is asked for.
  void OnPromptState(const Snapshot& at) override { KeepState(at, {}); }
  void OnTextState(const Snapshot& at, std::span<const int32_t> rest) override {
    KeepState(at, rest);
  }

  void OnDone() override {
    if (state_ == nullptr || !state_->ends() || interrupted_) {
      if (state_ != nullptr) state_->Drop();
      return Complete(nullptr);
    }
    const auto self = std::static_pointer_cast<CompletionAnswer>(shared_from_this());
    state_->Finish(std::move(at_end_), std::move(rest_),
                   [self](const ReplyState& state) { self->Complete(StateAnswer(state)); });
  }

  void OnError(const Error& error) override {
    if (state_ != nullptr) state_->Drop();
    stream_.Fail(error);
  }

 private:
  struct Prompt {
    std::string shown;
    std::vector<TokenInfo> scored;
    std::vector<CompletionText> texts;
    std::vector<Ending> endings;
  };

  void KeepState(const Snapshot& at, std::span<const int32_t> rest) {
    at_end_ = std::make_shared<const Snapshot>(at.Clone());
    rest_.assign(rest.begin(), rest.end());
  }

  // After all other calls.
  void Complete(OrderedJson state) {
    stream_.reply().CountTokens(usage_.prompt_tokens + usage_.completion_tokens);
    if (request_.stream) {
      if (request_.stream_usage || state != nullptr) {
        OrderedJson chunk = head_;
        chunk["choices"] = OrderedJson::array();
        if (request_.stream_usage) chunk["usage"] = UsageJson(usage_);
        if (state != nullptr) chunk["state"] = std::move(state);
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
    if (state != nullptr) answer["state"] = std::move(state);
    stream_.reply().Send(200, Dump(answer));
  }

  std::string ShowIds(const std::vector<int32_t>& ids) const {
    Utf8Stream text;
    std::string shown = text.Push(served().tokenizer->Decode(ids));
    return shown + text.Finish();
  }

  // A chunk with what a choice has, if it is streamed.
  void Flush(size_t prompt, size_t choice, const char* finish = nullptr) {
    if (!request_.stream) return;
    const size_t index = prompt * request_.generation.choices + choice;
    CompletionText& text = prompts_[prompt].texts[choice];
    OrderedJson entry =
        text.Take(index, request_.generation.logprobs && (finish == nullptr || text.has_tokens()));
    if (finish != nullptr) entry["finish_reason"] = finish;
    OrderedJson chunk = head_;
    chunk["choices"] = OrderedJson::array({std::move(entry)});
    if (request_.stream_usage) chunk["usage"] = nullptr;
    stream_.Write(chunk);
  }

  EventStream stream_;
  CompletionRequest request_;
  OrderedJson head_;
  std::vector<Prompt> prompts_;
  ChatUsage usage_;
  std::shared_ptr<RequestState> state_;  // null if the request has none
  std::shared_ptr<const Snapshot> at_end_;
  std::vector<int32_t> rest_;
  bool interrupted_ = false;
};

}  // namespace

void AnswerCompletion(const ServedModels& models, const RouteCall& call) {
  CompletionRequest request = ParseCompletion(ParseBody(call.request.body));
  request.owner = call.request.owner;
  const auto served = models.Find(request.model);
  Job job = CompletionJob(request, *served);
  auto state = RequestState::Of(request.generation.state, request.owner, served,
                                request.prompts.size() * request.best_of, job.adapter);
  if (state) {
    state->Begin(job);
    job.want_text_state = state->ends();
    if (request.prompts.front().empty() && job.start != nullptr && job.start->logits.empty()) {
      throw RequestError(400, "prompt is empty, and the state has no logits to write from",
                         "prompt", "invalid_value");
    }
  }
  std::vector<std::vector<int32_t>> prompts;
  prompts.reserve(request.prompts.size());
  for (const CompletionPrompt& prompt : request.prompts) {
    prompts.push_back(PromptIds(prompt, request.suffix, *served));
  }
  const auto answer = std::make_shared<CompletionAnswer>(call.reply, served, request);
  answer->SetState(std::move(state));
  answer->Start(job, std::move(prompts), *call.reply);
}

void AddCompletions(Router& router, std::shared_ptr<const ServedModels> models) {
  router.Add("POST", "/v1/completions", [models = std::move(models)](const RouteCall& call) {
    AnswerCompletion(*models, call);
  });
}

}  // namespace linnet
