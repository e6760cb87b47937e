#include "engine/embedder.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <list>
#include <numeric>
#include <utility>

#include "base/memory.h"
#include "linnet/error.h"

namespace linnet {
namespace {

constexpr Pooling kDefaultPooling = Pooling::kWeighted;

// A text that is being read.
struct PooledText {
  size_t index;
  std::span<const int32_t> tokens;
  State state;
  std::vector<double> sums;      // [poolings, C]
  std::vector<double> weight;    // [poolings]
  std::vector<float> weights{};  // of the tokens in the next pass, [poolings, tokens]
  size_t read = 0, planned = 0;
};

class TextPooler {
 public:
  TextPooler(const Model& model, Workspace& workspace, std::span<const std::vector<int32_t>> texts,
             std::span<const Pooling> poolings, const EmbedRun& run)
      : model_(model),
        workspace_(workspace),
        texts_(texts),
        poolings_(poolings),
        run_(run),
        rows_(std::max<size_t>(run.rows, 1)),
        order_(texts.size()) {
    // Long texts first, so that no pass at the end is of one alone.
    std::iota(order_.begin(), order_.end(), size_t{0});
    std::stable_sort(order_.begin(), order_.end(),
                     [&](size_t a, size_t b) { return texts_[a].size() > texts_[b].size(); });
    for (const auto& text : texts) total_ += text.size();
    const uint64_t bytes = run.state_bytes != 0 ? run.state_bytes : AvailableMemory() / 4;
    const size_t each = std::max<size_t>(model.NewState().bytes(), 1);
    most_ = static_cast<size_t>(std::clamp<uint64_t>(bytes / each, 1, rows_));
  }

  template <class F>
  void Run(const F& found) {
    while (Pass()) {
      std::erase_if(running_, [&](PooledText& text) {
        if (text.read < text.tokens.size()) return false;
        const size_t width = model_.config().width;
        for (size_t p = 0; p < poolings_.size(); ++p) {
          found(text.index, p,
                Pooled(std::span(text.sums).subspan(p * width, width), text.weight[p]));
        }
        return true;
      });
      if (run_.progress) run_.progress(done_, total_);
    }
  }

 private:
  // Each text has an equal part of a pass's rows, at least; what short ones leave goes to the
  // others.
  bool Pass() {
    size_t left = rows_;
    const size_t places = std::min(most_, std::max<size_t>(rows_ / kRows, 1));
    while (running_.size() < places && next_ < order_.size()) {
      const size_t index = order_[next_++];
      running_.push_back({.index = index,
                          .tokens = texts_[index],
                          .state = model_.NewState(),
                          .sums = std::vector<double>(poolings_.size() * model_.config().width),
                          .weight = std::vector<double>(poolings_.size())});
    }
    std::vector<Turn> turns;
    for (PooledText& text : running_) {
      text.planned = std::min({text.tokens.size() - text.read, left, kRows});
      left -= text.planned;
    }
    for (PooledText& text : running_) {
      const size_t more = std::min(text.tokens.size() - text.read - text.planned, left);
      text.planned += more;
      left -= more;
      if (text.planned > 0) turns.push_back(TurnOf(text));
    }
    if (turns.empty()) return false;
    model_.Forward(turns, workspace_);
    for (PooledText& text : running_) {
      text.read += text.planned;
      done_ += text.planned;
    }
    return true;
  }

  Turn TurnOf(PooledText& text) {
    text.weights.resize(poolings_.size() * text.planned);
    for (size_t p = 0; p < poolings_.size(); ++p) {
      const auto weights = std::span(text.weights).subspan(p * text.planned, text.planned);
      PoolingWeights(poolings_[p], text.tokens, EndToken(model_.config()), text.read, weights);
      for (const float weight : weights) text.weight[p] += double{weight};
    }
    return {.tokens = text.tokens.subspan(text.read, text.planned),
            .state = &text.state,
            .logits = {},
            .hidden_sum = text.sums,
            .hidden_weights = text.weights};
  }

