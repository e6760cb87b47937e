#include "engine/continuation_scorer.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include "engine/logprobs.h"
#include "kernels/rows.h"

namespace linnet {
namespace {

void AddToken(ContinuationScore& score, TokenInfo info, size_t likeliest) {
  score.logprob += static_cast<double>(info.logprob);
  score.greedy = score.greedy && static_cast<size_t>(info.id) == likeliest;
  score.tokens.push_back(std::move(info));
}

}  // namespace

ContinuationScorer::ContinuationScorer(const Model& model, const Job& job, const Snapshot& after)
    : job_(job),
      vocab_(model.config().vocab),
      places_(PlacesOf(job)),
      after_(after),
      scores_(job.continuations.size()) {}

void ContinuationScorer::Begin(const Tell& tell) {
  const auto& continuations = job_.continuations;
  std::vector<int32_t> firsts;
  for (const auto& tokens : continuations) {
    if (!tokens.empty()) firsts.push_back(tokens.front());
  }
  std::vector<TokenInfo> infos = InfosOf(firsts, after_.logits, job_.logprobs);
  const size_t likeliest = ArgMaxRow(after_.logits.data(), vocab_);
  auto info = infos.begin();
  for (size_t i = 0; i < continuations.size(); ++i) {
    if (!continuations[i].empty()) AddToken(scores_[i], std::move(*info++), likeliest);
    if (continuations[i].size() > 1) {
      longer_.push_back(i);
    } else {
      tell(i, scores_[i]);
    }
  }
}

const std::vector<int32_t>& ContinuationScorer::TokensOf(const Fork& fork) const {
  return job_.continuations[fork.index];
}

// The last token is only predicted.
size_t ContinuationScorer::RowsLeft(const Fork& fork) const {
  return TokensOf(fork).size() - scores_[fork.index].tokens.size();
}

size_t ContinuationScorer::room() const {
  size_t rows = 0;
  for (const Fork& fork : forks_) rows += RowsLeft(fork);
  const size_t fresh = std::min(places_ - forks_.size(), longer_.size() - next_);
  for (size_t i = next_; i < next_ + fresh; ++i) {
    rows += job_.continuations[longer_[i]].size() - 1;
  }
  return rows - planned_;
}

void ContinuationScorer::AddShares(std::span<float> logits, std::vector<Share>& shares) {
  auto fork = forks_.begin();
  for (size_t left = planned_; left > 0; ++fork) {
    if (fork == forks_.end()) {
      State state = after_.state.Clone();
      fork = forks_.insert(fork, {longer_[next_], Sequence({std::move(state), {}}, Sampler({}))});
      ++next_;
    }
    fork->in_pass = std::min(left, RowsLeft(*fork));
    left -= fork->in_pass;
    const size_t read = scores_[fork->index].tokens.size() - 1;
    fork->sequence.Feed(std::span(TokensOf(*fork)).subspan(read, fork->in_pass));
    shares.push_back({.sequence = &fork->sequence,
                      .logits = false,
                      .all_logits = logits.first(fork->in_pass * vocab_)});
    logits = logits.subspan(fork->in_pass * vocab_);
  }
}

std::optional<Error> ContinuationScorer::Take(std::span<const Share> shares, Workspace& workspace,
                                              const Tell& tell) {
  planned_ = 0;
  struct Row {
    size_t index;
    int32_t id;
    std::span<const float> logits;
    TokenInfo info{};
    size_t likeliest = 0;
  };
  std::vector<Row> rows;
  auto fork = forks_.begin();
  for (const Share& share : shares) {
    if (share.error) return share.error;
    const size_t known = scores_[fork->index].tokens.size();
    const size_t count = std::exchange(fork->in_pass, 0);
    for (size_t i = 0; i < count; ++i) {
      rows.push_back({.index = fork->index,
                      .id = TokensOf(*fork)[known + i],
                      .logits = share.all_logits.subspan(i * vocab_, vocab_)});
    }
    ++fork;
  }
  workspace.ForEach(rows.size(), [&](size_t i) {
    Row& row = rows[i];
    row.info = InfoOf(row.id, row.logits, job_.logprobs);
    row.likeliest = ArgMaxRow(row.logits.data(), vocab_);
  });
  for (Row& row : rows) AddToken(scores_[row.index], std::move(row.info), row.likeliest);
  for (auto at = forks_.begin(); at != forks_.end();) {
    if (RowsLeft(*at) > 0) {
      ++at;
      continue;
    }
    tell(at->index, scores_[at->index]);
    scores_[at->index] = {};
    at = forks_.erase(at);
  }
  return std::nullopt;
}

}  // namespace linnet
