// What a checkpoint is: a model of some generation, an adapter, a state, or something else.
#ifndef LINNET_MODELS_DETECT_H_
#define LINNET_MODELS_DETECT_H_

#include <functional>
#include <set>
#include <string>

#include "linnet/config.h"
#include "models/names.h"

namespace linnet {

enum class FileKind : uint8_t {
  kModel,
  kAdapter,    // LoRA, PiSSA, Bone, DiSHA pairs beside replaced tensors
  kTimeState,  // a tuned initial state: blocks.N.att.time_state
  kState,      // a saved state of ours
  kUnknown,
};

const char* Name(FileKind kind);  // "model", "adapter", "time_state", "state", "unknown"

FileKind KindOf(const Checkpoint& checkpoint);

// Tells the generation from the tensors alone (docs/models.md, "Names") and the sizes
// from their shapes. Throws Error kBadModel with what the file is instead:
// relatives that are not built (v6a, v7a, v7b, v8, hybrids, head QK) by name, adapters,
// states, optimizer states, other architectures; and a layer that is missing
// below others.
Config ConfigOf(const Checkpoint& checkpoint);

// Throws Error kBadModel, saying what it is, for an adapter of which no tensor belongs to an RWKV
// model, such as PEFT's of a Llama.
void RefuseForeignAdapter(const Checkpoint& checkpoint);

// Throws Error kBadModel for the first tensor that is not among `used`, described and followed by
// `trouble`: what it would do must not be left out unsaid. Let be are those that files are known to
// hold for nothing: the first layer's v0, v1 and v2 of RWKV-7, the optimizer's share of a training
// checkpoint, and what is of no layer and no float.
void RefuseUnused(const Checkpoint& checkpoint, Generation generation,
                  const std::set<std::string, std::less<>>& used, const std::string& trouble);

// "blocks.0.att.key.weight is bf16[2560, 2560]": for messages.
std::string Describe(const TensorView& tensor);

}  // namespace linnet

#endif  // LINNET_MODELS_DETECT_H_
