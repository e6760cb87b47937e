// The model built into the binary, if this build has one.
#ifndef LINNET_MODELS_BUILTIN_MODEL_H_
#define LINNET_MODELS_BUILTIN_MODEL_H_

#include <cstddef>
#include <span>
#include <string>

#include "models/names.h"

namespace linnet {

// The bytes of models/linnet.safetensors, page-aligned; empty if this build was made without it.
// They are in the program's own pages: shared by all processes that run it, and loaded from the
// file on first access.
std::span<const std::byte> BuiltInModel();

// The built-in model as a checkpoint. Throws Error kBadModel if this build was made without it.
Checkpoint BuiltInCheckpoint();

// A model as a user names it: kBuiltInName (linnet/model.h) or a path. Throws what
// BuiltInCheckpoint and Checkpoint throw.
Checkpoint CheckpointNamed(const std::string& name);

// Whether CheckpointNamed accepts this name at first sight: kBuiltInName, or if IsCheckpoint is
// true.
bool IsModelName(const std::string& name);

}  // namespace linnet

#endif  // LINNET_MODELS_BUILTIN_MODEL_H_
