#include "server/score.h"

#include <fmt/format.h>

#include <string>
#include <utility>
#include <vector>

#include "server/job_batch.h"
#include "server/json_fields.h"
#include "server/openai_answer.h"
#include "server/openai_errors.h"
#include "server/scoring.h"
#include "server/token_fields.h"

namespace linnet {
namespace {

constexpr size_t kMostScored = 4096;
constexpr int64_t kMostTopScored = 20;

struct ScoreRequest {
  std::vector<int32_t> context{};
  std::vector<std::vector<int32_t>> continuations{};
  size_t logprobs = 0;
  bool use_cache = true;
};

// `context` or, as other routes call it, `prompt`.
TokenizedText ParseContext(const Fields& body, const ServedModel& served) {
  for (const char* name : {"context", "prompt"}) {
    if (const Json* context = body.Find(name)) return ParseTokens(*context, name, served);
  }
  throw RequestError(400, "context is missing, expected a text or token ids", "context",
                     "missing_required_parameter");
}

ScoreRequest ParseScore(const Fields& body, const ServedModel& served) {
  ScoreRequest request;
  const TokenizedText context = ParseContext(body, served);
  const Json* list = body.Find("continuations");
  if (list == nullptr || !list->is_array() || list->empty() || list->size() > kMostScored) {
    throw RequestError(400,
                       fmt::format("continuations must be a list of 1 to {} texts or lists of "
                                   "token ids",
                                   kMostScored),
                       "continuations",
                       list == nullptr ? "missing_required_parameter" : "invalid_value");
  }
  request.continuations.reserve(list->size());
  for (size_t i = 0; i < list->size(); ++i) {
    request.continuations.push_back(
        ParseTokensAfter(context, (*list)[i], body.NameOf("continuations", i), served).tokens);
  }
  request.context = context.tokens;
  request.logprobs =
      static_cast<size_t>(body.Integer("top_logprobs", 0, kMostTopScored).value_or(0));
  request.use_cache = !body.Bool("no_cache", false);
  return request;
}

class ScoreBatch : public JobBatch {
 public:
  ScoreBatch(std::shared_ptr<const ServedModel> served, ScoreRequest request, std::string owner,
             std::shared_ptr<HttpReply> reply)
      : JobBatch(std::move(served), std::move(reply), 1),
        request_(std::move(request)),
        owner_(std::move(owner)),
        scores_(request_.continuations.size()) {}

 protected:
  Job JobOf(size_t /*index*/) override {
    Job job = ScoringJob(std::move(request_.context), std::move(request_.continuations), owner_);
    job.logprobs = request_.logprobs;
    job.use_cache = request_.use_cache;
    return job;
  }

  void OnScore(size_t /*index*/, size_t continuation, const ContinuationScore& score) override {
    OrderedJson tokens = OrderedJson::array(), values = OrderedJson::array(),
                tops = OrderedJson::array();
    size_t bytes = 0;
    for (const TokenInfo& token : score.tokens) {
      tokens.push_back(token.id);
      values.push_back(token.logprob);
      bytes += served().tokenizer->Bytes(token.id).size();
      if (request_.logprobs == 0) continue;
      OrderedJson top = LogprobJson(token, *served().tokenizer)["top_logprobs"];
      for (size_t i = 0; i < token.top.size(); ++i) top[i]["id"] = token.top[i].first;
      tops.push_back(std::move(top));
    }
    tokens_ += score.tokens.size();
    OrderedJson& data = scores_[continuation];
    data = {{"object", "score"},
            {"index", continuation},
            {"logprob", score.logprob},
            {"is_greedy", score.greedy},
            {"bytes", bytes},
            {"tokens", std::move(tokens)},
            {"token_logprobs", std::move(values)}};
    if (request_.logprobs > 0) data["top_logprobs"] = std::move(tops);
  }

  void Answer(const Usage& usage) override {
    ChatUsage counted;
    counted.prompt_tokens = usage.tokens + tokens_;
    counted.cached_tokens = usage.cached;
    reply().CountTokens(tokens_);
    OrderedJson data = OrderedJson::array();
    for (OrderedJson& score : scores_) data.push_back(std::move(score));
    reply().Send(200, Dump(OrderedJson{{"object", "list"},
                                       {"model", served().name},
                                       {"data", std::move(data)},
                                       {"usage", UsageJson(counted)}}));
  }

 private:
  ScoreRequest request_;
  const std::string owner_;
  // Written by the scheduler's thread only.
  std::vector<OrderedJson> scores_;
  size_t tokens_ = 0;
};

}  // namespace

void AddScoreRoutes(Router& router, std::shared_ptr<const ServedModels> models) {
  router.Add("POST", "/v1/score", [models = std::move(models)](const RouteCall& call) {
    const Json json = ParseBody(call.request.body);
    const Fields body(json);
    const auto served = models->Find(body.String("model").value_or(""));
    std::make_shared<ScoreBatch>(served, ParseScore(body, *served), call.request.owner, call.reply)
        ->Start();
  });
}

}  // namespace linnet