  static constexpr size_t kRows = 16;  // of a text in a pass of many

  const Model& model_;
  Workspace& workspace_;
  const std::span<const std::vector<int32_t>> texts_;
  const std::span<const Pooling> poolings_;
  const EmbedRun& run_;
  const size_t rows_;
  std::vector<size_t> order_;
  size_t next_ = 0, most_ = 1, done_ = 0, total_ = 0;
  std::list<PooledText> running_;  // their states stay where they are
};

}  // namespace

Embedder::Embedder(const Model& model, std::shared_ptr<const Tokenizer> tokenizer,
                   const EmbedderOptions& options)
    : model_(model),
      tokenizer_(std::move(tokenizer)),
      use_(options.use.value_or(EmbeddingUse::kRetrieval)) {
  const auto refuse = [&](const std::string& what) {
    throw Error(ErrorKind::kBadInput, model.path().string() + ": " + what);
  };
  switch (model.config().purpose) {
    case Purpose::kReranker:
      refuse("is a reranker, which makes no vectors; it goes with an embedding model");
      break;
    case Purpose::kEmbedding:
      pooling_ = options.pooling.value_or(Pooling::kEnd);
      if (pooling_ != Pooling::kEnd) {
        refuse(fmt::format("was trained for the pooling '{}', not '{}'", Name(Pooling::kEnd),
                           Name(pooling_)));
      }
      heads_.emplace(model);
      if (!heads_->Has(use_)) refuse(fmt::format("has no head for {}", Name(use_)));
      break;
    case Purpose::kText:
      pooling_ = options.pooling.value_or(kDefaultPooling);
      if (pooling_ == Pooling::kEnd) {
        refuse("was not trained to end texts with a token; give another pooling");
      }
      if (options.use) {
        refuse(fmt::format("has one vector for all uses, none for {} alone", Name(use_)));
      }
      break;
  }
}

std::string Embedder::Key() const {
  return heads_ ? fmt::format("{} {}", Name(pooling_), Name(use_)) : Name(pooling_);
}

std::vector<int32_t> Embedder::TokensOf(std::string_view text) const {
  return Ended(tokenizer_->Encode(text));
}

std::vector<int32_t> Embedder::Ended(std::vector<int32_t> tokens) const {
  const int32_t end = EndToken(model_.config());
  if (heads_ && (tokens.empty() || tokens.back() != end)) tokens.push_back(end);
  return tokens;
}

std::vector<float> Embedder::Finish(std::span<const float> pooled) const {
  return Finish(pooled, use_);
}

std::vector<float> Embedder::Finish(std::span<const float> pooled, EmbeddingUse use) const {
  return heads_ ? Normalized(heads_->Apply(use, pooled)) : Normalized(pooled);
}

void EmbedTexts(const Embedder& embedder, Workspace& workspace,
                std::span<const std::vector<int32_t>> texts, const EmbedRun& run) {
  const Pooling pooling = embedder.pooling();
  TextPooler(embedder.model(), workspace, texts, std::span(&pooling, 1), run)
      .Run([&](size_t index, size_t /*pooling*/, const std::vector<float>& pooled) {
        const auto finite = [](float x) { return std::isfinite(x); };
        if (!std::all_of(pooled.begin(), pooled.end(), finite)) {
          throw Error(ErrorKind::kBadModel,
                      embedder.model().path().string() +
                          ": its hidden states are not finite: the weights hold infinities or "
                          "NaN, or activations overflow");
        }
        run.found(index, embedder.Finish(pooled));
      });
}

void PoolTexts(const Model& model, Workspace& workspace,
               std::span<const std::vector<int32_t>> texts, std::span<const Pooling> poolings,
               const EmbedRun& run,
               const std::function<void(size_t, size_t, std::vector<float>)>& found) {
  TextPooler(model, workspace, texts, poolings, run)
      .Run([&](size_t index, size_t pooling, const std::vector<float>& pooled) {
        found(index, pooling, Normalized(pooled));
      });
}

}  // namespace linnet
