// The model hash that states store to identify their model.
#ifndef LINNET_MODELS_HASH_H_
#define LINNET_MODELS_HASH_H_

#include <string>

#include "models/names.h"

namespace linnet {

// 16 hex digits computed from the names, shapes and a fixed sample of the values of all tensors,
// under BlinkDL's names and orientation. It is the same for every tensor naming that keeps the
// values, and fast for files of any size. A packed file has the hash of its source checkpoint, so
// states can be used with both.
std::string HashOf(const Checkpoint& checkpoint);

}  // namespace linnet

#endif  // LINNET_MODELS_HASH_H_
