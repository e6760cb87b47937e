// POST /v1/systemone: typed questions about a state of things, answered with probabilities.
#ifndef LINNET_SERVER_SYSTEM_ONE_H_
#define LINNET_SERVER_SYSTEM_ONE_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "server/json_fields.h"
#include "server/router.h"
#include "server/served_model.h"

namespace linnet {

struct SystemOneQuestion {
  enum class Kind : uint8_t { kChoice, kScore, kNoul };
  std::string id{};
  Kind kind = Kind::kNoul;
  std::string instructions{};
  // What the model may answer, and what each means (may be empty): names of a choice, "0" to "9" of
  // a score, "yes" and "no".
  std::vector<std::string> answers{}, meanings{};
};

// `questions`: {id: {type, instructions, criteria}}. Throws RequestError 400 naming the field.
std::vector<SystemOneQuestion> ParseQuestions(const Fields& body);

// What the user's turn says: the state, the instructions and the answers that there are.
std::string QuestionText(const std::string& state, const SystemOneQuestion& question);

// The answer to a question from the log-probabilities of its answers: their softmax. Confidence is
// (p - 1/n) / (1 - 1/n) for the largest of n probabilities.
OrderedJson QuestionAnswer(const SystemOneQuestion& question, std::span<const double> logprobs);

// All questions of a request go on from the state after what their prompts have in common. The
// probabilities are a language model's own and were not calibrated, which the answer says.
void AddSystemOneRoutes(Router& router, std::shared_ptr<const ServedModels> models);

}  // namespace linnet

#endif  // LINNET_SERVER_SYSTEM_ONE_H_
