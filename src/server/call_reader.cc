#include "server/call_reader.h"

namespace linnet {
namespace {

bool IsJsonBlank(char c) { return c == ' ' || c == '\t' || c == '\n' || c == '\r'; }

}  // namespace

void CallReader::Begin(const std::string& name, bool is_list) {
  is_list_ = is_list;
  state_ = State::kKey;
  Name(name);
}

void CallReader::Name(const std::string& name) {
  if (named_) return;
  named_ = true;
  sinks_.call(name);
  if (!early_.empty()) sinks_.arguments(early_);
  early_.clear();
}

void CallReader::EndCall() {
  if (named_ && !has_arguments_) sinks_.arguments("{}");
  named_ = has_arguments_ = false;
  early_.clear();
  state_ = is_list_ ? State::kElement : State::kDone;
}

CallReader::Inside CallReader::Scan(char c) {
  if (quoted_) {
    if (escaped_) {
      escaped_ = false;
    } else if (c == '\\') {
      escaped_ = true;
    } else if (c == '"') {
      quoted_ = false;
      if (depth_ == 0) return Inside::kLast;
    }
    return Inside::kGoesOn;
  }
  if (c == '"') {
    quoted_ = true;
  } else if (c == '{' || c == '[') {
    ++depth_;
  } else if (depth_ > 0) {
    if ((c == '}' || c == ']') && --depth_ == 0) return Inside::kLast;
  } else if (c == ',' || c == '}' || c == ']' || (scalar_ && IsJsonBlank(c))) {
    return Inside::kAfter;
  } else {
    scalar_ = true;
  }
  return Inside::kGoesOn;
}

void CallReader::Push(std::string_view json) {
  part_ = json;
  from_ = 0;
  for (size_t i = 0; i < json.size() && !done(); ++i) Step(json[i], i);
  if (state_ != State::kInArguments) return;
  const std::string_view rest = json.substr(from_);
  if (named_) {
    if (!rest.empty()) sinks_.arguments(rest);
  } else {
    early_ += rest;
  }
}

void CallReader::Step(char c, size_t at) {
  switch (state_) {
    case State::kBegin:
    case State::kElement:
      if (IsJsonBlank(c) || (c == ',' && state_ == State::kElement)) return;
      if (c == '{') {
        state_ = State::kKey;
      } else if (c == '[' && state_ == State::kBegin) {
        is_list_ = true;
        state_ = State::kElement;
      } else {
        state_ = State::kDone;
      }
      return;
    case State::kKey:
      if (IsJsonBlank(c) || c == ',') return;
      if (c == '"') {
        key_.clear();
        state_ = State::kInKey;
      } else if (c == '}') {
        EndCall();
      } else {
        state_ = State::kDone;
      }
      return;
    case State::kInKey:
      if (c == '"') {
        state_ = State::kColon;
      } else {
        key_ += c;
      }
      return;
    case State::kColon:
      if (IsJsonBlank(c)) return;
      state_ = c == ':' ? State::kValue : State::kDone;
      return;
    case State::kValue:
      if (IsJsonBlank(c)) return;
      quoted_ = escaped_ = scalar_ = false;
      depth_ = 0;
      if (key_ == "name" && c == '"') {
        name_.clear();
        state_ = State::kInName;
        return;
      }
      if (!has_arguments_ && (key_ == "arguments" || key_ == "parameters")) {
        has_arguments_ = true;
        from_ = at;
        state_ = State::kInArguments;
      } else {
        state_ = State::kInOther;
      }
      Step(c, at);
      return;
    case State::kInName:
      if (c == '"') {
        Name(name_);
        state_ = State::kKey;
      } else {
        name_ += c;
      }
      return;
    case State::kInArguments:
    case State::kInOther: {
      const Inside inside = Scan(c);
      if (inside == Inside::kGoesOn) return;
      if (state_ == State::kInArguments) {
        const size_t end = inside == Inside::kLast ? at + 1 : at;
        const std::string_view last = part_.substr(from_, end - from_);
        if (named_) {
          if (!last.empty()) sinks_.arguments(last);
        } else {
          early_ += last;
        }
      }
      state_ = State::kKey;
      if (inside == Inside::kAfter) Step(c, at);
      return;
    }
    case State::kDone:
      return;
  }
}

}  // namespace linnet
