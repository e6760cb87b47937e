#include "engine/conversation.h"

#include <algorithm>
#include <chrono>
#include <utility>

#include "base/check.h"
#include "tensor/token_memory.h"

namespace linnet {
namespace {

using Clock = std::chrono::steady_clock;

constexpr size_t kOlderBytes = size_t{8} << 20;  // of texts whose states were dropped

std::shared_ptr<const Snapshot> Keep(Snapshot snapshot) {
  return std::make_shared<const Snapshot>(std::move(snapshot));
}

// After any token, the shifts hold the last token. Tuned states leave them zero.
bool AtStartOfText(const State& state) {
  const auto shift = state.values().first(state.shape().width);
  return std::all_of(shift.begin(), shift.end(), [](float x) { return x == 0; });
}

// What a snapshot takes for itself, beside the rows that it shares with others of its talk: at most
// one page of them.
size_t OwnBytes(const Snapshot& at) {
  const State& state = at.state;
  return (state.values().size() + at.logits.size()) * sizeof(float) +
         state.shape().token_bytes() * std::min(state.tokens(), RowLayout::kPageTokens);
}

size_t RowBytes(const Snapshot& at) {
  return at.state.bytes() - at.state.values().size() * sizeof(float);
}

bool HoldsThoughts(std::string_view reply) {
  return reply.find("<think") != reply.npos || reply.find("</think") != reply.npos;
}

}  // namespace

Conversation::Conversation(Session& session, ConversationOptions options)
    : session_(session), options_(std::move(options)), base_(Keep(session.Here().Clone())) {
  LINNET_CHECK(options_.chat_template != nullptr);
  CheckThink(*options_.chat_template, options_.think);
  if (options_.grammar != nullptr) options_.grammar = options_.grammar->AfterBlank();
  talk_ = {options_.system, AtStartOfText(base_->state)};
  here_ = StartOf(base_);
}

void Conversation::CheckThink(const ChatTemplate& form, Think think) const {
  form.ReplyStart(think);
  if (options_.grammar != nullptr && think != Think::kNone && think != Think::kFast) {
    throw Error(ErrorKind::kBadInput,
                "replies that must match a grammar have no thoughts, expected think off");
  }
}

std::optional<Constraint> Conversation::NewConstraint() {
  if (options_.grammar == nullptr) return std::nullopt;
  if (trie_ == nullptr) {
    trie_ =
        std::make_shared<const TokenTrie>(session_.tokenizer(), session_.model().config().vocab);
  }
  return Constraint(options_.grammar, trie_);
}

Conversation::Position Conversation::At(Shared at, std::string lead, bool start) const {
  const std::string& end = options_.chat_template->ReplyEnd();
  const size_t bytes = lead.ends_with(end) ? end.size() : 0;
  return {std::move(at), std::move(lead), bytes, start};
}

Conversation::Position Conversation::StartOf(Shared at) const {
  const ChatTemplate& form = *options_.chat_template;
  if (AtStartOfText(at->state)) return At(std::move(at), form.Opening(talk_.system), true);
  const std::string system = talk_.system.empty() ? "" : form.Opening(talk_.system);
  return At(std::move(at), form.ReplyEnd() + system, true);
}

Written Conversation::Ask(std::string_view user, const Watcher& watcher) {
  Step turn{.before = here_, .think = options_.think, .said = {std::string(user), {}}};
  const std::string prompt =
      turn.before.lead + options_.chat_template->Prompt(user, options_.think);
  const auto tokens = EncodePrompt(session_.tokenizer(), prompt);
  session_.Restore(*here_.at);
  session_.Feed(tokens);
  const auto start = Clock::now();
  if (!session_.Read(watcher)) {
    Written nothing;
    nothing.finish = Finish::kInterrupted;
    return nothing;
  }
  const double seconds = std::chrono::duration<double>(Clock::now() - start).count();
  turn.ready = Keep(session_.Here().Clone());
  steps_.push_back(std::move(turn));
  ForgetOldSteps();
  Written written = Reply(steps_.back(), watcher);
  written.prompt_tokens = tokens.size();
  written.prompt_s = seconds;
  return written;
}

Written Conversation::Retry(const Watcher& watcher) {
  LINNET_CHECK(can_retry());
  Step& turn = steps_.back();
  session_.Restore(*turn.ready);
  return Reply(turn, watcher);
}

Written Conversation::Reply(Step& turn, const Watcher& watcher) {
  const ChatTemplate& form = *options_.chat_template;
  ContinuationOptions options{.max_tokens = options_.max_tokens,
                              .stops = form.stops(),
                              .stop_ids = EndOfTextIds(session_.tokenizer())};
  options.stops.insert(options.stops.end(), options_.stops.begin(), options_.stops.end());
  // A reply may repeat words of the previous reply.
  session_.sampler().Reset();
  std::string start = form.ReplyStart(turn.think);
  const std::optional<Constraint> constraint = NewConstraint();
  // An empty thought is not shown; the first character of the reply closes it.
  const bool hidden = turn.think == Think::kFast;
  const bool closed = hidden && constraint;
  if (closed) {
    const std::string close = ">\n";
    session_.Feed(session_.tokenizer().Encode(close));
    start += close;
  }
  Watcher reader = watcher;
  if (watcher.text) {
    if (!hidden && !start.empty()) watcher.text(start);
    reader.text = [&watcher, closing = hidden && !closed](std::string_view text) mutable {
      if (std::exchange(closing, false) && text.starts_with('>')) text.remove_prefix(1);
      if (!text.empty()) watcher.text(text);
    };
  }
  Written written = session_.Write(options, reader, constraint);
  const std::string reply = start + written.text;
  if (!hidden) written.text = reply;
  if (hidden && !closed && written.text.starts_with('>')) written.text.erase(0, 1);
  if (HoldsThoughts(reply)) {
    here_ = At(turn.before.at, turn.before.lead + form.Past(turn.said.user, reply));
  } else {
    here_ = At(Keep(session_.Here().Clone()), form.ReplyEnd());
  }
  turn.said.reply = written.text;
  return written;
}

void Conversation::ForgetOldSteps() {
  const Shared& newest = can_retry() ? steps_.back().ready : here_.at;
  const size_t bytes_per_step = 2 * OwnBytes(*newest);
  size_t rows = 0;  // per token, of talks before a jump: no step after it shares them
  for (const Step& step : steps_) rows += step.ready == nullptr ? RowBytes(*step.before.at) : 0;
  while (steps_.size() > 1 && steps_.size() * bytes_per_step + rows > options_.history_bytes) {
    Step& oldest = steps_.front();
    if (oldest.ready == nullptr) {
      rows -= RowBytes(*oldest.before.at);
      older_.clear();
      older_bytes_ = missing_ = 0;
    } else {
      older_bytes_ += oldest.said.bytes();
      older_.push_back(std::move(oldest.said));
    }
    steps_.pop_front();
    ++forgotten_;
  }
  for (; older_bytes_ > kOlderBytes; ++missing_) {
    older_bytes_ -= older_.front().bytes();
    older_.pop_front();
  }
}

void Conversation::Undo() {
  LINNET_CHECK(!steps_.empty());
  Step& last = steps_.back();
  if (last.ready == nullptr) {
    talk_ = std::move(last.left);
    options_.system = talk_.system;
  }
  here_ = std::move(last.before);
  steps_.pop_back();
  if (here_.start) here_ = StartOf(here_.at);  // the template may have changed
}

void Conversation::Reset() { JumpTo(base_); }

void Conversation::GoTo(Snapshot snapshot) { JumpTo(Keep(std::move(snapshot))); }

void Conversation::JumpTo(Shared at) {
  steps_.push_back({.before = std::move(here_), .left = std::move(talk_)});
  talk_ = {options_.system, AtStartOfText(at->state)};
  here_ = StartOf(std::move(at));
  ForgetOldSteps();
}

void Conversation::SetTemplate(const ChatTemplate& form, Think think) {
  CheckThink(form, think);
  options_.chat_template = &form;
  options_.think = think;
  if (here_.start) here_ = StartOf(here_.at);
}

std::vector<Exchange> Conversation::exchanges() const {
  std::vector<Exchange> said(older_.begin(), older_.end());
  for (const Step& step : steps_) {
    if (step.ready == nullptr) {
      said.clear();
    } else {
      said.push_back(step.said);
    }
  }
  return said;
}

size_t Conversation::missing() const {
  const bool jumped = std::any_of(steps_.begin(), steps_.end(),
                                  [](const Step& step) { return step.ready == nullptr; });
  return jumped ? 0 : missing_;
}

size_t Conversation::tokens() const {
  return here_.at->tokens + session_.tokenizer().Encode(here_.lead).size();
}

Snapshot Conversation::Here() {
  const std::string_view lead = here_.lead;
  session_.Restore(*here_.at);
  session_.Feed(session_.tokenizer().Encode(lead.substr(0, lead.size() - here_.end)));
  return session_.Here().Clone();
}

}  // namespace linnet
