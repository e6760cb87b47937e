// ResponseRun: a response of /v1/responses while it is written.
#ifndef LINNET_SERVER_RESPONSE_RUN_H_
#define LINNET_SERVER_RESPONSE_RUN_H_

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "http/http.h"
#include "server/chat_events.h"
#include "server/chat_job.h"
#include "server/openai_errors.h"
#include "server/response_request.h"
#include "server/response_store.h"
#include "server/served_model.h"

namespace linnet {

// The object `response` at its start: status "queued" or "in_progress", no output.
Json NewResponseObject(const ResponseRequest& request, const ServedModel& served, int64_t now);

// A stored response that claims to be running, though nothing runs it: the server was stopped.
void MarkAbandoned(Json& response);

// Turns the events of a chat into items and into the stream of a response. Its end is told only
// once the response is stored, so that a client may continue it at once. Thread-safe.
class ResponseRun : public ChatEvents, public std::enable_shared_from_this<ResponseRun> {
 public:
  struct Options {
    std::string owner;
    StoredResponse node;  // with the object at the start
    std::weak_ptr<ResponseStore>
        store;  // empty: not stored. Its thread may be the last to hold this
    std::shared_ptr<const Tokenizer> tokenizer;
    // What is charged for the tokens, and answered by Answer.
    std::shared_ptr<HttpReply> reply;
    bool stream = false;  // the answer is a stream
    bool background = false;
    bool logprobs = false;
    std::function<void()> ended{};  // called once, when it is stored, before it is told
  };
  explicit ResponseRun(Options options);

  // The run of the engine, so that the response can be cancelled. Once.
  void SetChat(std::shared_ptr<ChatRun> chat);
  // Answers the reply with the stream from its start, or the object at the end; in the background
  // with the object now. Once, after the engine took the job. What happened before is told first.
  void Answer();
  // Streams the events with numbers above `after`, those that were and those to come. False if they
  // were not kept, as they are in the background only.
  bool Follow(std::shared_ptr<HttpReply> reply, int64_t after);
  // Sends the object to `reply` when the response has ended.
  void AnswerAtEnd(std::shared_ptr<HttpReply> reply);
  void Cancel();

  Json Object() const;  // as it is now
  bool background() const { return options_.background; }

  void OnStart() override;
  void OnThought(size_t choice, std::string_view text) override;
  void OnText(size_t choice, std::string_view text, std::span<const TokenInfo> tokens) override;
  void OnCall(size_t choice, size_t call, const std::string& id, const std::string& name) override;
  void OnArguments(size_t choice, size_t call, std::string_view json) override;
  void OnEnd(size_t choice, const ChatEnding& ending) override;
  void OnState(const ReplyState& state) override;
  void OnDone(const ChatUsage& usage) override;
  void OnError(const Error& error) override;

 private:
  enum class Open : uint8_t { kNothing, kThoughts, kText, kCall };

  bool has_events() const { return options_.stream || options_.background; }
  void Emit(const char* type, Json event);
  void EmitObject(const char* type);
  void OpenItem(Open kind, Json item);
  void CloseItem(const char* status);
  Json PartOf(const std::string& text) const;
  Json LogprobOf(const TokenInfo& token) const;
  void Finish();  // without mutex_
  void Tell();
  void SendObject(HttpReply& reply) const;
  Json Shown() const;

  const std::string id_;
  Options options_;

  mutable std::mutex mutex_;  // of all below
  Json object_;
  Json state_;                        // after the answer; told, but not stored
  bool ended_ = false;                // the object is final
  bool told_ = false;                 // and was told
  std::optional<ErrorAnswer> error_;  // if the engine failed
  std::shared_ptr<ChatRun> chat_;
  bool cancel_ = false;
  std::vector<std::shared_ptr<HttpReply>> streams_, waiting_;
  // Those of before Answer; in the background all.
  std::vector<std::string> events_;
  size_t event_bytes_ = 0;
  bool events_lost_ = false;  // they were too many
  bool answered_ = false;
  int64_t sequence_ = 0;

  Open open_ = Open::kNothing;
  Json item_;         // that is open
  std::string text_;  // of it
  Json logprobs_ = Json::array();
  ChatEnding ending_{};
};

}  // namespace linnet

#endif  // LINNET_SERVER_RESPONSE_RUN_H_
