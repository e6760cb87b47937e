#include "eval/answers.h"

#include <algorithm>
#include <memory>

#include "base/memory.h"
#include "engine/generated_text.h"
#include "engine/sequence.h"

namespace linnet {
namespace {

// Tokens of a prompt in one pass.
constexpr size_t kPromptTokens = 256;

struct Answer {
  Answer(const Model& model, const Tokenizer& tokenizer, const AnswerRequest& request, size_t at)
      : index(at),
        sequence({model.NewState(), {}, 0}, Sampler(request.sampler)),
        written(tokenizer, {.text = request.text, .keep_logits = false}) {
    sequence.Feed(request.prompt);
  }
  size_t index;
  Sequence sequence;
  GeneratedText written;
  std::string text;
};

}  // namespace

std::vector<std::string> GenerateAnswers(const Model& model, const Tokenizer& tokenizer,
                                         Workspace& workspace,
                                         std::span<const AnswerRequest> requests,
                                         const AnswerOptions& options) {
  std::vector<std::string> texts(requests.size());
  const uint64_t bytes = options.state_bytes != 0 ? options.state_bytes : AvailableMemory() / 4;
  const uint64_t each = model.NewState().bytes() * 2 + model.config().vocab * sizeof(float);
  const size_t most = static_cast<size_t>(
      std::clamp<uint64_t>(bytes / each, 1, std::max<size_t>(1, options.sequences)));
  std::vector<std::unique_ptr<Answer>> running;
  size_t next = 0, done = 0;
  while (next < requests.size() || !running.empty()) {
    while (next < requests.size() && running.size() < most) {
      running.push_back(std::make_unique<Answer>(model, tokenizer, requests[next], next));
      ++next;
    }
    std::vector<Sequence*> sequences;
    sequences.reserve(running.size());
    for (const auto& answer : running) sequences.push_back(&answer->sequence);
    Advance(model, sequences, kPromptTokens, workspace);
    workspace.ForEach(running.size(), [&](size_t i) {
      if (running[i]->sequence.ready()) running[i]->written.Step(running[i]->sequence);
    });
    for (const auto& answer : running) {
      answer->text += answer->written.piece().text;
      answer->written.ClearPiece();
      if (answer->written.finish() == Finish::kNone) continue;
      texts[answer->index] = answer->text;
      ++done;
      if (options.answered) options.answered(answer->index, answer->text);
    }
    std::erase_if(running,
                  [](const auto& answer) { return answer->written.finish() != Finish::kNone; });
    if (options.progress) options.progress(done, requests.size());
  }
  return texts;
}

}  // namespace linnet
