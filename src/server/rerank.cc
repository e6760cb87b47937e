#include "server/rerank.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <string>
#include <utility>
#include <vector>

#include "server/job_batch.h"
#include "server/json_fields.h"
#include "server/new_id.h"
#include "server/openai_errors.h"
#include "server/scoring.h"
#include "server/token_fields.h"

namespace linnet {
namespace {

constexpr size_t kMostDocuments = 2048;
constexpr const char* kQuestion = "\n\nQuestion:";

struct RerankRequest {
  std::string query{};
  std::vector<std::string> documents{};
  size_t top = 0;  // results
  bool documents_back = false;
  std::string owner{};
};

std::string DocumentText(const Json& document, const std::string& name) {
  if (document.is_string()) return document.get<std::string>();
  return Fields(document, name).RequiredString("text");
}

RerankRequest ParseRerank(const Fields& body) {
  RerankRequest request;
  request.query = body.RequiredString("query");
  if (request.query.empty()) {
    throw RequestError(400, "query is empty, expected a text", "query", "invalid_value");
  }
  const Json* documents = body.List("documents", kMostDocuments);
  if (documents == nullptr || documents->empty()) {
    throw RequestError(400, "documents is empty or missing, expected a list of texts", "documents",
                       "missing_required_parameter");
  }
  request.documents.reserve(documents->size());
  for (size_t i = 0; i < documents->size(); ++i) {
    request.documents.push_back(DocumentText((*documents)[i], body.NameOf("documents", i)));
  }
  const auto count = static_cast<int64_t>(request.documents.size());
  const auto top = body.Integer("top_n", 1, std::numeric_limits<int32_t>::max()).value_or(count);
  request.top = static_cast<size_t>(std::min(top, count));
  request.documents_back = body.Bool("return_documents", false);
  return request;
}

class RerankBatch : public JobBatch {
 public:
  RerankBatch(std::shared_ptr<const ServedModel> model, RerankRequest request,
              std::shared_ptr<HttpReply> to)
      : JobBatch(std::move(model), std::move(to), request.documents.size()),
        request_(std::move(request)),
        logprobs_(request_.documents.size()) {
    const Tokenizer& tokenizer = *served().tokenizer;
    jobs_.reserve(request_.documents.size());
    for (const std::string& document : request_.documents) {
      TokenizedText context{.text = document + kQuestion, .is_text = true};
      context.tokens = tokenizer.Encode(context.text);
      std::vector<int32_t> query = TokensAfter(tokenizer, context, " " + request_.query);
      jobs_.push_back(ScoringJob(std::move(context.tokens), {std::move(query)}, request_.owner));
    }
  }

 protected:
  Job JobOf(size_t index) override { return std::move(jobs_[index]); }

  void OnScore(size_t index, size_t /*continuation*/, const ContinuationScore& score) override {
    logprobs_[index] = score.logprob / static_cast<double>(score.tokens.size());
    tokens_ += score.tokens.size();
  }

  void Answer(const Usage& usage) override {
    reply().CountTokens(tokens_);
    std::vector<size_t> order(logprobs_.size());
    std::iota(order.begin(), order.end(), size_t{0});
    std::stable_sort(order.begin(), order.end(),
                     [&](size_t a, size_t b) { return logprobs_[a] > logprobs_[b]; });
    OrderedJson results = OrderedJson::array();
    for (size_t rank = 0; rank < request_.top; ++rank) {
      const size_t index = order[rank];
      OrderedJson result = {{"index", index}, {"relevance_score", std::exp(logprobs_[index])}};
      if (request_.documents_back) result["document"] = {{"text", request_.documents[index]}};
      results.push_back(std::move(result));
    }
    const size_t total = usage.tokens + tokens_;
    reply().Send(200, Dump(OrderedJson{
                          {"id", NewId("rerank-")},
                          {"object", "list"},
                          {"model", served().name},
                          {"scoring", "likelihood of the query after the document, not calibrated"},
                          {"results", std::move(results)},
                          {"usage", {{"prompt_tokens", total}, {"total_tokens", total}}}}));
  }

 private:
  const RerankRequest request_;
  std::vector<Job> jobs_;  // moved away when they are queued
  // Written by the scheduler's thread only.
  std::vector<double> logprobs_;  // the mean over the query's tokens
  size_t tokens_ = 0;
};

}  // namespace

void AddRerankRoutes(Router& router, std::shared_ptr<const ServedModels> models) {
  const RouteHandler handler = [models = std::move(models)](const RouteCall& call) {
    const Json json = ParseBody(call.request.body);
    const Fields body(json);
    const auto served = models->Find(body.String("model").value_or(""));
    RerankRequest request = ParseRerank(body);
    request.owner = call.request.owner;
    std::make_shared<RerankBatch>(served, std::move(request), call.reply)->Start();
  };
  for (const char* path : {"/v1/rerank", "/v2/rerank", "/v1/reranking", "/rerank", "/reranking"}) {
    router.Add("POST", path, handler);
  }
}

}  // namespace linnet
