#include "server/choose.h"

#include <fmt/format.h>

#include <utility>

#include "server/job_batch.h"
#include "server/openai_answer.h"
#include "server/openai_errors.h"

namespace linnet {
namespace {

constexpr size_t kMostOffered = 1024;

// Job 0 scores the choices after the prompt, job 1 after the neutral prompt.
class ChooseBatch : public JobBatch {
 public:
  ChooseBatch(std::shared_ptr<const ServedModel> served, ChooseRequest request,
              std::shared_ptr<HttpReply> reply, WriteChoices write)
      : JobBatch(std::move(served), std::move(reply), request.calibrate ? 2 : 1),
        request_(std::move(request)),
        write_(write),
        scores_(request_.choices.size()) {}

 protected:
  Job JobOf(size_t index) override {
    const TokenizedText& prompt = index == 0 ? request_.prompt : request_.neutral;
    std::vector<std::vector<int32_t>> choices;
    choices.reserve(request_.choices.size());
    for (const TokenizedText& choice : request_.choices) {
      const bool again = index > 0 && choice.is_text;
      choices.push_back(again ? TokensAfter(*served().tokenizer, prompt, choice.text)
                              : choice.tokens);
    }
    Job job = ScoringJob(prompt.tokens, std::move(choices), request_.owner);
    job.start = request_.start;
    return job;
  }

  void OnScore(size_t index, size_t continuation, const ContinuationScore& score) override {
    ChoiceScore& choice = scores_[continuation];
    (index == 0 ? choice.logprob : choice.neutral) = score.logprob;
    (index == 0 ? choice.tokens : choice.neutral_tokens) = score.tokens.size();
    tokens_ += score.tokens.size();
  }

  void Answer(const Usage& usage) override {
    reply().CountTokens(tokens_);
    const auto ranked = RankChoices(scores_, request_.norm, request_.calibrate);
    const ChooseResult result{.scores = scores_,
                              .ranked = ranked,
                              .prompt_tokens = usage.tokens + tokens_,
                              .cached_tokens = usage.cached};
    reply().Send(200, Dump(write_(served(), request_, result)));
  }

 private:
  const ChooseRequest request_;
  const WriteChoices write_;
  // Written by the scheduler's thread only.
  std::vector<ChoiceScore> scores_;
  size_t tokens_ = 0;
};

OrderedJson ChoiceList(const ServedModel& served, const ChooseRequest& request,
                       const ChooseResult& result) {
  OrderedJson data = OrderedJson::array();
  for (size_t rank = 0; rank < result.ranked.size(); ++rank) {
    const RankedChoice& ranked = result.ranked[rank];
    const ChoiceScore& score = result.scores[ranked.index];
    const TokenizedText& choice = request.choices[ranked.index];
    OrderedJson entry = {
        {"object", "choice"},       {"index", ranked.index}, {"rank", rank},
        {"choice", choice.text},    {"score", ranked.score}, {"probability", ranked.probability},
        {"logprob", score.logprob}, {"tokens", score.tokens}};
    if (!choice.is_text) entry["choice"] = choice.tokens;
    if (request.calibrate) entry["neutral_logprob"] = score.neutral;
    data.push_back(std::move(entry));
  }
  ChatUsage usage;
  usage.prompt_tokens = result.prompt_tokens;
  usage.cached_tokens = result.cached_tokens;
  return {{"object", "list"},
          {"model", served.name},
          {"calibrated", request.calibrate},
          {"data", std::move(data)},
          {"usage", UsageJson(usage)}};
}

}  // namespace

void ParseChoices(const Fields& body, const ServedModel& served, ChooseRequest& request) {
  const Json* list = body.Find("choices");
  if (list == nullptr || !list->is_array() || list->empty() || list->size() > kMostOffered) {
    throw RequestError(
        400,
        fmt::format("choices must be a list of 1 to {} texts or lists of token ids", kMostOffered),
        "choices", list == nullptr ? "missing_required_parameter" : "invalid_value");
  }
  request.choices.reserve(list->size());
  for (size_t i = 0; i < list->size(); ++i) {
    request.choices.push_back(
        ParseTokensAfter(request.prompt, (*list)[i], body.NameOf("choices", i), served));
  }
}

void RunChoose(std::shared_ptr<const ServedModel> served, ChooseRequest request,
               std::shared_ptr<HttpReply> reply, WriteChoices write) {
  std::make_shared<ChooseBatch>(std::move(served), std::move(request), std::move(reply), write)
      ->Start();
}

void AddChooseRoutes(Router& router, std::shared_ptr<const ServedModels> models) {
  router.Add("POST", "/v1/choose", [models = std::move(models)](const RouteCall& call) {
    const Json json = ParseBody(call.request.body);
    const Fields body(json);
    const auto served = models->Find(body.String("model").value_or(""));
    ChooseRequest request;
    request.owner = call.request.owner;
    const char* field = body.Has("prompt") ? "prompt" : "input";
    const Json* prompt = body.Find(field);
    if (prompt == nullptr) {
      throw RequestError(400, "input is missing, expected a text or token ids", "input",
                         "missing_required_parameter");
    }
    request.prompt = ParseTokens(*prompt, field, *served);
    if (const Json* neutral = body.Find("neutral_prompt")) {
      request.calibrate = true;
      request.neutral = ParseTokens(*neutral, "neutral_prompt", *served);
    } else {
      request.neutral.is_text = true;
    }
    request.calibrate = body.Bool("calibrate", request.calibrate);
    if (body.Word("normalize", {"tokens", "none"}) == "none") request.norm = ChoiceNorm::kNone;
    ParseChoices(body, *served, request);
    RunChoose(served, std::move(request), call.reply, ChoiceList);
  });
}

}  // namespace linnet
