#include "server/embeddings.h"

#include <fmt/format.h>
#include <openssl/evp.h>

#include <cmath>
#include <cstring>
#include <iterator>
#include <mutex>
#include <utility>

#include "server/openai_errors.h"

namespace linnet {
namespace {

constexpr size_t kMaxInputs = 2048;  // OpenAI's limit
constexpr size_t kAtOnce = 32;       // jobs of one request in the scheduler

[[noreturn]] void RefuseInput(const std::string& name, const std::string& wanted) {
  throw RequestError(400, fmt::format("{} must be {}", name, wanted), name, "invalid_value");
}

std::vector<int32_t> TokensOf(const Json& list, const std::string& name, size_t vocab) {
  std::vector<int32_t> tokens;
  tokens.reserve(list.size());
  for (const Json& id : list) {
    // Some clients write 1.0 for 1.
    const double number = id.is_number() ? id.get<double>() : -1;
    if (!(number >= 0 && number < static_cast<double>(vocab) && number == std::floor(number))) {
      RefuseInput(name, fmt::format("token ids from 0 to {}", vocab - 1));
    }
    tokens.push_back(static_cast<int32_t>(number));
  }
  return tokens;
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
  if (input->front().is_number()) return {TokensOf(*input, "input", served.vocab)};
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
      inputs.push_back(TokensOf(entry, name, served.vocab));
    } else {
      RefuseInput(name, "a text or token ids, not empty");
    }
  }
  return inputs;
}

// The jobs of one request. Listeners and the scheduler's thread keep it alive.
class EmbeddingBatch : public std::enable_shared_from_this<EmbeddingBatch> {
 public:
  EmbeddingBatch(std::shared_ptr<const ServedModel> served, EmbeddingRequest request,
                 std::string owner, std::shared_ptr<HttpReply> reply)
      : served_(std::move(served)),
        request_(std::move(request)),
        owner_(std::move(owner)),
        reply_(std::move(reply)),
        jobs_(request_.inputs.size()),
        texts_(request_.inputs.size()) {}

  // Throws what the scheduler throws for the first input.
  void Start() {
    SubmitNext();
    for (size_t i = 1; i < kAtOnce; ++i) Continue();
    reply_->OnGone([weak = weak_from_this()] {
      if (const auto batch = weak.lock()) batch->Stop();
    });
  }

 private:
  class One : public Listener {
   public:
    One(std::shared_ptr<EmbeddingBatch> batch, size_t index)
        : batch_(std::move(batch)), index_(index) {}
    void OnPrompt(const PromptRead& read) override { batch_->OnTokens(read.tokens); }
    void OnEmbedding(std::span<const float> vector) override { batch_->OnVector(index_, vector); }
    void OnDone() override { batch_->OnInputDone(); }
    void OnError(const Error& error) override { batch_->Fail(error); }

   private:
    std::shared_ptr<EmbeddingBatch> batch_;
    size_t index_;
  };

  // Queues the next input, if there is one and the request has not ended.
  void SubmitNext() {
    size_t index = 0;
    {
      const std::lock_guard lock(mutex_);
      if (ended_ || next_ == request_.inputs.size()) return;
      index = next_++;
    }
    Job job;
    job.prompt = std::move(request_.inputs[index]);
    job.text.max_tokens = 0;
    job.embed = true;
    job.use_cache = false;  // all rows are needed
    job.owner = owner_;
    const uint64_t id =
        served_->submit(std::move(job), std::make_shared<One>(shared_from_this(), index));
    const std::lock_guard lock(mutex_);
    jobs_[index] = id;
    if (ended_) served_->cancel(id);
  }

  void Continue() {
    try {
      SubmitNext();
    } catch (const Error& error) {
      Fail(error);
    }
  }

  void OnTokens(size_t tokens) {
    const std::lock_guard lock(mutex_);
    tokens_ += tokens;
  }

