#include "linnet/model.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <utility>

#include "base/arena.h"
#include "base/memory.h"
#include "base/thread_pool.h"
#include "kernels/isa.h"
#include "linnet/error.h"
#include "models/builtin_model.h"
#include "models/detect.h"
#include "models/hash.h"
#include "models/identity.h"
#include "models/model_of.h"
#include "models/model_size.h"
#include "models/network.h"
#include "models/schema.h"
#include "models/turn_adapter.h"
#include "ops/product_plans.h"

namespace linnet {

struct Workspace::Impl {
  explicit Impl(const WorkspaceOptions& o) : options(o), pool(o.threads) {}
  WorkspaceOptions options;
  ThreadPool pool;
  Arena arena;
  ProductPlans plans;
};

Workspace::Workspace(const WorkspaceOptions& options) : impl_(std::make_unique<Impl>(options)) {}
Workspace::~Workspace() = default;
Workspace::Workspace(Workspace&&) noexcept = default;
Workspace& Workspace::operator=(Workspace&&) noexcept = default;
size_t Workspace::threads() const { return impl_->pool.threads(); }
void Workspace::ForEach(size_t tasks, const std::function<void(size_t)>& body) {
  impl_->pool.For(tasks, body);
}

class Model::Impl {
 public:
  Impl(Checkpoint checkpoint, const OpenOptions& options);
  explicit Impl(std::shared_ptr<const Network> network) : network_(std::move(network)) {}

  void Check(std::span<const Turn> turns) const;
  void CheckPast(const State& state) const;
  void Forward(std::span<const Turn> turns, Workspace::Impl& workspace) const;
  std::string Identity(const Workspace::Impl& workspace, const IdentityOptions& options) const;
  StateShape state_shape() const {
    StateShape shape = StateShapeOf(network_->config());
    shape.model_hash = hash_;
    shape.rows = rows_;
    shape.row_limit = row_limit_;
    return shape;
  }
  const Network& network() const { return *network_; }
  const std::shared_ptr<const Network>& shared_network() const { return network_; }
  const std::string& hash() const { return hash_; }

 private:
  // The part of a turn that is processed in one pass.
  struct Share {
    const Turn* turn;
    size_t begin, len;
  };
  static const TurnAdapter::Impl& AdapterOf(const Turn& turn) { return *turn.adapter->impl_; }
  void RunPass(std::span<const Share> shares, Workspace::Impl& workspace) const;
  void WriteLogits(Pass& p, std::span<const Share> shares, Var x) const;
  void AddHidden(Pass& p, std::span<const Share> shares, Var x) const;
  size_t RowsPerPass(const Workspace::Impl& workspace) const;

