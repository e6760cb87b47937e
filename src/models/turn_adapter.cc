#include "models/turn_adapter.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <utility>

#include "base/sha256.h"
#include "linnet/error.h"
#include "models/adapter.h"
#include "models/schema.h"

namespace linnet {
namespace {

void CheckTurnAdapter(const Network& network, const Adapter& adapter) {
  const auto refuse = [&](const std::string& why) {
    throw Error(ErrorKind::kBadInput,
                fmt::format("{}: {}, so it cannot be applied to single texts, only to a whole "
                            "model when it is opened",
                            adapter.file().path().string(), why));
  };
  if (adapter.has_state()) refuse("contains a tuned state");
  if (adapter.replacements() > 0) refuse("replaces whole tensors");
  for (const auto& [name, change] : adapter.changes()) {
    if (change.kind == AdapterKind::kBone) refuse("is a Bone, which rewrites the matrices");
    if (name == "head.weight" || !network.matrices().contains(name)) refuse("changes " + name);
  }
}

// DoRA's factors of the matrix's inputs, in the store's memory; null for others.
const float* Scales(const std::string& name, const MatrixChange& change, const Network& network,
                    ParamStore& store) {
  if (change.kind != AdapterKind::kDora) return nullptr;
  const RowChanger changer(change, *network.checkpoint().Find(name));
  const auto factors = changer.column_factors();
  float* const scales = store.Floats(factors.size());
  std::transform(factors.begin(), factors.end(), scales,
                 [](double factor) { return static_cast<float>(factor); });
  return scales;
}

}  // namespace

std::unique_ptr<TurnAdapter::Impl> LoadTurnAdapter(std::shared_ptr<const Network> network,
                                                   const AdapterFile& file) {
  const Adapter adapter(file.path, network->checkpoint(), file.scale);
  CheckTurnAdapter(*network, adapter);
  auto impl = std::make_unique<TurnAdapter::Impl>();
  ThreadPool pool(1);
  const BindOptions options;
  Binder binder(network->checkpoint(), network->config(), impl->store, pool, options);
  for (const auto& [name, change] : adapter.changes()) {
    const LinearParam& changed = network->matrices().at(name);
    LinearParam matrix{changed.w};
    binder.AddDelta(change, matrix);
    impl->deltas.of[changed.key()] = {std::move(matrix.deltas),
                                      Scales(name, change, *network, impl->store)};
  }
  impl->bytes = impl->store.cost.matrix_bytes;
  Sha256 hash;
  hash.Add(fmt::format("adapter {:08x}\n", std::bit_cast<uint32_t>(file.scale.value_or(1.0f))));
  hash.Add(adapter.file().bytes());
  if (const TensorFile* first = adapter.first_factors()) hash.Add(first->bytes());
  impl->digest = Hex(hash.Finish());
  impl->network = std::move(network);
  return impl;
}

TurnAdapter::TurnAdapter(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
TurnAdapter::~TurnAdapter() = default;
const std::string& TurnAdapter::digest() const { return impl_->digest; }
uint64_t TurnAdapter::bytes() const { return impl_->bytes; }
size_t TurnAdapter::matrices() const { return impl_->deltas.of.size(); }

}  // namespace linnet
