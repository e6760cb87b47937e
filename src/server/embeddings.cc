#include "server/embeddings.h"

#include <fmt/format.h>

#include <cstring>
#include <iterator>
#include <utility>

#include "base/base64.h"
#include "server/error_forms.h"
#include "server/job_batch.h"
#include "server/openai_errors.h"
#include "server/token_fields.h"

namespace linnet {
namespace {

constexpr size_t kMaxInputs = 2048;  // OpenAI's limit

[[noreturn]] void RefuseInput(const std::string& name, const std::string& wanted) {
  throw RequestError(400, fmt::format("{} must be {}", name, wanted), name, "invalid_value");
}

std::vector<int32_t> EncodeInput(const Json& text, const std::string& name,
                                 const ServedModel& served) {
  const auto& value = text.get_ref<const std::string&>();
  if (value.empty()) RefuseInput(name, "a text that is not empty");
  return served.tokenizer->Encode(value);
}

std::vector<std::vector<int32_t>> InputsOf(const Json* input, const ServedModel& served) {
  constexpr const char* kWanted = "a text, token ids, or a list of either";
  if (input == nullptr) {
    throw RequestError(400, fmt::format("input is missing: {}", kWanted), "input",
                       "missing_required_parameter");
  }
  if (input->is_string()) return {EncodeInput(*input, "input", served)};
  if (!input->is_array() || input->empty()) RefuseInput("input", kWanted);
  if (input->front().is_number()) return {ParseTokenIds(*input, "input", served.vocab)};
  if (input->size() > kMaxInputs) {
    throw RequestError(
        400, fmt::format("input has {} entries, expected at most {}", input->size(), kMaxInputs),
        "input", "array_above_max_length");
  }
  std::vector<std::vector<int32_t>> inputs;
  inputs.reserve(input->size());
  for (size_t i = 0; i < input->size(); ++i) {
    const Json& entry = (*input)[i];
    const std::string name = fmt::format("input[{}]", i);
    if (entry.is_string()) {
      inputs.push_back(EncodeInput(entry, name, served));
    } else if (entry.is_array() && !entry.empty()) {
      inputs.push_back(ParseTokenIds(entry, name, served.vocab));
    } else {
      RefuseInput(name, "a text or token ids, not empty");
    }
  }
  return inputs;
}

class EmbeddingBatch : public JobBatch {
 public:
  EmbeddingBatch(std::shared_ptr<const ServedModel> served, EmbeddingRequest request,
                 const RouteCall& call, EmbeddingAnswer answer)
      : JobBatch(std::move(served), call.reply, request.inputs.size()),
        request_(std::move(request)),
        owner_(call.request.owner),
        answer_(std::move(answer)),
        texts_(request_.inputs.size()) {
    asked_.id = call.request.id;
    asked_.path = call.request.path;
  }

 protected:
  Job JobOf(size_t index) override {
    return EmbeddingJob(served(), std::move(request_.inputs[index]), owner_);
  }

  void OnVector(size_t index, std::span<const float> vector) override {
    if (request_.dimensions && *request_.dimensions != vector.size()) {
      Fail(RequestError(
          400,
          fmt::format("dimensions is {}, this model has {}", *request_.dimensions, vector.size()),
          "dimensions", "invalid_value"));
      return;
    }
    try {
      texts_[index] = EmbeddingText(EmbeddingOf(served(), vector, request_.use), request_.base64);
    } catch (const Error& error) {
      Fail(error);
    }
  }

  void Answer(const Usage& usage) override { reply().Send(200, answer_(texts_, usage.tokens)); }
  void SendFailure(const Error& error) override { SendErrorTo(asked_, reply(), error); }

 private:
  EmbeddingRequest request_;  // an input is moved away when it is queued
  const std::string owner_;
  const EmbeddingAnswer answer_;
  HttpRequest asked_;               // its id and path, for errors
  std::vector<std::string> texts_;  // written by the scheduler's thread only
};

}  // namespace

Job EmbeddingJob(const ServedModel& served, std::vector<int32_t> tokens, const std::string& owner) {
  Job job;
  job.prompt = std::move(tokens);
  if (served.embedder != nullptr) {
    job.prompt = served.embedder->Ended(std::move(job.prompt));
    job.pooling = served.embedder->pooling();
  }
  job.text.max_tokens = 0;
  job.embed = true;
  job.use_cache = false;  // all rows are needed
  job.owner = owner;
  return job;
}

EmbeddingRequest ParseEmbedding(const Json& body, const ServedModels& models) {
  const Fields fields(body);
  EmbeddingRequest request;
  request.model = fields.String("model").value_or("");
  const auto served = models.Find(request.model);
  request.base64 = fields.Word("encoding_format", {"float", "base64"}) == "base64";
  if (const auto size = fields.Integer("dimensions", 1, 1 << 20)) {
    request.dimensions = static_cast<size_t>(*size);
    const size_t width =
        served->model == nullptr ? *request.dimensions : served->model->config().width;
    if (*request.dimensions != width) {
      throw RequestError(
          400, fmt::format("dimensions is {}, this model has {}", *request.dimensions, width),
          "dimensions", "invalid_value");
    }
  }
  if (const auto use = fields.Word("use", {"retrieval", "similarity", "classification"})) {
    request.use = ParseEmbeddingUse(*use);
  }
  fields.String("user");
  request.inputs = InputsOf(fields.Find("input"), *served);
  return request;
}

std::vector<float> EmbeddingOf(const ServedModel& served, std::span<const float> pooled,
                               std::optional<EmbeddingUse> use) {
  if (served.embedder == nullptr) return Normalized(pooled);
  return use ? served.embedder->Finish(pooled, *use) : served.embedder->Finish(pooled);
}

std::string EmbeddingText(std::span<const float> vector, bool base64) {
  if (base64) {
    std::string bytes;
    bytes.reserve(vector.size() * sizeof(float));
    for (const float value : vector) {
      uint32_t bits = 0;
      std::memcpy(&bits, &value, sizeof bits);
      for (int shift = 0; shift < 32; shift += 8) bytes.push_back(static_cast<char>(bits >> shift));
    }
    return '"' + Base64(std::as_bytes(std::span(bytes))) + '"';
  }
  std::string text = "[";
  for (const float x : vector) {
    if (text.size() > 1) text += ',';
    fmt::format_to(std::back_inserter(text), "{}", x);
  }
  return text + ']';
}

void RunEmbeddings(std::shared_ptr<const ServedModel> served, EmbeddingRequest request,
                   const RouteCall& call, EmbeddingAnswer answer) {
  std::make_shared<EmbeddingBatch>(std::move(served), std::move(request), call, std::move(answer))
      ->Start();
}

void AddEmbeddingRoutes(Router& router, std::shared_ptr<const ServedModels> models) {
  router.Add("POST", "/v1/embeddings", [models](const RouteCall& call) {
    EmbeddingRequest request = ParseEmbedding(ParseBody(call.request.body), *models);
    const auto served = models->Find(request.model);
    const auto answer = [served](std::span<const std::string> vectors, size_t tokens) {
      std::string body = R"({"object":"list","data":[)";
      for (size_t i = 0; i < vectors.size(); ++i) {
        body += fmt::format(R"({}{{"object":"embedding","index":{},"embedding":{}}})",
                            i == 0 ? "" : ",", i, vectors[i]);
      }
      return body +
             fmt::format(R"(],"model":{},"usage":{{"prompt_tokens":{},"total_tokens":{}}}}})",
                         Dump(Json(served->name)), tokens, tokens);
    };
    RunEmbeddings(served, std::move(request), call, answer);
  });
}

}  // namespace linnet
