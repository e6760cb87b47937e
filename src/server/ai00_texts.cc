// Ai00's chat and completions.
#include <algorithm>
#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "server/ai00.h"
#include "server/ai00_fields.h"
#include "server/completion_job.h"
#include "server/openai_answer.h"
#include "server/prompt_batch.h"
#include "text/chat_template.h"

namespace linnet {
namespace {

using Ai00Clock = std::chrono::steady_clock;

constexpr std::string_view kAi00Blanks = " \t\n\v\f\r";

const char* Ai00Reason(Finish finish) { return finish == Finish::kStop ? "stop" : "length"; }

class Ai00Answer : public PromptBatch {
 public:
  Ai00Answer(std::shared_ptr<HttpReply> reply, std::shared_ptr<const ServedModel> model, bool chat,
             bool stream)
      : PromptBatch(std::move(model), 1),
        stream_(std::move(reply)),
        is_chat_(chat),
        is_stream_(stream) {}

 protected:
  void OnStart(size_t /*prompt*/) override {
    start_ = Ai00Clock::now();
    if (!is_stream_) return;
    stream_.Begin();
    if (is_chat_) Chunk({{"role", "Assistant"}});
  }

  void OnPrompt(size_t /*prompt*/, const PromptRead& read) override { read_ = read; }

  void OnPiece(size_t /*prompt*/, size_t /*choice*/, const Piece& piece) override {
    std::string_view text = piece.text;
    if (is_chat_ && text_.empty()) {  // blanks before the first character
      text.remove_prefix(std::min(text.find_first_not_of(kAi00Blanks), text.size()));
    }
    text_ += text;
    if (is_stream_ && !text.empty()) Chunk({{"content", text}});
  }

  void OnEnd(size_t /*prompt*/, size_t /*choice*/, const Ending& ending) override {
    ending_ = ending;
    if (is_stream_) Chunk(OrderedJson::object(), Ai00Reason(ending.finish));
  }

  void OnDone() override {
    stream_.reply().CountTokens(read_.tokens + ending_.tokens);
    if (is_stream_) return stream_.Done();
    OrderedJson choice;
    if (is_chat_) {
      text_.resize(text_.find_last_not_of(kAi00Blanks) + 1);
      choice["message"] = {{"role", "Assistant"}, {"content", text_}};
    } else {
      choice["text"] = text_;
    }
    choice["index"] = 0;
    choice["finish_reason"] = Ai00Reason(ending_.finish);
    const auto ns = std::chrono::duration_cast<std::chrono::nanoseconds>(Ai00Clock::now() - start_);
    constexpr int64_t kSecond = 1'000'000'000;
    stream_.reply().Send(
        200,
        Dump(OrderedJson{
            {"object", is_chat_ ? "chat.completion" : "text_completion"},
            {"model", served().name},
            {"choices", OrderedJson::array({std::move(choice)})},
            {"usage",
             {{"prompt", read_.tokens},
              {"completion", ending_.tokens},
              {"total", read_.tokens + ending_.tokens},
              {"duration", {{"secs", ns.count() / kSecond}, {"nanos", ns.count() % kSecond}}}}}}));
  }

  void OnError(const Error& error) override { stream_.Fail(error); }

 private:
  void Chunk(OrderedJson delta, const char* finish = nullptr) {
    OrderedJson choice = {{"delta", std::move(delta)}, {"index", 0}, {"finish_reason", nullptr}};
    if (finish != nullptr) choice["finish_reason"] = finish;
    stream_.Write(
        OrderedJson{{"object", is_chat_ ? "chat.completion.chunk" : "text_completion.chunk"},
                    {"model", served().name},
                    {"choices", OrderedJson::array({std::move(choice)})}});
  }

  EventStream stream_;
  const bool is_chat_, is_stream_;
  Ai00Clock::time_point start_;
  PromptRead read_;
  std::string text_;
  Ending ending_;
};

void AnswerAi00(const ServedModels& models, const RouteCall& call, bool chat) {
  const Json json = ParseBody(call.request.body);
  const Fields body(json);
  const auto served = models.Find(body.String("model").value_or(""));
  CompletionRequest request = ParseAi00Generation(body);
  request.owner = call.request.owner;
  Job job = CompletionJob(request, *served);
  job.start = ParseAi00State(body, *served);
  const std::string prompt = chat ? Ai00ChatPrompt(body) : Ai00Text(body, "prompt");
  std::make_shared<Ai00Answer>(call.reply, served, chat, request.stream)
      ->Start(job, {EncodePrompt(*served->tokenizer, prompt)}, *call.reply);
}

}  // namespace

void AddAi00Texts(Router& router, std::shared_ptr<const ServedModels> models) {
  for (const std::string base : {"/api/oai", "/api/oai/v1"}) {
    router.Add("POST", base + "/chat/completions",
               [models](const RouteCall& call) { AnswerAi00(*models, call, true); });
    router.Add("POST", base + "/completions",
               [models](const RouteCall& call) { AnswerAi00(*models, call, false); });
  }
}

}  // namespace linnet
