#include "eval/scoring.h"

#include <fmt/format.h>

#include <algorithm>
#include <memory>
#include <numeric>
#include <optional>
#include <utility>

#include "base/memory.h"
#include "eval/python_text.h"
#include "kernels/rows.h"
#include "linnet/error.h"

namespace linnet {
namespace {

// Tokens that the last token of a request is predicted from: all but the last.
std::span<const int32_t> Inputs(const TokenRequest& request) {
  return std::span(request.tokens).first(request.tokens.size() - 1);
}

// A run of inputs [begin, end) that the requests order[first, last) have in common. Logits are
// wanted of all its rows, of the last, or of none.
struct ScoringNode {
  size_t first = 0, last = 0, begin = 0, end = 0;
  enum class Logits : uint8_t { kNone, kLast, kAll } logits = Logits::kNone;
  std::vector<size_t> children{};
};

// The tree of the inputs of all requests.
class ScoringTree {
 public:
  explicit ScoringTree(std::span<const TokenRequest> requests)
      : requests_(requests), order_(requests.size()) {
    std::iota(order_.begin(), order_.end(), size_t{0});
    std::stable_sort(order_.begin(), order_.end(), [&](size_t a, size_t b) {
      const auto x = Inputs(requests_[a]), y = Inputs(requests_[b]);
      return std::lexicographical_compare(x.begin(), x.end(), y.begin(), y.end());
    });
    Grow();
  }

  const std::vector<ScoringNode>& nodes() const { return nodes_; }
  const std::vector<size_t>& roots() const { return roots_; }
  const TokenRequest& request(size_t place) const { return requests_[order_[place]]; }
  size_t index(size_t place) const { return order_[place]; }
  std::span<const int32_t> tokens(const ScoringNode& node) const {
    return Inputs(request(node.first)).subspan(node.begin, node.end - node.begin);
  }

 private:
  struct Range {
    size_t first, last, depth;
    size_t parent;  // SIZE_MAX: none
  };

  void Grow() {
    std::vector<Range> ranges;
    Divide(0, order_.size(), 0, SIZE_MAX, ranges);
    while (!ranges.empty()) {
      const Range range = ranges.back();
      ranges.pop_back();
      const auto low = Inputs(request(range.first)), high = Inputs(request(range.last - 1));
      size_t common = range.depth;
      while (common < std::min(low.size(), high.size()) && low[common] == high[common]) ++common;
      // Rows from `cut` on predict a scored token of some request.
      size_t cut = SIZE_MAX;
      for (size_t i = range.first; i < range.last; ++i) cut = std::min(cut, request(i).scored - 1);
      using Logits = ScoringNode::Logits;
      size_t parent = range.parent, begin = range.depth;
      if (cut < common && cut >= begin) {
        parent = Append({range.first, range.last, begin, cut + 1, Logits::kLast}, parent);
        begin = cut + 1;
      }
      if (begin < common) {
        const Logits logits = cut < common ? Logits::kAll : Logits::kNone;
        parent = Append({range.first, range.last, begin, common, logits}, parent);
      }
      Divide(range.first, range.last, common, parent, ranges);
    }
  }

  // Ranges of requests that have the same input at `depth`, without those that end there.
  void Divide(size_t first, size_t last, size_t depth, size_t parent,
              std::vector<Range>& ranges) const {
    const auto input = [&](size_t i) { return Inputs(request(i))[depth]; };
    while (first < last && Inputs(request(first)).size() == depth) ++first;
    while (first < last) {
      size_t end = first + 1;
      while (end < last && input(end) == input(first)) ++end;
      ranges.push_back({first, end, depth, parent});
      first = end;
    }
  }

  size_t Append(ScoringNode node, size_t parent) {
    (parent == SIZE_MAX ? roots_ : nodes_[parent].children).push_back(nodes_.size());
    nodes_.push_back(std::move(node));
    return nodes_.size() - 1;
  }

