// The model inside the binary, if this build has one.
#ifndef LINNET_MODELS_BUILTIN_MODEL_H_
#define LINNET_MODELS_BUILTIN_MODEL_H_

#include <cstddef>
#include <span>

namespace linnet {

// The bytes of models/linnet.safetensors, at the start of a page; empty if this
// build was made without it. They are the program's own pages: shared by all
// processes that run it, and read from the file as they are touched.
std::span<const std::byte> BuiltInModel();

}  // namespace linnet

#endif  // LINNET_MODELS_BUILTIN_MODEL_H_