  std::shared_ptr<const Network> network_;
  std::string hash_;
  RowStorage rows_ = RowStorage::kF16;
  size_t row_limit_ = SIZE_MAX;
  std::unique_ptr<const ModelIdentity> identity_;  // null for a trainer's network
};

namespace {

void CheckMemory(const Checkpoint& checkpoint, const Packing& packing) {
  const uint64_t need = MemoryToOpen(checkpoint, packing), have = AvailableMemory();
  if (need <= have) return;
  throw Error(ErrorKind::kNoMemory,
              fmt::format("{}: needs about {:.1f} GB of memory, {:.1f} GB are available",
                          checkpoint.file().path().string(), static_cast<double>(need) / 1e9,
                          static_cast<double>(have) / 1e9),
              Remedy::kIgnoreMemory);
}

}  // namespace

Model::Impl::Impl(Checkpoint checkpoint, const OpenOptions& options) {
  CurrentIsa();  // throws if this CPU supports no kernel
  Config config = ConfigOf(checkpoint);
  if (options.ln_x_eps) config.ln_x_eps = *options.ln_x_eps;
  const Packing packing{options.quant, options.quant_layers};
  if (!options.force) CheckMemory(checkpoint, packing);
  hash_ = HashOf(checkpoint);
  rows_ = options.rows;
  row_limit_ = options.row_limit != 0 ? options.row_limit : AvailableMemory() / 2;
  std::vector<Adapter> adapters;
  for (const AdapterFile& file : options.adapters) {
    adapters.emplace_back(file.path, checkpoint, file.scale);
  }
  ThreadPool pool;
  network_ = Network::Bind(std::move(checkpoint), config, pool,
                           {.packing = packing,
                            .adapters = adapters,
                            .expert_bytes = options.expert_bytes,
                            .progress = options.progress});
  identity_ = std::make_unique<ModelIdentity>(options, std::move(adapters));
}

std::string Model::Impl::Identity(const Workspace::Impl& workspace,
                                  const IdentityOptions& options) const {
  if (identity_ == nullptr) return {};
  return identity_->Of(network_->checkpoint(), network_->config(),
                       {.exact = workspace.options.exact}, workspace.options.threads, options);
}

void Model::Impl::Check(std::span<const Turn> turns) const {
  const size_t vocab = network_->config().vocab;
  const size_t floats = network_->strides().floats();
  const auto fail = [](const std::string& what) { throw Error(ErrorKind::kBadInput, what); };
  std::vector<const State*> states;
  for (const Turn& turn : turns) states.push_back(turn.state);
  std::sort(states.begin(), states.end());
  if (std::adjacent_find(states.begin(), states.end()) != states.end()) {
    fail("two turns share a state, expected one for each");
  }
  for (const Turn& turn : turns) {
    if (turn.tokens.empty()) fail("a turn has no tokens, expected at least one");
    if (turn.state == nullptr || turn.state->values().size() != floats) {
      fail("a turn's state is not of this model's shape");
    }
    if (turn.adapter != nullptr && AdapterOf(turn).network != network_) {
      fail("a turn's adapter is one of another model");
    }
    turn.state->CheckRoom(turn.tokens.size());
    CheckPast(*turn.state);
    for (const int32_t id : turn.tokens) {
      if (id < 0 || static_cast<size_t>(id) >= vocab) {
        fail(fmt::format("token {} is outside the vocabulary of {}, expected 0 to {}", id,
                         network_->checkpoint().file().path().string(), vocab - 1));
      }
    }
    const size_t n = turn.logits.size();
    if (n != 0 && network_->config().purpose != Purpose::kText) {
      fail(NoTextOf(network_->config().purpose, network_->checkpoint().file().path().string()));
    }
    if (n % vocab != 0 || n > vocab * turn.tokens.size()) {
      fail(fmt::format("logits hold {} values, expected {} for each of the last tokens, at most {}",
                       n, vocab, vocab * turn.tokens.size()));
    }
    const size_t sums = turn.hidden_sum.size(), width = network_->config().width;
    const size_t weights = turn.hidden_weights.size();
    const size_t wanted = width * (weights == 0 ? 1 : weights / turn.tokens.size());
    if (sums != 0 && (sums != wanted || weights % turn.tokens.size() != 0)) {
      fail(
          fmt::format("hidden sums hold {} values with {} weights, expected {} for each {} "
                      "weights, or without weights",
                      sums, weights, width, turn.tokens.size()));
    }
  }
}

// The ids of a state that was loaded select rows of tables.
void Model::Impl::CheckPast(const State& state) const {
  const PastTokens* past = state.past();
  if (past == nullptr) return;
  const size_t vocab = network_->config().vocab;
  for (size_t t = past->finished.tokens(); t < past->kept.tokens(); ++t) {
    const int32_t id = past->id(t);
    if (id >= 0 && static_cast<size_t>(id) < vocab) continue;
    throw Error(ErrorKind::kBadInput,
                fmt::format("a turn's state holds token {}, outside the vocabulary of {}, expected "
                            "0 to {}",
                            id, network_->checkpoint().file().path().string(), vocab - 1));
  }
}

size_t Model::Impl::RowsPerPass(const Workspace::Impl& workspace) const {
  if (workspace.options.max_rows != 0) return workspace.options.max_rows;
  // The activations of a row within a layer are about 40 vectors of C floats. Every pass reads all
  // weights, so it needs enough rows not to be memory-bound.
  constexpr size_t kBytes = size_t{160} << 20, kVectors = 40;
  const size_t row = kVectors * network_->config().width * sizeof(float);
  return std::clamp<size_t>(kBytes / row / 64 * 64, 64, 512);
}

void Model::Impl::Forward(std::span<const Turn> turns, Workspace::Impl& workspace) const {
  Check(turns);
  for (const Turn& turn : turns) {
    const std::string& maker = turn.state->identity();
    if (maker.empty()) continue;
    const bool same = identity_ != nullptr && turn.adapter == nullptr &&
                      identity_->Gave(maker, {.exact = workspace.options.exact});
    if (!same) turn.state->set_identity({});
  }
  const size_t limit = RowsPerPass(workspace);
  std::vector<Share> shares;
  size_t rows = 0;
  const auto flush = [&] {
    if (!shares.empty()) RunPass(shares, workspace);
    shares.clear();
    rows = 0;
  };
  for (const Turn& turn : turns) {
    for (size_t begin = 0; begin < turn.tokens.size();) {
      const size_t len = std::min(turn.tokens.size() - begin, limit - rows);
      shares.push_back({&turn, begin, len});
      begin += len;
      rows += len;
      if (rows == limit) flush();
    }
  }
  flush();
}

void Model::Impl::RunPass(std::span<const Share> shares, Workspace::Impl& workspace) const {
  std::vector<Segment> segments;
  std::vector<int32_t> tokens;
  std::vector<const AdapterDeltas*> adapters;
  for (const Share& s : shares) {
    const auto ids = s.turn->tokens.subspan(s.begin, s.len);
    State& state = *s.turn->state;
    Segment& segment = segments.emplace_back(Segment{tokens.size(), s.len, state.values().data()});
    segment.past = state.past();
    segment.first = state.tokens();
    segment.log = s.turn->log;
    if (segment.past != nullptr) segment.past->Append(ids);
    if (s.turn->adapter != nullptr) {
      segment.adapter = &AdapterOf(*s.turn).deltas;
      if (std::find(adapters.begin(), adapters.end(), segment.adapter) == adapters.end()) {
        adapters.push_back(segment.adapter);
      }
    }
    tokens.insert(tokens.end(), ids.begin(), ids.end());
  }
  Pass p{.arena = workspace.arena,
         .pool = workspace.pool,
         .segments = segments,
         .strides = network_->strides(),
         .exact = workspace.options.exact,
         .plans = &workspace.plans,
         .adapters = adapters};
  workspace.plans.StartPass();
  workspace.arena.Rewind({});  // the previous pass may have been aborted
  const Var x = network_->Run(p, tokens);
  AddHidden(p, shares, x);
  WriteLogits(p, shares, x);
}

// Row by row, so that the sums do not depend on how a text is divided.
void Model::Impl::AddHidden(Pass& p, std::span<const Share> shares, Var x) const {
  size_t begin = 0;
  for (const Share& s : shares) {
    const std::span<double> sums = s.turn->hidden_sum;
    if (!sums.empty()) {
      const Arena::Scope scope(p.arena);
      const Var rows = network_->HeadInput(p, {.v = x.v.Rows(begin, s.len), .g = {}});
      const size_t width = network_->config().width;
      const auto add = [&](std::span<double> to_sum, std::span<const float> weights) {
        p.ForColumns(width, s.len * width, [&](size_t from, size_t to) {
          for (size_t t = 0; t < s.len; ++t) {
            const double weight = weights.empty() ? 1 : double{weights[s.begin + t]};
            if (weight == 0) continue;
            const float* row = rows.v.Row(t);
            for (size_t c = from; c < to; ++c) to_sum[c] += weight * static_cast<double>(row[c]);
          }
        });
      };
      const auto weights = s.turn->hidden_weights;
      const size_t tokens = s.turn->tokens.size();
      for (size_t i = 0; i < sums.size() / width; ++i) {
        add(sums.subspan(i * width, width),
            weights.empty() ? weights : weights.subspan(i * tokens, tokens));
      }
    }
    begin += s.len;
  }
}

void Model::Impl::WriteLogits(Pass& p, std::span<const Share> shares, Var x) const {
  const size_t vocab = network_->config().vocab;
  // Destinations of the requested rows. The head is the most expensive matrix, so it runs only for
  // these.
  std::vector<std::pair<size_t, float*>> wanted;
  size_t begin = 0;
  for (const Share& s : shares) {
    const Turn& turn = *s.turn;
    const size_t first = turn.tokens.size() - turn.logits.size() / vocab;
    for (size_t t = std::max(first, s.begin); t < s.begin + s.len; ++t) {
      wanted.emplace_back(begin + t - s.begin, turn.logits.data() + (t - first) * vocab);
    }
    begin += s.len;
  }
  // In groups, so that the logits of a long prompt are not copied in full.
  constexpr size_t kGroup = 32;
  for (size_t at = 0; at < wanted.size(); at += kGroup) {
    const size_t count = std::min(kGroup, wanted.size() - at);
    const Arena::Scope scope(p.arena);
    const Var rows = p.New(count, x.cols());
    for (size_t i = 0; i < count; ++i) {
      std::copy_n(x.v.Row(wanted[at + i].first), x.cols(), rows.v.Row(i));
    }
    float* const first = wanted[at].second;
    bool adjacent = true;
    for (size_t i = 1; i < count; ++i) adjacent &= wanted[at + i].second == first + i * vocab;
    if (adjacent) {
      network_->Head(p, rows, {first, count, vocab, vocab});
      continue;
    }
    const Var logits = p.New(count, vocab);
    network_->Head(p, rows, logits.v);
    p.ForRows(count, count * vocab, [&](size_t from, size_t to) {
      for (size_t i = from; i < to; ++i) {
        std::copy_n(logits.v.Row(i), vocab, wanted[at + i].second);
      }
    });
  }
}

Model::Model(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Model::~Model() = default;
Model::Model(Model&&) noexcept = default;
Model& Model::operator=(Model&&) noexcept = default;

Model Model::Open(const std::filesystem::path& path, const OpenOptions& options) {
  return Model(std::make_unique<Impl>(Checkpoint(path), options));
}

Model Model::FromMemory(std::span<const std::byte> bytes, const std::string& name,
                        const OpenOptions& options) {
  return Model(std::make_unique<Impl>(Checkpoint(TensorFile::Parse(bytes, name)), options));
}

bool Model::HasBuiltIn() { return !BuiltInModel().empty(); }

Model Model::BuiltIn(const OpenOptions& options) {
  return Model(std::make_unique<Impl>(BuiltInCheckpoint(), options));
}

Model Model::Named(const std::string& name, const OpenOptions& options) {
  return name == kBuiltInName ? BuiltIn(options) : Open(name, options);
}

Model ModelOf(std::shared_ptr<const Network> network) {
  return Model(std::make_unique<Model::Impl>(std::move(network)));
}

const Checkpoint& CheckpointOf(const Model& model) { return model.impl_->network().checkpoint(); }

const Config& Model::config() const { return impl_->network().config(); }
const std::filesystem::path& Model::path() const {
  return impl_->network().checkpoint().file().path();
}
std::string Model::vocabulary() const { return impl_->network().checkpoint().Vocabulary(); }
const std::string& Model::hash() const { return impl_->hash(); }
std::string Model::Identity(const Workspace& workspace, const IdentityOptions& options) const {
  return impl_->Identity(*workspace.impl_, options);
}
StateShape Model::state_shape() const { return impl_->state_shape(); }
State Model::NewState() const {
  State state(state_shape());
  impl_->network().Start(state.values().data());
  return state;
}
const ModelCost& Model::cost() const { return impl_->network().cost(); }

std::shared_ptr<const TurnAdapter> Model::LoadAdapter(const AdapterFile& file) const {
  return std::shared_ptr<const TurnAdapter>(
      new TurnAdapter(LoadTurnAdapter(impl_->shared_network(), file)));
}

void Model::Forward(std::span<const Turn> turns, Workspace& workspace) const {
  impl_->Forward(turns, *workspace.impl_);
}

}  // namespace linnet
