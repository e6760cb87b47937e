// HeadTensor: tensors that no layer of a network reads, such as the heads of embedding models.
#ifndef LINNET_MODELS_HEAD_TENSORS_H_
#define LINNET_MODELS_HEAD_TENSORS_H_

#include <string>
#include <vector>

#include "models/names.h"

namespace linnet {

// Its values. Throws Error kBadModel, which names the file, the tensor and both shapes, if it is
// missing or has another shape.
std::vector<float> HeadTensor(const Checkpoint& checkpoint, const std::string& name,
                              const std::vector<size_t>& shape);

}  // namespace linnet

#endif  // LINNET_MODELS_HEAD_TENSORS_H_
