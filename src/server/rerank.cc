#include "server/rerank.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <string>
#include <utility>
#include <vector>

#include "models/reranker.h"
#include "server/embeddings.h"
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

// A job for each document, and perhaps others, which give each document a key to sort by.
class RankedBatch : public JobBatch {
 public:
  RankedBatch(std::shared_ptr<const ServedModel> model, RerankRequest asked,
              std::shared_ptr<HttpReply> to, size_t other_jobs = 0)
      : JobBatch(std::move(model), std::move(to), asked.documents.size() + other_jobs),
        request_(std::move(asked)),
        keys_(request_.documents.size()) {}

 protected:
  const RerankRequest& request() const { return request_; }
  // Written by the scheduler's thread only.
  std::vector<double>& keys() { return keys_; }
  void CountTokens(size_t tokens) { tokens_ += tokens; }  // besides those of prompts

  virtual const char* Scoring() const = 0;
  virtual double Relevance(double key) const = 0;  // 0 to 1
  virtual void BeforeAnswer() {}

  void Answer(const Usage& usage) override {
    BeforeAnswer();
    reply().CountTokens(tokens_);
    std::vector<size_t> order(keys_.size());
    std::iota(order.begin(), order.end(), size_t{0});
    std::stable_sort(order.begin(), order.end(),
                     [&](size_t a, size_t b) { return keys_[a] > keys_[b]; });
    OrderedJson results = OrderedJson::array();
    for (size_t rank = 0; rank < request_.top; ++rank) {
      const size_t index = order[rank];
      OrderedJson result = {{"index", index}, {"relevance_score", Relevance(keys_[index])}};
      if (request_.documents_back) result["document"] = {{"text", request_.documents[index]}};
      results.push_back(std::move(result));
    }
    const size_t total = usage.tokens + tokens_;
    reply().Send(200,
                 Dump(OrderedJson{{"id", NewId("rerank-")},
                                  {"object", "list"},
                                  {"model", served().name},
                                  {"scoring", Scoring()},
                                  {"results", std::move(results)},
                                  {"usage", {{"prompt_tokens", total}, {"total_tokens", total}}}}));
  }

 private:
  const RerankRequest request_;
  std::vector<double> keys_;
  size_t tokens_ = 0;
};

// By a language model: the mean log-probability of a token of the query after the document.
class RerankBatch : public RankedBatch {
 public:
  RerankBatch(std::shared_ptr<const ServedModel> model, RerankRequest asked,
              std::shared_ptr<HttpReply> to)
      : RankedBatch(std::move(model), std::move(asked), std::move(to)) {
    const Tokenizer& tokenizer = *served().tokenizer;
    jobs_.reserve(request().documents.size());
    for (const std::string& document : request().documents) {
      TokenizedText context{.text = document + kQuestion, .is_text = true};
      context.tokens = tokenizer.Encode(context.text);
      std::vector<int32_t> query = TokensAfter(tokenizer, context, " " + request().query);
      jobs_.push_back(ScoringJob(std::move(context.tokens), {std::move(query)}, request().owner));
    }
  }

 protected:
  Job JobOf(size_t index) override { return std::move(jobs_[index]); }
  void OnScore(size_t index, size_t /*continuation*/, const ContinuationScore& score) override {
    keys()[index] = score.logprob / static_cast<double>(score.tokens.size());
    CountTokens(score.tokens.size());
  }
  const char* Scoring() const override {
    return "likelihood of the query after the document, not calibrated";
  }
  double Relevance(double key) const override { return std::exp(key); }

 private:
  std::vector<Job> jobs_;  // moved away when they are queued
};

// By an embedding model's reranker, from the state after the document and the query. The state
// after the document is kept for other queries.
class StateRankBatch : public RankedBatch {
 public:
  StateRankBatch(std::shared_ptr<const ServedModel> model, RerankRequest asked,
                 std::shared_ptr<HttpReply> to)
      : RankedBatch(std::move(model), std::move(asked), std::move(to)) {
    query_ = served().embedder->TokensOf(Reranker::QueryText(request().query));
  }

 protected:
  Job JobOf(size_t index) override {
    Job job;
    job.prompt = served().tokenizer->Encode(Reranker::DocumentText(request().documents[index]));
    job.marks = {job.prompt.size()};
    job.prompt.insert(job.prompt.end(), query_.begin(), query_.end());
    job.state_at = job.prompt.size();
    job.text.max_tokens = 0;
    job.owner = request().owner;
    return job;
  }
  void OnPromptState(size_t index, const Snapshot& at) override {
    try {
      keys()[index] = served().rerank(at.state);
    } catch (const Error& error) {
      Fail(error);
    }
  }
  const char* Scoring() const override { return "probability by the reranker"; }
  double Relevance(double key) const override { return 1 / (1 + std::exp(-key)); }

 private:
  std::vector<int32_t> query_;  // and the end of a text
};

// By an embedding model alone: the cosine of the query's and the document's vectors.
class VectorRankBatch : public RankedBatch {
 public:
  VectorRankBatch(std::shared_ptr<const ServedModel> model, RerankRequest asked,
                  std::shared_ptr<HttpReply> to)
      : RankedBatch(std::move(model), std::move(asked), std::move(to), 1),
        vectors_(request().documents.size() + 1) {}

 protected:
  Job JobOf(size_t index) override {
    const auto& documents = request().documents;
    const std::string& text = index < documents.size() ? documents[index] : request().query;
    return EmbeddingJob(served(), served().embedder->TokensOf(text), request().owner);
  }
  void OnVector(size_t index, std::span<const float> pooled) override {
    vectors_[index] = EmbeddingOf(served(), pooled);
  }
  void BeforeAnswer() override {
    const std::vector<float>& query = vectors_.back();
    for (size_t i = 0; i < keys().size(); ++i) {
      keys()[i] = std::inner_product(query.begin(), query.end(), vectors_[i].begin(), 0.0);
    }
  }
  const char* Scoring() const override { return "(1 + cosine of the vectors) / 2"; }
  double Relevance(double key) const override { return std::clamp((1 + key) / 2, 0.0, 1.0); }

 private:
  std::vector<std::vector<float>> vectors_;  // of the documents and the query
};

bool IsEmbeddingModel(const ServedModel& served) {
  return served.embedder != nullptr &&
         served.embedder->model().config().purpose == Purpose::kEmbedding;
}

}  // namespace

void AddRerankRoutes(Router& router, std::shared_ptr<const ServedModels> models) {
  const RouteHandler handler = [models = std::move(models)](const RouteCall& call) {
    const Json json = ParseBody(call.request.body);
    const Fields body(json);
    const auto served = models->Find(body.String("model").value_or(""));
    RerankRequest request = ParseRerank(body);
    request.owner = call.request.owner;
    if (!IsEmbeddingModel(*served)) {
      std::make_shared<RerankBatch>(served, std::move(request), call.reply)->Start();
    } else if (served->rerank) {
      std::make_shared<StateRankBatch>(served, std::move(request), call.reply)->Start();
    } else {
      std::make_shared<VectorRankBatch>(served, std::move(request), call.reply)->Start();
    }
  };
  for (const char* path : {"/v1/rerank", "/v2/rerank", "/v1/reranking", "/rerank", "/reranking"}) {
    router.Add("POST", path, handler);
  }
}

}  // namespace linnet
