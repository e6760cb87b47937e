// POST /v1/choose: which of several texts the model finds likeliest after a prompt.
#ifndef LINNET_SERVER_CHOOSE_H_
#define LINNET_SERVER_CHOOSE_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "engine/sequence.h"
#include "http/http.h"
#include "server/json_fields.h"
#include "server/router.h"
#include "server/scoring.h"
#include "server/served_model.h"
#include "server/token_fields.h"

namespace linnet {

struct ChooseRequest {
  TokenizedText prompt{}, neutral{};
  std::vector<TokenizedText> choices{};
  std::shared_ptr<const Snapshot> start{};  // what both prompts follow; null: an empty state
  bool calibrate = false;                   // by the neutral prompt, which is a job of its own
  ChoiceNorm norm = ChoiceNorm::kTokens;
  std::string owner{};
};

// `choices`: 1 to 1024 texts or lists of token ids. Call when the prompt is set.
void ParseChoices(const Fields& body, const ServedModel& served, ChooseRequest& request);

struct ChooseResult {
  std::span<const ChoiceScore> scores;     // in the order of the request
  std::span<const RankedChoice> ranked{};  // the best first
  size_t prompt_tokens = 0, cached_tokens = 0;
};
// The answer as JSON; called once, on the scheduler's thread.
using WriteChoices = OrderedJson (*)(const ServedModel& served, const ChooseRequest& request,
                                     const ChooseResult& result);
// Throws what the scheduler throws.
void RunChoose(std::shared_ptr<const ServedModel> served, ChooseRequest request,
               std::shared_ptr<HttpReply> reply, WriteChoices write);

void AddChooseRoutes(Router& router, std::shared_ptr<const ServedModels> models);

}  // namespace linnet

#endif  // LINNET_SERVER_CHOOSE_H_
