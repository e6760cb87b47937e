// Ai00's chooses, states, embeds and what it tells of models.
#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "models/state_layouts.h"
#include "server/ai00.h"
#include "server/ai00_fields.h"
#include "server/choose.h"
#include "server/embeddings.h"
#include "server/job_batch.h"
#include "server/openai_answer.h"
#include "server/openai_errors.h"
#include "text/utf8.h"

namespace linnet {
namespace {

constexpr int64_t kChunkTokens = 510;
constexpr size_t kMostChunks = 2048;

// Ai00's perplexity: the mean negative log-probability of a token, less that after an empty prompt
// if it is calibrated.
OrderedJson Ai00Choices(const ServedModel& served, const ChooseRequest& request,
                        const ChooseResult& result) {
  OrderedJson data = OrderedJson::array();
  for (size_t rank = 0; rank < result.ranked.size(); ++rank) {
    const RankedChoice& choice = result.ranked[rank];
    data.push_back({{"object", "choice"},
                    {"index", choice.index},
                    {"rank", rank},
                    {"choice", request.choices[choice.index].text},
                    {"perplexity", -choice.score}});
  }
  return {{"object", "list"}, {"model", served.name}, {"data", std::move(data)}};
}

void Chooses(const ServedModels& models, const RouteCall& call) {
  const Json json = ParseBody(call.request.body);
  const Fields body(json);
  const auto served = models.Find(body.String("model").value_or(""));
  ChooseRequest request;
  request.owner = call.request.owner;
  request.prompt = {.text = Ai00Text(body, "input"), .is_text = true};
  request.prompt.tokens = served->tokenizer->Encode(request.prompt.text);
  request.neutral.is_text = true;
  request.calibrate = body.Bool("calibrate", false);
  request.start = ParseAi00State(body, *served);
  ParseChoices(body, *served, request);
  RunChoose(served, std::move(request), call.reply, Ai00Choices);
}

class StateBatch : public JobBatch {
 public:
  StateBatch(std::shared_ptr<const ServedModel> served, Job job, std::shared_ptr<HttpReply> reply)
      : JobBatch(std::move(served), std::move(reply), 1), job_(std::move(job)) {}

 protected:
  Job JobOf(size_t /*index*/) override { return std::move(job_); }

  void OnPromptState(size_t /*index*/, const Snapshot& at) override {
    try {
      tensor_ = ToWebRwkv(at.state);
    } catch (const Error& error) {
      Fail(error);
    }
  }

  void Answer(const Usage& usage) override {
    std::string body = fmt::format(
        R"({{"object":"list","model":{},"data":[{{"object":"states","index":0,"data":[)",
        Dump(Json(served().name)));
    for (size_t i = 0; i < tensor_.values.size(); ++i) {
      fmt::format_to(std::back_inserter(body), "{}{}", i == 0 ? "" : ",", tensor_.values[i]);
    }
    fmt::format_to(
        std::back_inserter(body),
        R"(],"shape":[{},{},{},{}]}}],"usage":{{"prompt":{},"completion":0,"total":{}}}}})",
        tensor_.shape[0], tensor_.shape[1], tensor_.shape[2], tensor_.shape[3], usage.tokens,
        usage.tokens);
    reply().Send(200, std::move(body));
  }

 private:
  Job job_;
  WebRwkvTensor tensor_;
};

void States(const ServedModels& models, const RouteCall& call) {
  const Json json = ParseBody(call.request.body);
  const Fields body(json);
  const auto served = models.Find(body.String("model").value_or(""));
  Job job;
  job.prompt = served->tokenizer->Encode(Ai00Text(body, "input"));
  job.start = ParseAi00State(body, *served);
  job.text.max_tokens = 0;
  job.state_at = std::max<size_t>(job.prompt.size(), 1);  // an empty one reads token 0
  job.owner = call.request.owner;
  std::make_shared<StateBatch>(served, std::move(job), call.reply)->Start();
}

// Parts of at most `most` tokens that end at a line or a word where one ends in the second half.
std::vector<std::string> ChunksOf(const Tokenizer& tokenizer, const std::string& text,
                                  size_t most) {
  std::vector<std::string> chunks;
  const std::vector<int32_t> tokens = tokenizer.Encode(text);
  const auto starts_with = [&](size_t i, std::string_view set) {
    const std::string_view bytes = tokenizer.Bytes(tokens[i]);
    return !bytes.empty() && set.find(bytes.front()) != set.npos;
  };
  for (size_t begin = 0; begin < tokens.size();) {
    size_t end = std::min(begin + most, tokens.size());
    if (end < tokens.size()) {
      size_t cut = 0;
      for (const std::string_view set : {"\n", " \n"}) {
        for (size_t i = end; cut == 0 && i > begin + most / 2; --i) {
          if (starts_with(i, set)) cut = i;
        }
      }
      if (cut > begin) end = cut;
    }
    chunks.push_back(ValidUtf8(tokenizer.Decode(std::span(tokens).subspan(begin, end - begin))));
    if (chunks.size() > kMostChunks) {
      throw RequestError(413, fmt::format("input has more than {} chunks", kMostChunks), "input",
                         "too_large");
    }
    begin = end;
  }
  return chunks;
}

class EmbedBatch : public JobBatch {
 public:
  EmbedBatch(std::shared_ptr<const ServedModel> served, std::vector<std::string> chunks,
             std::vector<Job> jobs, std::shared_ptr<HttpReply> reply)
      : JobBatch(std::move(served), std::move(reply), chunks.size()),
        chunks_(std::move(chunks)),
        jobs_(std::move(jobs)),
        vectors_(chunks_.size()) {}