  std::span<const TokenRequest> requests_;
  std::vector<size_t> order_, roots_;
  std::vector<ScoringNode> nodes_;
};

// Runs the nodes of a tree, parents before children, in passes of tokens of many nodes.
class ScoringRun {
 public:
  ScoringRun(const Model& model, Workspace& workspace, const ScoringTree& tree,
             const ScoringOptions& options, std::span<TokenScore> scores)
      : model_(model),
        workspace_(workspace),
        tree_(tree),
        options_(options),
        scores_(scores),
        vocab_(model.config().vocab),
        logit_rows_(std::max<size_t>(1, options.logit_rows)),
        row_budget_(std::max<size_t>(1, options.rows)) {
    const State start = model.NewState();
    const uint64_t bytes = options.state_bytes != 0 ? options.state_bytes : AvailableMemory() / 4;
    live_limit_ = static_cast<size_t>(
        std::clamp<uint64_t>(bytes / std::max<size_t>(start.bytes(), 1), 2, 4096));
    for (const ScoringNode& node : tree.nodes()) total_ += node.end - node.begin;
    // The last is taken first.
    for (auto root = tree.roots().rbegin(); root != tree.roots().rend(); ++root)
      waiting_.push_back({*root, nullptr});
  }

  void Run() {
    while (!waiting_.empty() || !running_.empty()) Pass();
  }

 private:
  // A state that the children of a node go on from; the last of them takes it.
  struct Fork {
    State state;
    size_t users;
  };
  struct Waiting {
    size_t node;
    std::shared_ptr<Fork> fork;
  };
  struct Running {
    size_t node;
    size_t at;  // in the node's inputs
    State state;
  };
  // A row of logits of this pass: the input at `place` of the node.
  struct Row {
    size_t node, place;
    const float* logits;
  };

  void Pass() {
    Launch();
    // Room for logits is shared out in order; who gets none waits.
    std::vector<Turn> turns;
    std::vector<std::pair<Running*, size_t>> parts;
    std::vector<Row> rows;
    logits_.resize(logit_rows_ * vocab_);
    size_t room = row_budget_, logits = logit_rows_;
    for (Running& running : running_) {
      const ScoringNode& node = tree_.nodes()[running.node];
      size_t count = std::min(room, node.end - node.begin - running.at);
      if (node.logits == ScoringNode::Logits::kAll) count = std::min(count, logits);
      const bool ends = running.at + count == node.end - node.begin;
      size_t kept = node.logits == ScoringNode::Logits::kAll            ? count
                    : node.logits == ScoringNode::Logits::kLast && ends ? 1
                                                                        : 0;
      if (kept > logits) {  // the last row waits for the next pass
        --count;
        kept = 0;
      }
      if (count == 0) continue;
      float* to = logits_.data() + (logit_rows_ - logits) * vocab_;
      turns.push_back({.tokens = tree_.tokens(node).subspan(running.at, count),
                       .state = &running.state,
                       .logits = std::span(to, kept * vocab_)});
      for (size_t i = 0; i < kept; ++i) {
        rows.push_back({running.node, node.begin + running.at + count - kept + i, to + i * vocab_});
      }
      parts.emplace_back(&running, count);
      room -= count;
      logits -= kept;
    }
    model_.Forward(turns, workspace_);
    Score(rows);
    for (auto& [running, count] : parts) {
      running->at += count;
      done_ += count;
    }
    Finish();
    if (options_.progress) options_.progress(done_, total_);
  }

  // Starts nodes until the pass is full, or too many states are in memory.
  void Launch() {
    size_t planned = 0;
    for (const Running& running : running_) {
      const ScoringNode& node = tree_.nodes()[running.node];
      planned += node.end - node.begin - running.at;
    }
    while (!waiting_.empty() &&
           (running_.empty() || (planned < row_budget_ && live_ < live_limit_))) {
      Waiting next = std::move(waiting_.back());
      waiting_.pop_back();
      const ScoringNode& node = tree_.nodes()[next.node];
      planned += node.end - node.begin;
      if (next.fork == nullptr) {
        running_.push_back({next.node, 0, model_.NewState()});
        ++live_;
      } else if (--next.fork->users == 0) {
        running_.push_back({next.node, 0, std::move(next.fork->state)});
      } else {
        running_.push_back({next.node, 0, next.fork->state.Clone()});
        ++live_;
      }
    }
  }

