#include "server/reply_reader.h"

#include <algorithm>

#include "server/new_id.h"

namespace linnet {
namespace {

constexpr std::string_view kOpen = "<think>", kClose = "</think>";

bool IsBlank(char c) { return c == ' ' || c == '\t' || c == '\n' || c == '\r'; }

std::string_view WithoutBlanks(std::string_view text) {
  while (!text.empty() && IsBlank(text.front())) text.remove_prefix(1);
  return text;
}

// How many of the last bytes may be the beginning of `word`.
size_t BegunAtEnd(std::string_view text, std::string_view word) {
  for (size_t size = std::min(text.size(), word.size() - 1); size > 0; --size) {
    if (word.starts_with(text.substr(text.size() - size))) return size;
  }
  return 0;
}

}  // namespace

ReplyReader::ReplyReader(const ReplyForm& form, size_t choice, ChatEvents& events)
    : form_(form),
      choice_(choice),
      events_(events),
      reader_(
          {.call = [this](const std::string& name) { BeginCall(name); },
           .arguments =
               [this](std::string_view json) { events_.OnArguments(choice_, calls_ - 1, json); }}) {
  switch (form.start) {
    case ReplyForm::Start::kReply:
      Take(form.begun);
      break;
    case ReplyForm::Start::kText:
      state_ = State::kText;
      break;
    case ReplyForm::Start::kRest:
      state_ = State::kText;
      drop_blanks_ = false;
      break;
    case ReplyForm::Start::kCall:
      state_ = State::kCall;
      break;
  }
}

void ReplyReader::BeginCall(const std::string& name) {
  events_.OnCall(choice_, calls_++, NewId("call_"), name);
}

void ReplyReader::Push(std::string_view text, std::span<const TokenInfo> tokens) {
  const bool thinking = state_ == State::kThought;
  Take(text);
  if (state_ == State::kThought || thinking) {
    thought_tokens_ += tokens.size();
  } else if (state_ == State::kText || !shown_.empty()) {
    tokens_.insert(tokens_.end(), tokens.begin(), tokens.end());
  }
  if (shown_.empty()) return;
  events_.OnText(choice_, shown_, tokens_);
  shown_.clear();
  tokens_.clear();
}

void ReplyReader::Finish() {
  if (state_ == State::kThought) {
    // A thought that never ended; blanks and a part of a tag at its end are dropped.
    held_.clear();
    return;
  }
  if (state_ == State::kCall) return;
  shown_ += blanks_ + held_;
  if (!shown_.empty() || !tokens_.empty()) events_.OnText(choice_, shown_, tokens_);
  shown_.clear();
  blanks_.clear();
  held_.clear();
  tokens_.clear();
}

void ReplyReader::Take(std::string_view text) {
  while (!text.empty()) {
    switch (state_) {
      case State::kStart:
        text = TakeStart(text);
        break;
      case State::kThought:
        text = TakeThought(text);
        break;
      case State::kAfterThought:
        state_ = State::kText;
        drop_blanks_ = true;
        break;
      case State::kText:
        text = TakeText(text);
        break;
      case State::kCall:
        reader_.Push(text);
        return;
    }
  }
}

// Returns what is left of the text.
std::string_view ReplyReader::TakeStart(std::string_view text) {
  if (held_.empty()) text = WithoutBlanks(text);
  while (!text.empty()) {
    if (kOpen[held_.size()] != text.front()) {
      // No tag: what was held is text. kText reads it again, for it may begin a call.
      state_ = State::kText;
      const std::string begun = std::exchange(held_, {});
      Take(begun);
      return text;
    }
    held_ += text.front();
    text.remove_prefix(1);
    if (held_.size() < kOpen.size()) continue;
    held_.clear();
    state_ = State::kThought;
    return text;
  }
  return text;
}

std::string_view ReplyReader::TakeThought(std::string_view text) {
  std::string all = std::exchange(held_, {});
  all.append(text);
  const size_t end = all.find(kClose);
  std::string_view thought = std::string_view(all).substr(0, end);
  if (drop_blanks_) thought = WithoutBlanks(thought);
  // Blanks before the end of the thought are not part of it.
  size_t keep = end == all.npos ? thought.size() - BegunAtEnd(thought, kClose) : thought.size();
  while (keep > 0 && IsBlank(thought[keep - 1])) --keep;
  if (keep > 0) {
    drop_blanks_ = false;
    events_.OnThought(choice_, thought.substr(0, keep));
  }
  if (end == all.npos) {
    held_ = thought.substr(keep);
    return {};
  }
  state_ = State::kAfterThought;
  return text.substr(text.size() - (all.size() - end - kClose.size()));
}

void ReplyReader::Show(std::string_view text) {
  if (drop_blanks_) text = WithoutBlanks(text);
  if (text.empty()) return;
  drop_blanks_ = false;
  if (form_.trigger == nullptr) {
    shown_ += text;
    return;
  }
  for (const char c : text) {
    if (IsBlank(c)) {
      blanks_ += c;
    } else {
      shown_ += blanks_;
      shown_ += c;
      blanks_.clear();
    }
  }
}

std::string_view ReplyReader::TakeText(std::string_view text) {
  if (form_.trigger == nullptr) {
    Show(text);
    return {};
  }
  const CallTrigger& trigger = *form_.trigger;
  size_t begin = 0;  // of what was not shown yet
  for (size_t i = 0; i < text.size(); ++i) {
    const CallTrigger::Edge* edge = trigger.Find(trigger_state_, text[i]);
    const size_t held = edge == nullptr ? 0 : edge->held;
    trigger_state_ = edge == nullptr ? 0 : edge->to;
    held_ += text[i];
    if (held != CallTrigger::kAll) {
      Show(std::string_view(held_).substr(0, held_.size() - held));
      held_.erase(0, held_.size() - held);
    }
    begin = i + 1;
    const CallTrigger::State& state = trigger.states()[trigger_state_];
    if (state.tool < 0) continue;
    held_.clear();
    blanks_.clear();
    state_ = State::kCall;
    // The text before the call comes first.
    if (!shown_.empty()) {
      events_.OnText(choice_, shown_, tokens_);
      shown_.clear();
      tokens_.clear();
    }
    reader_.Begin(form_.tools[static_cast<size_t>(state.tool)], state.is_list);
    break;
  }
  return text.substr(begin);
}

}  // namespace linnet
