#include "server/response_run.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <utility>

#include "server/openai_errors.h"
#include "server/response_items.h"

namespace linnet {
namespace {

constexpr size_t kMaxEventBytes = size_t{16} << 20;  // kept for Follow, of one response

int64_t UnixTime() {
  return std::chrono::duration_cast<std::chrono::seconds>(
             std::chrono::system_clock::now().time_since_epoch())
      .count();
}

std::string EventText(const char* type, const Json& event) {
  return fmt::format("event: {}\ndata: {}\n\n", type, Dump(event));
}

// SDKs know a list of codes.
const char* CodeOf(int status) {
  if (status == 429) return "rate_limit_exceeded";
  return status < 500 ? "invalid_prompt" : "server_error";
}

}  // namespace

Json NewResponseObject(const ResponseRequest& request, const ServedModel& served, int64_t now) {
  Json object = request.echo;
  object["id"] = request.id;
  object["object"] = "response";
  object["created_at"] = now;
  object["completed_at"] = nullptr;
  object["status"] = request.background ? "queued" : "in_progress";
  object["error"] = nullptr;
  object["incomplete_details"] = nullptr;
  object["model"] = served.name;
  object["output"] = Json::array();
  object["usage"] = nullptr;
  const GenerationFields& generation = request.chat.generation;
  object["temperature"] = generation.temperature.value_or(served.chat_sampling.temperature);
  object["top_p"] = generation.top_p.value_or(served.chat_sampling.top_p);
  return object;
}

void MarkAbandoned(Json& response) {
  const std::string status = response.value("status", "");
  if (status != "queued" && status != "in_progress") return;
  response["status"] = "failed";
  response["error"] = {{"code", "server_error"},
                       {"message", "the server stopped before the response had ended"}};
}

ResponseRun::ResponseRun(Options options)
    : id_(options.node.id),
      options_(std::move(options)),
      object_(std::move(options_.node.response)) {
  const std::lock_guard lock(mutex_);
  EmitObject("response.created");
  EmitObject(options_.background ? "response.queued" : "response.in_progress");
}

void ResponseRun::SetChat(std::shared_ptr<ChatRun> chat) {
  bool cancel = false;
  {
    const std::lock_guard lock(mutex_);
    if (!ended_) chat_ = chat;
    cancel = cancel_;
  }
  if (cancel) chat->Cancel();
}

void ResponseRun::Cancel() {
  std::shared_ptr<ChatRun> chat;
  {
    const std::lock_guard lock(mutex_);
    cancel_ = true;
    chat = chat_;
  }
  if (chat) chat->Cancel();
}

Json ResponseRun::Object() const {
  const std::lock_guard lock(mutex_);
  return object_;
}

void ResponseRun::Answer() {
  const std::lock_guard lock(mutex_);
  answered_ = true;
  if (!options_.stream && options_.background) {
    SendObject(*options_.reply);
    return;
  }
  // The engine refused the job at once: the status says so better than a stream.
  if (!options_.stream || (told_ && error_)) {
    waiting_.push_back(options_.reply);
  } else {
    options_.reply->BeginStream(200, "text/event-stream", {{"cache-control", "no-cache"}});
    for (const std::string& event : events_) options_.reply->Write(event);
    streams_.push_back(options_.reply);
  }
  if (!options_.background) events_.clear();
  if (told_) Tell();
}

bool ResponseRun::Follow(std::shared_ptr<HttpReply> reply, int64_t after) {
  const std::lock_guard lock(mutex_);
  if (!options_.background || events_lost_) return false;
  reply->BeginStream(200, "text/event-stream", {{"cache-control", "no-cache"}});
  for (auto i = static_cast<size_t>(std::max<int64_t>(after + 1, 0)); i < events_.size(); ++i) {
    reply->Write(events_[i]);
  }
  streams_.push_back(std::move(reply));
  if (told_) Tell();
  return true;
}

void ResponseRun::AnswerAtEnd(std::shared_ptr<HttpReply> reply) {
  const std::lock_guard lock(mutex_);
  waiting_.push_back(std::move(reply));
  if (told_) Tell();
}

// Those below need mutex_, except the events and Finish.

void ResponseRun::Emit(const char* type, Json event) {
  if (!has_events()) return;
  event["type"] = type;
  event["sequence_number"] = sequence_++;
  const std::string text = EventText(type, event);
  for (const auto& stream : streams_) stream->Write(text);
  if (answered_ && !options_.background) return;
  event_bytes_ += text.size();
  if (event_bytes_ > kMaxEventBytes && options_.background) {
    events_lost_ = true;
    events_.clear();
  }
  if (!events_lost_) events_.push_back(text);
}

void ResponseRun::EmitObject(const char* type) {
  if (has_events()) Emit(type, {{"response", Shown()}});
}

void ResponseRun::OpenItem(Open kind, Json item) {
  CloseItem("completed");
  open_ = kind;
  item_ = std::move(item);
  text_.clear();
  logprobs_ = Json::array();
  const size_t index = object_["output"].size();
  Emit("response.output_item.added", {{"output_index", index}, {"item", item_}});
  if (kind == Open::kCall) return;
  Emit("response.content_part.added", {{"item_id", item_["id"]},
                                       {"output_index", index},
                                       {"content_index", 0},
                                       {"part", PartOf("")}});
}

Json ResponseRun::PartOf(const std::string& text) const {
  if (open_ == Open::kThoughts) return {{"type", "reasoning_text"}, {"text", text}};
  Json part = {{"type", "output_text"}, {"text", text}, {"annotations", Json::array()}};
  part["logprobs"] = logprobs_;
  return part;
}

void ResponseRun::CloseItem(const char* status) {
  if (open_ == Open::kNothing) return;
  const size_t index = object_["output"].size();
  Json place = {{"item_id", item_["id"]}, {"output_index", index}};
  if (open_ == Open::kCall) {
    item_["arguments"] = text_;
    place["arguments"] = text_;
    place["name"] = item_["name"];
    Emit("response.function_call_arguments.done", std::move(place));
  } else {
    place["content_index"] = 0;
    Json done = place;
    done["text"] = text_;
    if (open_ == Open::kText) done["logprobs"] = logprobs_;
    Emit(open_ == Open::kText ? "response.output_text.done" : "response.reasoning_text.done",
         std::move(done));
    place["part"] = PartOf(text_);
    item_["content"] = Json::array({place["part"]});
    Emit("response.content_part.done", std::move(place));
  }
  item_["status"] = status;
  Emit("response.output_item.done", {{"output_index", index}, {"item", item_}});
  object_["output"].push_back(std::move(item_));
  item_ = nullptr;
  open_ = Open::kNothing;
}

Json ResponseRun::LogprobOf(const TokenInfo& token) const {
  const auto entry = [this](int32_t id, float logprob) {
    const std::string_view bytes = options_.tokenizer->Bytes(id);
    Json list = Json::array();
    for (const char byte : bytes) list.push_back(static_cast<unsigned char>(byte));
    return Json{{"token", std::string(bytes)}, {"bytes", list}, {"logprob", logprob}};
  };
  Json parsed = entry(token.id, token.logprob);
  parsed["top_logprobs"] = Json::array();
  for (const auto& [id, logprob] : token.top) parsed["top_logprobs"].push_back(entry(id, logprob));
  return parsed;
}

void ResponseRun::OnStart() {
  const std::lock_guard lock(mutex_);
  if (!options_.background) return;
  object_["status"] = "in_progress";
  EmitObject("response.in_progress");
}

void ResponseRun::OnThought(size_t /*choice*/, std::string_view text) {
  const std::lock_guard lock(mutex_);
  if (open_ != Open::kThoughts) {
    const std::string id = ItemId("rs", id_, true, object_["output"].size());
    OpenItem(Open::kThoughts, {{"type", "reasoning"},
                               {"id", id},
                               {"summary", Json::array()},
                               {"content", Json::array()},
                               {"status", "in_progress"}});
  }
  text_ += text;
  Emit("response.reasoning_text.delta", {{"item_id", item_["id"]},
                                         {"output_index", object_["output"].size()},
                                         {"content_index", 0},
                                         {"delta", text}});
}

void ResponseRun::OnText(size_t /*choice*/, std::string_view text,
                         std::span<const TokenInfo> tokens) {
  const std::lock_guard lock(mutex_);
  if (text.empty() && open_ != Open::kText) return;
  if (open_ != Open::kText) {
    const std::string id = ItemId("msg", id_, true, object_["output"].size());
    OpenItem(Open::kText, {{"type", "message"},
                           {"id", id},
                           {"role", "assistant"},
                           {"content", Json::array()},
                           {"status", "in_progress"}});
  }
  Json logprobs = Json::array();
  if (options_.logprobs) {
    for (const TokenInfo& token : tokens) logprobs.push_back(LogprobOf(token));
    logprobs_.insert(logprobs_.end(), logprobs.begin(), logprobs.end());
  }
  text_ += text;
  if (text.empty() && logprobs.empty()) return;
  Emit("response.output_text.delta", {{"item_id", item_["id"]},
                                      {"output_index", object_["output"].size()},
                                      {"content_index", 0},
                                      {"delta", text},
                                      {"logprobs", std::move(logprobs)}});
}

void ResponseRun::OnCall(size_t /*choice*/, size_t /*call*/, const std::string& id,
                         const std::string& name) {
  const std::lock_guard lock(mutex_);
  const std::string item = ItemId("fc", id_, true, object_["output"].size());
  OpenItem(Open::kCall, {{"type", "function_call"},
                         {"id", item},
                         {"call_id", id},
                         {"name", name},
                         {"arguments", ""},
                         {"status", "in_progress"}});
}

void ResponseRun::OnArguments(size_t /*choice*/, size_t /*call*/, std::string_view json) {
  const std::lock_guard lock(mutex_);
  if (open_ != Open::kCall) return;
  text_ += json;
  Emit("response.function_call_arguments.delta",
       {{"item_id", item_["id"]}, {"output_index", object_["output"].size()}, {"delta", json}});
}

void ResponseRun::OnEnd(size_t /*choice*/, const ChatEnding& ending) {
  const std::lock_guard lock(mutex_);
  ending_ = ending;
  const bool whole = ending.finish == ChatFinish::kStop || ending.finish == ChatFinish::kCalls;
  // An answer without anything is an empty text.
  if (whole && open_ == Open::kNothing && object_["output"].empty()) {
    const std::string id = ItemId("msg", id_, true, 0);
    OpenItem(Open::kText, {{"type", "message"},
                           {"id", id},
                           {"role", "assistant"},
                           {"content", Json::array()},
                           {"status", "in_progress"}});
  }
  CloseItem(whole ? "completed" : "incomplete");
}

void ResponseRun::OnState(const ReplyState& state) {
  const std::lock_guard lock(mutex_);
  state_ = StateAnswer(state);
}

void ResponseRun::OnDone(const ChatUsage& usage) {
  {
    const std::lock_guard lock(mutex_);
    const size_t read = usage.prompt_tokens - usage.cached_tokens;
    const size_t kept = std::max(usage.kept_tokens, usage.cached_tokens);
    object_["usage"] = {{"input_tokens", usage.prompt_tokens},
                        {"input_tokens_details",
                         {{"cached_tokens", usage.cached_tokens},
                          {"cache_write_tokens", kept - usage.cached_tokens}}},
                        {"output_tokens", usage.completion_tokens},
                        {"output_tokens_details", {{"reasoning_tokens", usage.reasoning_tokens}}},
                        {"total_tokens", usage.prompt_tokens + usage.completion_tokens}};
    if (ending_.finish == ChatFinish::kLength) {
      object_["status"] = "incomplete";
      object_["incomplete_details"] = {{"reason", "max_output_tokens"}};
    } else if (ending_.finish == ChatFinish::kCancelled) {
      object_["status"] = "cancelled";
    } else {
      object_["status"] = "completed";
      object_["completed_at"] = UnixTime();
    }
    ended_ = true;
    chat_ = nullptr;
    if (options_.reply) options_.reply->CountTokens(read + usage.completion_tokens);
  }
  Finish();
}

void ResponseRun::OnError(const Error& error) {
  {
    const std::lock_guard lock(mutex_);
    CloseItem("incomplete");
    error_ = AnswerOf(error);
    object_["status"] = "failed";
    object_["error"] = {{"code", CodeOf(error_->status)}, {"message", error_->message}};
    ended_ = true;
    chat_ = nullptr;
  }
  Finish();
}

void ResponseRun::Finish() {
  auto tell = [self = shared_from_this()] {
    std::function<void()> ended;
    {
      const std::lock_guard lock(self->mutex_);
      ended = std::move(self->options_.ended);
    }
    // First, so that a client that was told finds nothing running any more.
    if (ended) ended();
    ended = nullptr;
    const std::lock_guard lock(self->mutex_);
    const std::string status = self->object_["status"];
    // There is no event of its own for a response that was cancelled.
    self->EmitObject(status == "completed" ? "response.completed"
                     : status == "failed"  ? "response.failed"
                                           : "response.incomplete");
    self->told_ = true;
    self->Tell();
  };
  StoredResponse node = options_.node;
  node.response = Object();
  const std::string status = node.response["status"];
  // A failure is the answer of its request, and is asked for again only in the background.
  const auto store = options_.store.lock();
  if (!store || (status == "failed" && !options_.background)) {
    tell();
    return;
  }
  // A conversation does not go on from what the client never got.
  if (status == "failed" || status == "cancelled") node.conversation.clear();
  store->Put(options_.owner, node, std::move(tell));
}

// Ends what is still to be answered.
void ResponseRun::Tell() {
  for (const auto& stream : streams_) stream->End();
  streams_.clear();
  for (const auto& reply : waiting_) {
    // An error is the answer of the request itself; others see a response that failed.
    if (!error_ || reply != options_.reply) {
      SendObject(*reply);
      continue;
    }
    HttpHeaders headers;
    if (error_->retry_after > 0) {
      headers.emplace_back("retry-after", std::to_string(error_->retry_after));
    }
    reply->Send(error_->status, error_->body, "application/json", std::move(headers));
  }
  waiting_.clear();
}

void ResponseRun::SendObject(HttpReply& reply) const { reply.Send(200, Dump(Shown())); }

Json ResponseRun::Shown() const {
  Json object = object_;
  if (!state_.is_null()) object["state"] = state_;
  return object;
}

}  // namespace linnet
