#include "models/identity.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <cstdint>
#include <utility>

#include "base/user_folders.h"
#include "io/file_digest.h"
#include "models/builtin_model.h"
#include "models/detect.h"

namespace linnet {
namespace {

#if defined(__x86_64__)
constexpr const char* kArchitecture = "x86-64";
#elif defined(__aarch64__)
constexpr const char* kArchitecture = "aarch64";
#else
constexpr const char* kArchitecture = "other";
#endif

uint32_t BitsOf(float value) { return std::bit_cast<uint32_t>(value); }

std::vector<float> ScalesOf(const std::vector<AdapterFile>& files) {
  std::vector<float> scales;
  scales.reserve(files.size());
  for (const AdapterFile& file : files) scales.push_back(file.scale.value_or(1.0f));
  return scales;
}

// The digests of the file or files, one per line.
std::string DigestsOf(const TensorFile& file, const DigestCache& cache, ThreadPool& pool) {
  std::string lines;
  for (const MappedFile& map : file.maps()) {
    lines += fmt::format("file {}\n", Hex(DigestOf(map, cache, pool)));
  }
  if (!lines.empty()) return lines;
  if (file.bytes().data() != BuiltInModel().data()) {
    return fmt::format("file {}\n", Hex(TreeDigest(file.bytes(), pool)));
  }
  static const Digest built_in = TreeDigest(BuiltInModel(), pool);
  return fmt::format("file {}\n", Hex(built_in));
}

// Not more threads than the bytes are worth starting.
size_t ThreadsFor(uint64_t bytes, size_t threads) {
  constexpr uint64_t kEach = uint64_t{16} << 20;
  const size_t most = threads == 0 ? AvailableCores() : threads;
  return std::min<uint64_t>(most, bytes / kEach + 1);
}

}  // namespace

ModelIdentity::ModelIdentity(const OpenOptions& options, std::vector<Adapter> adapters)
    : quant_(options.quant),
      quant_layers_(options.quant_layers),
      scales_(ScalesOf(options.adapters)),
      adapters_(std::move(adapters)),
      packed_at_(CurrentIsa()) {
  for (const Adapter& adapter : adapters_) {
    for (const MappedFile& map : adapter.file().maps()) MappedFile::Drop(map.bytes());
  }
}

// The matrices are a function of the files' bytes and of what is listed here; so the files are
// digested, which runs at the speed of the disk, and not the panels. What is read from files beside
// them (config.json) is in `config` and `tied`.
std::string ModelIdentity::WeightsDigest(const Checkpoint& checkpoint, const Config& config,
                                         size_t threads, const IdentityOptions& options) const {
  const DigestCache cache(options.cache.value_or(UserCacheFolder()));
  uint64_t bytes = checkpoint.file().file_bytes();
  for (const Adapter& adapter : adapters_) bytes += adapter.file().file_bytes();
  ThreadPool pool(ThreadsFor(bytes, threads));
  std::string text = fmt::format("linnet weights\nversion {}\n", kExecutionVersion);
  text += DigestsOf(checkpoint.file(), cache, pool);
  text += fmt::format("generation {}\nnorm_eps {:08x}\nln_x_eps {:08x}\ntied {}\npacked at {}\n",
                      Name(config.generation), BitsOf(config.norm_eps), BitsOf(config.ln_x_eps),
                      checkpoint.header().tied, Name(packed_at_));
  if (quant_) {
    text += fmt::format("quant {} {}\n", Name(*quant_), std::min(quant_layers_, config.layers));
  }
  for (size_t i = 0; i < adapters_.size(); ++i) {
    text += fmt::format("adapter {:08x}\n", BitsOf(scales_[i]));
    text += DigestsOf(adapters_[i].file(), cache, pool);
    const TensorFile* first = adapters_[i].first_factors();
    if (first != nullptr) text += "first factors\n" + DigestsOf(*first, cache, pool);
  }
  return Hex(Sha256Of(text));
}

std::string ModelIdentity::Of(const Checkpoint& checkpoint, const Config& config,
                              const ExecutionMode& mode, size_t threads,
                              const IdentityOptions& options) const {
  std::string weights;
  {
    const std::lock_guard lock(weights_mutex_);
    if (weights_.empty()) weights_ = WeightsDigest(checkpoint, config, threads, options);
    weights = weights_;
  }
  // AMD's cores take products in bf16 where others take them in f32.
  std::string identity = Hex(
      Sha256Of(fmt::format("linnet execution\nweights {}\nmode {}\nisa {} {}\ncore {}\n"
                           "tokenizer {}\n",
                           weights, mode.exact ? "exact" : "default", kArchitecture, Name(mode.isa),
                           CurrentCore() == Core::kZen ? "zen" : "any",
                           options.tokenizer.empty() ? "none" : Hex(Sha256Of(options.tokenizer)))));
  const std::lock_guard lock(given_mutex_);
  const bool known = std::any_of(given_.begin(), given_.end(),
                                 [&](const Given& g) { return g.identity == identity; });
  if (!known) given_.push_back({mode, identity});
  return identity;
}

bool ModelIdentity::Gave(const std::string& identity, const ExecutionMode& mode) const {
  const std::lock_guard lock(given_mutex_);
  return std::any_of(given_.begin(), given_.end(),
                     [&](const Given& g) { return g.mode == mode && g.identity == identity; });
}

std::string IdentityOf(const Checkpoint& checkpoint, const OpenOptions& options,
                       const ExecutionMode& mode, size_t threads,
                       const IdentityOptions& identity_options) {
  Config config = ConfigOf(checkpoint);
  if (options.ln_x_eps) config.ln_x_eps = *options.ln_x_eps;
  std::vector<Adapter> adapters;
  for (const AdapterFile& file : options.adapters) {
    adapters.emplace_back(file.path, checkpoint, file.scale);
  }
  return ModelIdentity(options, std::move(adapters))
      .Of(checkpoint, config, mode, threads, identity_options);
}

}  // namespace linnet
