#include "eval/perplexity.h"

#include <algorithm>
#include <cmath>
#include <numbers>
#include <vector>

namespace linnet {
namespace {

// The number of tokens whose logits are in memory at the same time.
constexpr size_t kTokensAtOnce = 128;

// -log softmax(logits)[target] in double precision: sums over a whole book must stay accurate.
double Surprise(std::span<const float> logits, int32_t target) {
  const double top = *std::max_element(logits.begin(), logits.end());
  double sum = 0;
  for (const float x : logits) sum += std::exp(static_cast<double>(x) - top);
  return top + std::log(sum) - static_cast<double>(logits[static_cast<size_t>(target)]);
}

// Runs `inputs`, starting from `state`, and adds the loss of each target.
class Scorer {
 public:
  Scorer(const Model& model, Workspace& workspace, const PerplexityOptions& options, size_t total)
      : model_(model),
        workspace_(workspace),
        options_(options),
        total_(total),
        vocab_(model.config().vocab),
        logits_(kTokensAtOnce * vocab_) {}

  // `position` is that of the first target.
  double Score(std::span<const int32_t> inputs, std::span<const int32_t> targets, size_t position,
               State& state) {
    double nats = 0;
    for (size_t begin = 0; begin < inputs.size(); begin += kTokensAtOnce) {
      const size_t len = std::min(kTokensAtOnce, inputs.size() - begin);
      model_.Forward({inputs.subspan(begin, len), &state, std::span(logits_).first(len * vocab_)},
                     workspace_);
      for (size_t i = 0; i < len; ++i) {
        const double loss =
            Surprise(std::span(logits_).subspan(i * vocab_, vocab_), targets[begin + i]);
        if (options_.token) options_.token(position + begin + i, loss);
        nats += loss;
      }
      done_ += len;
      if (options_.progress) options_.progress(done_, total_);
    }
    return nats;
  }

 private:
  const Model& model_;
  Workspace& workspace_;
  const PerplexityOptions& options_;
  size_t total_, done_ = 0, vocab_;
  std::vector<float> logits_;
};

}  // namespace

double TextScore::bits_per_byte() const {
  return nats / std::numbers::ln2 / static_cast<double>(bytes);
}
double TextScore::nats_per_token() const { return nats / static_cast<double>(tokens); }
double TextScore::perplexity() const { return std::exp(nats_per_token()); }

TextScore& TextScore::operator+=(const TextScore& other) {
  nats += other.nats;
  tokens += other.tokens;
  bytes += other.bytes;
  return *this;
}

TextScore ScoreText(const Model& model, const Tokenizer& tokenizer, Workspace& workspace,
                    std::string_view text, const PerplexityOptions& options) {
  const std::vector<int32_t> ids = tokenizer.Encode(text);
  Scorer scorer(model, workspace, options, ids.size());
  const State start = options.start != nullptr ? options.start->Clone() : model.NewState();
  State state = start.Clone();
  TextScore score;
  if (options.chunk == 0) {
    std::vector<int32_t> inputs = {0};
    inputs.insert(inputs.end(), ids.begin(), ids.end());
    if (!ids.empty()) inputs.pop_back();
    if (!ids.empty()) score = {scorer.Score(inputs, ids, 0, state), ids.size(), text.size()};
    return score;
  }
  for (size_t begin = 0; begin < ids.size(); begin += options.chunk) {
    const auto chunk = std::span(ids).subspan(begin, std::min(options.chunk, ids.size() - begin));
    if (chunk.size() < 2) continue;
    state = start.Clone();
    const auto targets = chunk.subspan(1);
    score.nats += scorer.Score(chunk.first(targets.size()), targets, 1, state);
    score.tokens += targets.size();
    for (const int32_t id : targets) score.bytes += tokenizer.Bytes(id).size();
  }
  return score;
}

}  // namespace linnet
