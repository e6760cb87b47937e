// A text that Python takes piece by piece: what Model.generate and Model.reply return, and what the
// client of linnet.local reads.
#ifndef LINNET_BINDINGS_PYTHON_GENERATION_H_
#define LINNET_BINDINGS_PYTHON_GENERATION_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "bindings/python/bindings.h"
#include "engine/session.h"
#include "text/chat_template.h"

namespace linnet::python {

// What one token added to a text.
struct WrittenPiece {
  std::string text;  // whole characters; may be empty
  int32_t token = -1;
  // The log of the probability that the model gave the token, without penalties and temperature;
  // and of the likeliest tokens. Only if asked for.
  std::optional<double> logprob;
  std::vector<std::pair<int32_t, double>> top;
};

// What to write after the ids that are fed.
struct TextPlan {
  std::vector<int32_t> ids;
  ContinuationOptions options;
  StateObject* state = nullptr;  // where to start, unless null
  std::optional<size_t> logprobs{};
  std::shared_ptr<const Grammar> grammar{};  // that the text must match, unless null
};

struct GenerationObject {
  GenerationObject(std::shared_ptr<OpenedModel> model, Workspace& workspace, Snapshot start,
                   Sampler sampler, ContinuationOptions options,
                   std::optional<Constraint> constraint)
      : opened(std::move(model)),
        tokenizer(opened->NeedTokenizer()),
        session(opened->model, *tokenizer, workspace, std::move(start), std::move(sampler)),
        writing(session, std::move(options), std::move(constraint)),
        forks(Forks()) {}

  std::shared_ptr<OpenedModel> opened;
  std::shared_ptr<const Tokenizer> tokenizer;
  Session session;
  Writing writing;
  uint64_t forks;
  std::optional<size_t> logprobs;
  std::vector<float> scratch;
  std::string opening;   // shown before the text
  bool closing = false;  // a first '>' is not shown
  Busy busy;
};

// How a reply thinks that must match `grammar`, unless it is null: "auto" is then "off". Throws
// Error kBadInput for thoughts beside a grammar, and as cli::ThinkFor.
Think ThinkBeside(const std::shared_ptr<const Grammar>& grammar, const std::string& name,
                  const ChatTemplate& form);

// Nothing runs yet.
std::unique_ptr<GenerationObject> BeginText(const std::shared_ptr<OpenedModel>& opened,
                                            TextPlan plan, Sampler sampler);

// The next piece; empty at the end. With the GIL, which it releases; Ctrl-C raises.
std::optional<WrittenPiece> NextPiece(GenerationObject& self);

}  // namespace linnet::python

#endif  // LINNET_BINDINGS_PYTHON_GENERATION_H_