 protected:
  Job JobOf(size_t index) override { return std::move(jobs_[index]); }

  void OnVector(size_t index, std::span<const float> vector) override {
    vectors_[index] = EmbeddingText(EmbeddingOf(served(), vector), false);
  }

  void Answer(const Usage& /*usage*/) override {
    std::string body = fmt::format(
        R"({{"object":"embeds","model":{},"data":[{{"object":"embed","index":0,"chunks":[)",
        Dump(Json(served().name)));
    for (size_t i = 0; i < chunks_.size(); ++i) {
      // The field has had both names.
      fmt::format_to(std::back_inserter(body), R"({}{{"chunk":{},"embed":[{}],"embeds":[{}]}})",
                     i == 0 ? "" : ",", Dump(Json(chunks_[i])), vectors_[i], vectors_[i]);
    }
    reply().Send(200, body + "]}]}");
  }

 private:
  const std::vector<std::string> chunks_;
  std::vector<Job> jobs_;             // moved away when they are queued
  std::vector<std::string> vectors_;  // written by the scheduler's thread only
};

void Embeds(const ServedModels& models, const RouteCall& call) {
  const Json json = ParseBody(call.request.body);
  const Fields body(json);
  const auto served = models.Find(body.String("model").value_or(""));
  const std::string input = body.RequiredString("input");
  if (input.empty()) {
    throw RequestError(400, "input is empty, expected a text", "input", "invalid_value");
  }
  const auto most = body.Integer("max_tokens", 1, 1 << 20).value_or(kChunkTokens);
  const std::string prefix = body.String("prefix").value_or("query:");
  std::vector<std::string> chunks = ChunksOf(
      *served->tokenizer, input, static_cast<size_t>(std::clamp<int64_t>(most, 1, kChunkTokens)));
  std::vector<Job> jobs;
  jobs.reserve(chunks.size());
  for (const std::string& chunk : chunks) {
    jobs.push_back(
        EmbeddingJob(*served, served->tokenizer->Encode(prefix + chunk), call.request.owner));
  }
  std::make_shared<EmbedBatch>(served, std::move(chunks), std::move(jobs), call.reply)->Start();
}

OrderedJson InfoJson(const ServedModel& served) {
  OrderedJson model = {{"version", ""}, {"num_vocab", served.vocab}};
  if (served.model != nullptr) {
    const Config& config = served.model->config();
    model["version"] = std::string("V") + Name(config.generation);
    model["num_layer"] = config.layers;
    model["num_emb"] = config.width;
    model["num_hidden"] = config.ffn;
    model["num_head"] = config.heads;
  }
  return {{"reload",
           {{"model_path", served.name},
            {"lora", OrderedJson::array()},
            {"state", OrderedJson::array()},
            {"max_batch", served.load ? served.load().places : 0}}},
          {"model", std::move(model)},
          {"states", OrderedJson::array()}};
}

}  // namespace

void AddAi00Others(Router& router, std::shared_ptr<const ServedModels> models) {
  const auto add = [&](const char* method, const std::string& path, auto handler) {
    router.Add(method, path, [models, handler](const RouteCall& call) { handler(*models, call); });
  };
  const auto list = [](const ServedModels& all, const RouteCall& call) {
    OrderedJson data = OrderedJson::array();
    for (const auto& served : all.all()) {
      data.push_back({{"object", "models"}, {"id", served->name}});
    }
    call.reply->Send(200, Dump(OrderedJson{{"data", std::move(data)}}));
  };
  for (const std::string base : {"/api/oai", "/api/oai/v1"}) {
    add("POST", base + "/chooses", Chooses);
    add("POST", base + "/states", States);
    add("POST", base + "/embeds", Embeds);
    add("GET", base + "/models", list);
  }
  add("GET", "/api/models/info", [](const ServedModels& all, const RouteCall& call) {
    call.reply->Send(200, Dump(InfoJson(*all.Find(""))));
  });
  // One event; browsers ask again by themselves when a stream has ended.
  add("GET", "/api/models/state", [](const ServedModels& all, const RouteCall& call) {
    EventStream stream(call.reply);
    stream.Write(InfoJson(*all.Find("")));
    stream.End();
  });
  add("GET", "/api/adapters",
      [](const ServedModels&, const RouteCall& call) { call.reply->Send(200, R"(["CPU"])"); });
}

}  // namespace linnet
