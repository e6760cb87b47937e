// The hash by which states know their model.
#ifndef LINNET_MODELS_HASH_H_
#define LINNET_MODELS_HASH_H_

#include <string>

#include "models/names.h"

namespace linnet {

// 16 hex digits over the names, shapes and a fixed sample of the values of all
// tensors, under BlinkDL's names and orientation: the same for every tensor naming
// that keeps the values, and quick for files of any size. A packed file has the
// hash of the checkpoint it was made from, so that states go from one to the other.
std::string HashOf(const Checkpoint& checkpoint);

}  // namespace linnet

#endif  // LINNET_MODELS_HASH_H_
