#include "server/text_run.h"

#include <algorithm>
#include <string>
#include <utility>

#include "server/completion_job.h"

namespace linnet {
namespace {

ChatFinish TextFinish(Finish finish) {
  switch (finish) {
    case Finish::kLength:
      return ChatFinish::kLength;
    case Finish::kInterrupted:
      return ChatFinish::kCancelled;
    default:
      return ChatFinish::kStop;
  }
}

class TextListener : public Listener {
 public:
  TextListener(std::vector<std::string> stops, std::shared_ptr<ChatEvents> events)
      : stops_(std::move(stops)), events_(std::move(events)) {}

  void OnStart() override { events_->OnStart(); }
  void OnPrompt(const PromptRead& read) override {
    usage_.prompt_tokens = read.tokens;
    usage_.cached_tokens = read.cached;
    usage_.kept_tokens = read.kept;
    events_->OnPrompt(read);
  }
  void OnPiece(size_t choice, const Piece& piece) override {
    events_->OnText(choice, piece.text, piece.tokens);
  }
  void OnEnd(size_t choice, const Ending& end) override {
    ChatEnding ending{.finish = TextFinish(end.finish), .tokens = end.tokens};
    if (std::find(stops_.begin(), stops_.end(), end.stop) != stops_.end()) ending.stop = end.stop;
    usage_.completion_tokens += end.tokens;
    usage_.AddGuesses(end.speculation);
    events_->OnEnd(choice, ending);
  }
  void OnDone() override { events_->OnDone(usage_); }
  void OnError(const Error& error) override { events_->OnError(error); }

 private:
  std::vector<std::string> stops_;
  std::shared_ptr<ChatEvents> events_;
  ChatUsage usage_;
};

}  // namespace

std::shared_ptr<ChatRun> RunText(std::shared_ptr<const ServedModel> served,
                                 const CompletionRequest& request, std::vector<int32_t> prompt,
                                 std::shared_ptr<ChatEvents> events) {
  Job job = CompletionJob(request, *served);
  job.prompt = std::move(prompt);
  job.marks = {job.prompt.size()};
  const uint64_t id = served->submit(
      std::move(job), std::make_shared<TextListener>(request.generation.stops, std::move(events)));
  return std::make_shared<ChatRun>(std::move(served), id);
}

}  // namespace linnet