  void OnVector(size_t index, std::span<const float> vector) {
    if (request_.dimensions && *request_.dimensions != vector.size()) {
      Fail(RequestError(
          400,
          fmt::format("dimensions is {}, this model has {}", *request_.dimensions, vector.size()),
          "dimensions", "invalid_value"));
      return;
    }
    texts_[index] = EmbeddingText(vector, request_.base64);
  }

  void OnInputDone() {
    bool last = false;
    {
      const std::lock_guard lock(mutex_);
      if (ended_) return;
      last = ++done_ == texts_.size();
      ended_ = last;
    }
    if (last) {
      Answer();
    } else {
      Continue();
    }
  }

  void Answer() {
    std::string body = R"({"object":"list","data":[)";
    for (size_t i = 0; i < texts_.size(); ++i) {
      body += fmt::format(R"({}{{"object":"embedding","index":{},"embedding":{}}})",
                          i == 0 ? "" : ",", i, texts_[i]);
    }
    body += fmt::format(R"(],"model":{},"usage":{{"prompt_tokens":{},"total_tokens":{}}}}})",
                        Dump(Json(served_->name)), tokens_, tokens_);
    reply_->CountTokens(tokens_);
    reply_->Send(200, std::move(body));
  }

  void Fail(const Error& error) {
    if (Stop()) SendError(*reply_, error);
  }

  // Cancels what runs. False if the request had ended.
  bool Stop() {
    std::vector<uint64_t> running;
    {
      const std::lock_guard lock(mutex_);
      if (ended_) return false;
      ended_ = true;
      for (const auto& job : jobs_) {
        if (job) running.push_back(*job);
      }
    }
    for (const uint64_t job : running) served_->cancel(job);
    return true;
  }

  const std::shared_ptr<const ServedModel> served_;
  EmbeddingRequest request_;  // an input is moved away when it is queued
  const std::string owner_;
  const std::shared_ptr<HttpReply> reply_;

  std::mutex mutex_;  // of the following
  std::vector<std::optional<uint64_t>> jobs_;
  size_t next_ = 0, done_ = 0, tokens_ = 0;
  bool ended_ = false;
  std::vector<std::string> texts_;  // written by the scheduler's thread only
};

}  // namespace

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
  fields.String("user");
  request.inputs = InputsOf(fields.Find("input"), *served);
  return request;
}

std::string EmbeddingText(std::span<const float> vector, bool base64) {
  double sum = 0;
  for (const float x : vector) sum += double{x} * x;
  const bool usable = sum > 0 && std::isfinite(sum);
  const auto scaled = [&, length = std::sqrt(sum)](float x) {
    return usable ? static_cast<float>(x / length) : 0.0f;
  };
  if (base64) {
    std::string bytes;
    bytes.reserve(vector.size() * sizeof(float));
    for (const float x : vector) {
      const float value = scaled(x);
      uint32_t bits = 0;
      std::memcpy(&bits, &value, sizeof bits);
      for (int shift = 0; shift < 32; shift += 8) bytes.push_back(static_cast<char>(bits >> shift));
    }
    std::string text(4 * ((bytes.size() + 2) / 3) + 1, '\0');  // with a final 0
    const int length = EVP_EncodeBlock(reinterpret_cast<unsigned char*>(text.data()),
                                       reinterpret_cast<const unsigned char*>(bytes.data()),
                                       static_cast<int>(bytes.size()));
    text.resize(static_cast<size_t>(length));
    return '"' + text + '"';
  }
  std::string text = "[";
  for (const float x : vector) {
    if (text.size() > 1) text += ',';
    fmt::format_to(std::back_inserter(text), "{}", scaled(x));
  }
  return text + ']';
}

void AddEmbeddingRoutes(Router& router, std::shared_ptr<const ServedModels> models) {
  router.Add("POST", "/v1/embeddings", [models](const RouteCall& call) {
    EmbeddingRequest request = ParseEmbedding(ParseBody(call.request.body), *models);
    const auto served = models->Find(request.model);
    std::make_shared<EmbeddingBatch>(served, std::move(request), call.request.owner, call.reply)
        ->Start();
  });
}

}  // namespace linnet
