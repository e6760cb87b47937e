#include "server/chat_job.h"

#include <algorithm>
#include <optional>
#include <vector>

#include "server/chat_plan.h"
#include "server/reply_reader.h"

namespace linnet {
namespace {

ChatFinish FinishOf(Finish finish, const ReplyReader& reader) {
  switch (finish) {
    case Finish::kLength:
      return ChatFinish::kLength;
    case Finish::kInterrupted:
      return ChatFinish::kCancelled;
    default:
      return reader.calls() > 0 && reader.calls_complete() ? ChatFinish::kCalls : ChatFinish::kStop;
  }
}

// Reads each choice, and warms the cache with the first one's reply.
class ChatListener : public Listener, public std::enable_shared_from_this<ChatListener> {
 public:
  ChatListener(std::shared_ptr<const ServedModel> served, const ChatRequest& request, ChatPlan plan,
               std::shared_ptr<RequestState> state, std::shared_ptr<const TurnAdapter> adapter,
               std::shared_ptr<ChatEvents> events)
      : served_(std::move(served)),
        state_(std::move(state)),
        adapter_(std::move(adapter)),
        owner_(request.owner),
        choices_(request.generation.choices),
        form_(std::move(plan.form)),
        stops_(std::move(plan.stops)),
        past_(std::move(plan.past)),
        events_(std::move(events)),
        first_(*events_) {}

  void OnStart() override {
    events_->OnStart();
    readers_.reserve(choices_);
    for (size_t i = 0; i < choices_; ++i) {
      ChatEvents& events = past_ ? static_cast<ChatEvents&>(first_) : *events_;
      readers_.push_back(std::make_unique<ReplyReader>(form_, i, events));
    }
  }

  void OnPromptState(const Snapshot& at) override {
    before_reply_ = std::make_shared<const Snapshot>(at.Clone());
  }

  void OnPrompt(const PromptRead& read) override {
    usage_.prompt_tokens = read.tokens;
    usage_.cached_tokens = read.cached;
    usage_.kept_tokens = read.kept;
    events_->OnPrompt(read);
  }

  void OnPiece(size_t choice, const Piece& piece) override {
    readers_[choice]->Push(piece.text, piece.tokens);
  }

  void OnEnd(size_t choice, const Ending& end) override {
    if (choice >= readers_.size()) {  // cancelled in the queue
      events_->OnEnd(choice, {.finish = ChatFinish::kCancelled});
      return;
    }
    ReplyReader& reader = *readers_[choice];
    reader.Finish();
    ChatEnding ending{.finish = FinishOf(end.finish, reader),
                      .tokens = end.tokens,
                      .thought_tokens = std::min(reader.thought_tokens(), end.tokens)};
    if (std::find(stops_.begin(), stops_.end(), end.stop) != stops_.end()) ending.stop = end.stop;
    usage_.completion_tokens += ending.tokens;
    usage_.AddGuesses(end.speculation);
    usage_.reasoning_tokens += ending.thought_tokens;
    cancelled_ = cancelled_ || ending.finish == ChatFinish::kCancelled;
    events_->OnEnd(choice, ending);
  }

  void OnDone() override {
    const bool ends = state_ != nullptr && state_->ends();
    if (ends && !cancelled_) return FinishState();
    if (state_ != nullptr) state_->Drop();
    events_->OnDone(usage_);
    if (past_ && !cancelled_ && !ends) Warm();
  }

  void OnError(const Error& error) override {
    if (state_ != nullptr) state_->Drop();
    events_->OnError(error);
  }

 private:
  // Hands events on and keeps the reply.
  class First : public ChatCollector {
   public:
    explicit First(ChatEvents& events) : events_(events) {}
    void OnThought(size_t choice, std::string_view text) override {
      events_.OnThought(choice, text);
    }
    void OnText(size_t choice, std::string_view text, std::span<const TokenInfo> tokens) override {
      ChatCollector::OnText(choice, text, {});
      events_.OnText(choice, text, tokens);
    }
    void OnCall(size_t choice, size_t call, const std::string& id,
                const std::string& name) override {
      ChatCollector::OnCall(choice, call, id, name);
      events_.OnCall(choice, call, id, name);
    }
    void OnArguments(size_t choice, size_t call, std::string_view json) override {
      ChatCollector::OnArguments(choice, call, json);
      events_.OnArguments(choice, call, json);
    }

   private:
    ChatEvents& events_;
  };

  // The answer does not depend on it, so nothing that fails here matters.
  void Warm() {
    if (first_.replies().empty()) return;
    try {
      auto job = PlanWarming(*past_, first_.replies().front().message, owner_, *served_);
      if (job && state_ != nullptr) state_->Begin(*job);
      if (job) job->adapter = adapter_;
      if (job) served_->submit(*std::move(job), std::make_shared<Listener>());
    } catch (const std::exception&) {
      return;
    }
  }

  // The conversation with its reply, as the next request would write it, is what the state is
  // after.
  void FinishState() {
    const auto done = [self = shared_from_this()](const ReplyState& state) {
      self->events_->OnState(state);
      self->events_->OnDone(self->usage_);
    };
    const ChatMessage nothing{.role = ChatRole::kAssistant};
    const auto& replies = first_.replies();
    std::vector<int32_t> tokens =
        TokensOf(*past_, replies.empty() ? nothing : replies.front().message, *served_);
    const size_t read = before_reply_ == nullptr ? 0 : before_reply_->tokens;
    tokens.erase(tokens.begin(), tokens.begin() + static_cast<ptrdiff_t>(read));
    state_->Finish(std::move(before_reply_), std::move(tokens), done);
  }

  std::shared_ptr<const ServedModel> served_;
  std::shared_ptr<RequestState> state_;  // null if the request has none
  std::shared_ptr<const TurnAdapter> adapter_;
  std::shared_ptr<const Snapshot> before_reply_;  // after Job::state_at tokens
  std::string owner_;
  size_t choices_;
  ReplyForm form_;
  std::vector<std::string> stops_;
  std::optional<ChatPast> past_;
  std::shared_ptr<ChatEvents> events_;
  First first_;
  bool cancelled_ = false;
  std::vector<std::unique_ptr<ReplyReader>> readers_;
  ChatUsage usage_;
};

}  // namespace

std::shared_ptr<ChatRun> RunChat(std::shared_ptr<const ServedModel> served,
                                 const ChatRequest& request, std::shared_ptr<ChatEvents> events) {
  ChatPlan plan = PlanChat(request, *served);
  Job job = std::move(plan.job);
  auto state = RequestState::Of(request.generation.state, request.owner, served,
                                request.generation.choices, job.adapter);
  if (state) state->Begin(job);
  auto listener = std::make_shared<ChatListener>(served, request, std::move(plan), std::move(state),
                                                 job.adapter, std::move(events));
  const uint64_t id = served->submit(std::move(job), std::move(listener));
  return std::make_shared<ChatRun>(std::move(served), id);
}

void CancelWhenGone(HttpReply& reply, std::shared_ptr<ChatRun> run) {
  reply.OnGone([run = std::move(run)] { run->Cancel(); });
}

size_t PromptTokens(const ServedModel& served, const ChatRequest& request) {
  return PromptOf(request, served).size();
}

}  // namespace linnet
