// Detects what a checkpoint is: a model of some generation, an adapter, a state, or something else.
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
  kAdapter,    // LoRA, PiSSA, Bone, DiSHA tensors and replaced tensors
  kTimeState,  // a tuned initial state: blocks.N.att.time_state
  kState,      // a state saved by Linnet
  kUnknown,
};

// The purpose of a model with these tensors. The tensors of other purposes than kText's, besides
// those of the layers, are in embedding_heads.h and reranker.h.
Purpose PurposeOf(const Checkpoint& checkpoint);

// For messages: what Model::Forward says if it is asked for logits of `file`.
std::string NoTextOf(Purpose purpose, const std::string& file);

const char* Name(FileKind kind);  // "model", "adapter", "time_state", "state", "unknown"

FileKind KindOf(const Checkpoint& checkpoint);

// Detects the generation only from the tensors (docs/models.md, "Names") and the sizes from their
// shapes. Throws Error kBadModel that says what the file is instead: an unsupported related model
// by name (v6a, v7a, v7b, v8, hybrids, head QK), an adapter, a state, an optimizer state, another
// architecture. Also throws if a layer below the highest one is missing.
Config ConfigOf(const Checkpoint& checkpoint);

// Throws Error kBadModel, saying what it is, for an adapter without any tensor of an RWKV model,
// such as PEFT's adapter for a Llama.
void RefuseForeignAdapter(const Checkpoint& checkpoint);

// Throws Error kBadModel for the first tensor that is not in `used`; the message describes it and
// ends with `trouble`. An unknown tensor could change the results, so it must not be ignored
// silently. Exceptions are tensors known to be unused: the first layer's v0, v1 and v2 of RWKV-7,
// the optimizer data in a training checkpoint, and tensors that are neither part of a layer nor
// floats.
void RefuseUnused(const Checkpoint& checkpoint, Generation generation,
                  const std::set<std::string, std::less<>>& used, const std::string& trouble);

// For messages: "blocks.0.att.key.weight is bf16[2560, 2560]".
std::string Describe(const TensorView& tensor);

}  // namespace linnet

#endif  // LINNET_MODELS_DETECT_H_
