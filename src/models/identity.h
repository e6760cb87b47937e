// The execution identity: what the bits of results depend on besides tokens and state.
#ifndef LINNET_MODELS_IDENTITY_H_
#define LINNET_MODELS_IDENTITY_H_

#include <cstddef>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "kernels/isa.h"
#include "linnet/model.h"
#include "models/adapter.h"
#include "models/names.h"

namespace linnet {

// Increase it with every change after which the same file gives other bits: of the packing at load,
// of a kernel's order of sums or rounding, of a default of a generation. Results that were kept
// under the old identities are then not used any more.
inline constexpr int kExecutionVersion = 1;

// What a pass depends on besides the model.
struct ExecutionMode {
  bool exact = false;
  Isa isa = CurrentIsa();

  bool operator==(const ExecutionMode&) const = default;
};

// The identities of one model. Any number of threads may use it at once.
class ModelIdentity {
 public:
  // `adapters` are those of the options, for `checkpoint`. The level at which matrices are packed
  // is the current one.
  ModelIdentity(const OpenOptions& options, std::vector<Adapter> adapters);

  // See Model::Identity. Reads the files at the first call, with up to so many threads.
  std::string Of(const Checkpoint& checkpoint, const Config& config, const ExecutionMode& mode,
                 size_t threads, const IdentityOptions& options) const;

  // Whether `Of` returned this identity for this mode.
  bool Gave(const std::string& identity, const ExecutionMode& mode) const;

 private:
  struct Given {
    ExecutionMode mode;
    std::string identity;
  };

  std::string WeightsDigest(const Checkpoint& checkpoint, const Config& config, size_t threads,
                            const IdentityOptions& options) const;

  const std::optional<DType> quant_;
  const size_t quant_layers_;
  const std::vector<float> scales_;  // of the adapters
  const std::vector<Adapter> adapters_;
  const Isa packed_at_;

  mutable std::mutex weights_mutex_, given_mutex_;
  mutable std::string weights_;  // empty until it is computed
  mutable std::vector<Given> given_;
};

// What Model::Identity would return for this checkpoint, opened with these options. No matrix is
// packed. Throws what ConfigOf and Adapter throw.
std::string IdentityOf(const Checkpoint& checkpoint, const OpenOptions& options,
                       const ExecutionMode& mode, size_t threads,
                       const IdentityOptions& identity_options);

}  // namespace linnet

#endif  // LINNET_MODELS_IDENTITY_H_
