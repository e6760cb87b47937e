#include "engine/conversation.h"

#include <algorithm>
#include <chrono>
#include <utility>

#include "base/check.h"

namespace linnet {
namespace {

using Clock = std::chrono::steady_clock;

std::shared_ptr<const Snapshot> Keep(Snapshot snapshot) {
  return std::make_shared<const Snapshot>(std::move(snapshot));
}

// A text that has begun leaves its last token in the shifts; tuned states leave them zero.
bool AtStartOfText(const State& state) {
  const auto shift = state.values().first(state.shape().width);
  return std::all_of(shift.begin(), shift.end(), [](float x) { return x == 0; });
}

bool HoldsThoughts(std::string_view reply) {
  return reply.find("<think") != reply.npos || reply.find("</think") != reply.npos;
}

}  // namespace

Conversation::Conversation(Session& session, ConversationOptions options)
    : session_(session), options_(std::move(options)), base_(Keep(session.Here().Clone())) {
  LINNET_CHECK(options_.chat_template != nullptr);
  options_.chat_template->ReplyStart(options_.think);
  here_ = StartOf(base_);
}

Conversation::Position Conversation::StartOf(Shared at) const {
  const ChatTemplate& form = *options_.chat_template;
  if (AtStartOfText(at->state)) return {std::move(at), form.Opening(options_.system)};
  const std::string system = options_.system.empty() ? "" : form.Opening(options_.system);
  return {std::move(at), form.ReplyEnd() + system};
}

Written Conversation::Ask(std::string_view user, const Watcher& watcher) {
  Turn turn{here_, std::string(user), options_.think, nullptr};
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
  turns_.push_back(std::move(turn));
  ForgetOldTurns();
  Written written = Reply(turns_.back(), watcher);
  written.prompt_tokens = tokens.size();
  written.prompt_s = seconds;
  return written;
}

Written Conversation::Retry(const Watcher& watcher) {
  LINNET_CHECK(!turns_.empty());
  const Turn& turn = turns_.back();
  session_.Restore(*turn.ready);
  return Reply(turn, watcher);
}

Written Conversation::Reply(const Turn& turn, const Watcher& watcher) {
  const ChatTemplate& form = *options_.chat_template;
  ContinuationOptions options{.max_tokens = options_.max_tokens,
                              .stops = form.stops(),
                              .stop_ids = EndOfTextIds(session_.tokenizer())};
  options.stops.insert(options.stops.end(), options_.stops.begin(), options_.stops.end());
  // A reply may well repeat words of the one before it.
  session_.sampler().Reset();
  const std::string start = form.ReplyStart(turn.think);
  // An empty thought is not worth showing; the reply's first character closes it.
  const bool hidden = turn.think == Think::kFast;
  Watcher reader = watcher;
  if (watcher.text) {
    if (!hidden && !start.empty()) watcher.text(start);
    reader.text = [&watcher, closing = hidden](std::string_view text) mutable {
      if (std::exchange(closing, false) && text.starts_with('>')) text.remove_prefix(1);
      if (!text.empty()) watcher.text(text);
    };
  }
  Written written = session_.Write(options, reader);
  const std::string reply = start + written.text;
  if (!hidden) written.text = reply;
  if (hidden && written.text.starts_with('>')) written.text.erase(0, 1);
  if (HoldsThoughts(reply)) {
    here_ = {turn.before.at, turn.before.lead + form.Past(turn.user, reply)};
  } else {
    here_ = {Keep(session_.Here().Clone()), form.ReplyEnd()};
  }
  return written;
}

void Conversation::ForgetOldTurns() {
  const size_t bytes_per_turn = 2 * turns_.back().ready->bytes();
  while (turns_.size() > 1 && turns_.size() * bytes_per_turn > options_.history_bytes) {
    turns_.pop_front();
    ++forgotten_;
  }
}

void Conversation::Undo() {
  LINNET_CHECK(!turns_.empty());
  here_ = std::move(turns_.back().before);
  turns_.pop_back();
}

void Conversation::Reset() {
  turns_.clear();
  forgotten_ = 0;
  here_ = StartOf(base_);
}

void Conversation::GoTo(Snapshot snapshot) {
  turns_.clear();
  forgotten_ = 0;
  here_ = StartOf(Keep(std::move(snapshot)));
}

Snapshot Conversation::Here() {
  const std::string& end = options_.chat_template->ReplyEnd();
  std::string_view lead = here_.lead;
  if (lead.ends_with(end)) lead.remove_suffix(end.size());
  session_.Restore(*here_.at);
  session_.Feed(session_.tokenizer().Encode(lead));
  return session_.Here().Clone();
}

}  // namespace linnet
