// The model inside the binary, if this build has one.
#ifndef LINNET_MODELS_BUILTIN_MODEL_H_
#define LINNET_MODELS_BUILTIN_MODEL_H_

#include <cstddef>
#include <span>
#include <string>

#include "models/names.h"

namespace linnet {

// The bytes of models/linnet.safetensors, at the start of a page; empty if this
// build was made without it. They are the program's own pages: shared by all
// processes that run it, and read from the file as they are touched.
std::span<const std::byte> BuiltInModel();

// The same as a checkpoint. Throws Error kBadModel if this build was made without it.
Checkpoint BuiltInCheckpoint();

// What a user names as a model: kBuiltInName (linnet/model.h), or a path. Throws what
// BuiltInCheckpoint and Checkpoint throw.
Checkpoint CheckpointNamed(const std::string& name);

// Whether CheckpointNamed would begin to read this: kBuiltInName, or what IsCheckpoint takes.
bool IsModelName(const std::string& name);

}  // namespace linnet

#endif  // LINNET_MODELS_BUILTIN_MODEL_H_