  void Score(const std::vector<Row>& rows) {
    std::vector<std::pair<double, int32_t>> ends(rows.size());  // log-sum, likeliest
    workspace_.ForEach(rows.size(), [&](size_t i) {
      const float* x = rows[i].logits;
      ends[i] = {LogSumExpRow(x, vocab_),
                 static_cast<int32_t>(std::max_element(x, x + vocab_) - x)};
    });
    for (size_t i = 0; i < rows.size(); ++i) {
      const ScoringNode& node = tree_.nodes()[rows[i].node];
      for (size_t place = node.first; place < node.last; ++place) {
        const TokenRequest& request = tree_.request(place);
        const size_t target = rows[i].place + 1;
        if (target < request.scored || target >= request.tokens.size()) continue;
        const int32_t token = request.tokens[target];
        TokenScore& score = scores_[tree_.index(place)];
        score.logprob += static_cast<double>(rows[i].logits[token]) - ends[i].first;
        score.greedy = score.greedy && token == ends[i].second;
        if (target + 1 == request.tokens.size() && options_.scored)
          options_.scored(tree_.index(place), score);
      }
    }
  }

  // Nodes that are done make room for their children.
  void Finish() {
    for (size_t i = 0; i < running_.size();) {
      Running& running = running_[i];
      const ScoringNode& node = tree_.nodes()[running.node];
      if (running.at < node.end - node.begin) {
        ++i;
        continue;
      }
      if (node.children.empty()) {
        --live_;
      } else {
        const auto fork =
            std::make_shared<Fork>(Fork{std::move(running.state), node.children.size()});
        for (auto child = node.children.rbegin(); child != node.children.rend(); ++child) {
          waiting_.push_back({*child, fork});
        }
      }
      if (i + 1 < running_.size()) running_[i] = std::move(running_.back());
      running_.pop_back();
    }
  }

  const Model& model_;
  Workspace& workspace_;
  const ScoringTree& tree_;
  const ScoringOptions& options_;
  std::span<TokenScore> scores_;
  size_t vocab_, logit_rows_, row_budget_, live_limit_ = 2;
  size_t live_ = 0;  // states in memory, those of forks included
  size_t done_ = 0, total_ = 0;
  std::vector<Waiting> waiting_;
  std::vector<Running> running_;
  std::vector<float> logits_;
};

}  // namespace

std::vector<TokenScore> ScoreContinuations(const Model& model, Workspace& workspace,
                                           std::span<const TokenRequest> requests,
                                           const ScoringOptions& options) {
  std::vector<TokenScore> scores(requests.size());
  std::vector<TokenRequest> wanted;
  std::vector<size_t> places;
  for (size_t i = 0; i < requests.size(); ++i) {
    const TokenRequest& request = requests[i];
    if (request.scored == 0)
      throw Error(ErrorKind::kBadInput, fmt::format("request {} has no context", i));
    for (const int32_t id : request.tokens) {
      if (id < 0 || static_cast<size_t>(id) >= model.config().vocab) {
        throw Error(ErrorKind::kBadInput,
                    fmt::format("request {}: id {} is outside the vocabulary of {}", i, id,
                                model.config().vocab));
      }
    }
    if (request.scored >= request.tokens.size()) {
      if (options.scored) options.scored(i, {});  // nothing to score
      continue;
    }
    wanted.push_back(request);
    places.push_back(i);
  }
  if (wanted.empty()) return scores;
  ScoringOptions inner = options;
  if (options.scored) {
    inner.scored = [&](size_t i, const TokenScore& score) { options.scored(places[i], score); };
  }
  std::vector<TokenScore> found(wanted.size());
  const ScoringTree tree(wanted);
  ScoringRun(model, workspace, tree, inner, found).Run();
  for (size_t i = 0; i < places.size(); ++i) scores[places[i]] = found[i];
  return scores;
}

TokenRequest EncodePair(const Tokenizer& tokenizer, std::span<const int32_t> pad,
                        std::string_view context, std::string_view continuation) {
  const std::string before = StripRight(context);
  const std::string rest = std::string(context.substr(std::min(context.size(), before.size()))) +
                           std::string(continuation);
  TokenRequest request;
  request.tokens.assign(pad.begin(), pad.end());
  const std::vector<int32_t> whole = tokenizer.Encode(before + rest);
  if (pad.empty() && before.empty() && !(whole.size() > 0 && whole[0] == 0))
    request.tokens.push_back(0);
  request.tokens.insert(request.tokens.end(), whole.begin(), whole.end());
  const size_t context_tokens = before.empty() ? 0 : tokenizer.Encode(before).size();
  request.scored = std::max<size_t>(1, request.tokens.size() - whole.size() + context_tokens);
  request.scored = std::min(request.scored, std::max<size_t>(1, request.tokens.size()));
  return request;
}

}  // namespace linnet
