// Implements linnet/trainer.h with Learner.
#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <utility>

#include "base/thread_pool.h"
#include "linnet/trainer.h"
#include "models/adapter.h"
#include "models/detect.h"
#include "train/learner.h"
#include "train/new_model.h"
#include "train/training_file.h"

namespace linnet {
namespace {

void CheckOptions(const TrainerOptions& o) {
  if (o.precision != DType::kBF16 && o.precision != DType::kF32) {
    throw Error(ErrorKind::kBadInput,
                fmt::format("precision {}: products run in bf16 or f32", Name(o.precision)));
  }
  if (!(o.dropout >= 0 && o.dropout < 1)) {
    throw Error(ErrorKind::kBadInput,
                fmt::format("dropout {}: expected a share from 0 to below 1", o.dropout));
  }
}

// What is trained, with or without an adapter for the model.
std::function<bool(const std::string&)> LearnsOf(const TrainerOptions& o) {
  if (o.adapter.empty()) return o.learns;
  return [chosen = o.learns](const std::string& name) {
    return Adapter::Learns(name) && (!chosen || chosen(name));
  };
}

// Adapters of other programs may consist of two files or rewrite their matrices.
void CheckOwn(const Adapter& adapter) {
  const TensorFile& file = adapter.file();
  const auto kind = file.metadata().find("kind");
  const bool states =
      std::ranges::all_of(file.tensors(), [](const TensorView& t) { return IsTimeState(t.name); });
  if (states || (kind != file.metadata().end() && kind->second == kAdapterKind)) return;
  throw Error(ErrorKind::kBadInput, file.path().string() +
                                        ": is another program's adapter, expected one that "
                                        "WriteNewAdapter began; merge it, and begin a new one");
}

LearnerOptions LearnerOptionsOf(const TrainerOptions& o) {
  LearnerOptions to;
  to.precision = o.precision;
  to.recompute = o.recompute;
  to.l2wrap = o.l2wrap;
  to.clip = o.clip;
  to.adam.weight_decay = o.weight_decay;
  to.dropout = o.dropout;
  to.seed = o.seed;
  to.rows_per_pass = o.rows_per_pass;
  to.chunk = o.chunk;
  to.bptt = o.bptt;
  to.learns = LearnsOf(o);
  to.packing.type = o.quant;
  to.skip_spikes = o.skip_spikes;
  return to;
}

void CheckRow(const SampleRow& row, size_t number) {
  const auto fail = [&](const std::string& found) {
    throw Error(ErrorKind::kBadInput, fmt::format("row {}: {}", number, found));
  };
  if (row.inputs.empty()) fail("is empty");
  if (row.targets.size() != row.inputs.size()) {
    fail(fmt::format("has {} inputs and {} targets", row.inputs.size(), row.targets.size()));
  }
  if (row.starts.empty() || row.starts.front() != 0) fail("starts do not begin with 0");
  if (!std::ranges::is_sorted(row.starts, std::ranges::less_equal()) ||
      row.starts.back() >= row.inputs.size()) {
    fail(fmt::format("starts do not ascend, or reach past its {} inputs", row.inputs.size()));
  }
}

SourceType SourceTypeOf(DType type) {
  switch (type) {
    case DType::kF32:
      return SourceType::kF32;
    case DType::kF16:
      return SourceType::kF16;
    case DType::kBF16:
      return SourceType::kBF16;
    default:
      throw Error(ErrorKind::kBadInput,
                  fmt::format("a model is saved in bf16, f16 or f32, not in {}; `linnet quantize` "
                              "packs it afterwards",
                              Name(type)));
  }
}

}  // namespace

void WriteNewModel(const InitSizes& sizes, uint64_t seed, const std::filesystem::path& path) {
  ThreadPool pool;
  WriteNewModel(sizes, {}, seed, path, pool, [] {});
}

SampleRow RowOf(std::span<const int32_t> tokens) {
  if (tokens.size() < 2) {
    throw Error(
        ErrorKind::kBadInput,
        fmt::format("a row of {} tokens has nothing to learn; it takes two", tokens.size()));
  }
  return {{tokens.begin(), tokens.end() - 1}, {tokens.begin() + 1, tokens.end()}, {0}};
}

class Trainer::Impl {
 public:
  Impl(Checkpoint checkpoint, std::optional<Adapter> adapter, const Config& config,
       const TrainerOptions& options)
      : pool_(options.threads),
        adapter_(std::move(adapter)),
        learner_(std::move(checkpoint), config, LearnerOptionsOf(options), pool_, alone_,
                 adapter_ ? std::span(&*adapter_, 1) : std::span<const Adapter>()) {}

  Learner& learner() { return learner_; }
  World& world() { return alone_; }
  const std::optional<Adapter>& adapter() const { return adapter_; }

 private:
  ThreadPool pool_;
  World alone_;
  std::optional<Adapter> adapter_;
  Learner learner_;
};

Trainer::Trainer(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Trainer::~Trainer() = default;
Trainer::Trainer(Trainer&&) noexcept = default;
Trainer& Trainer::operator=(Trainer&&) noexcept = default;

Trainer Trainer::Open(const std::filesystem::path& model, const TrainerOptions& options) {
  CheckOptions(options);
  Checkpoint checkpoint(model);
  const Config config = ConfigOf(checkpoint);
  std::optional<Adapter> adapter;
  if (!options.adapter.empty()) {
    adapter.emplace(options.adapter, checkpoint);
    CheckOwn(*adapter);
  }
  return Trainer(
      std::make_unique<Impl>(std::move(checkpoint), std::move(adapter), config, options));
}

StepReport Trainer::Step(std::span<const SampleRow> rows, double rate) {
  if (rows.empty()) throw Error(ErrorKind::kBadInput, "a step without rows");
  for (size_t i = 0; i < rows.size(); ++i) CheckRow(rows[i], i);
  return impl_->learner().Step(rows, rows.size(), rate);
}

uint64_t Trainer::steps() const { return impl_->learner().steps(); }
const Config& Trainer::config() const { return impl_->learner().network().config(); }
Model Trainer::AsModel() const { return impl_->learner().AsModel(); }

void Trainer::Save(const std::filesystem::path& path) {
  SaveTraining(impl_->learner(), impl_->world(), path, {});
}

void Trainer::Restore(const std::filesystem::path& path) {
  const std::string damage = DamageOf(path);
  if (!damage.empty()) {
    throw Error(ErrorKind::kBadInput, fmt::format("{}: is damaged ({})", path.string(), damage));
  }
  LoadTraining(impl_->learner(), impl_->world(), path);
}

void Trainer::SaveModel(const std::filesystem::path& path, DType type) const {
  if (impl_->adapter()) {
    throw Error(ErrorKind::kBadInput, path.string() +
                                          ": the model stays as it is while an adapter learns; "
                                          "save that, and join them with `linnet merge`");
  }
  linnet::SaveModel(impl_->learner().network(), path, SourceTypeOf(type));
}

void Trainer::SaveAdapter(const std::filesystem::path& path) const {
  if (!impl_->adapter()) {
    throw Error(ErrorKind::kBadInput, path.string() + ": the model itself learns; save the model");
  }
  linnet::SaveAdapter(impl_->learner().network(), impl_->adapter()->file(), path);
}

}  // namespace linnet
