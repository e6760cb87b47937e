// Experts under names that are not known: they are told by their shapes.
#ifndef LINNET_MODELS_MATCH_EXPERTS_H_
#define LINNET_MODELS_MATCH_EXPERTS_H_

#include <string>
#include <vector>

#include "io/tensor_view.h"

namespace linnet {

// A tensor that got another name because of its shape.
struct MatchedTensor {
  std::string from, to;
  std::vector<size_t> shape;
};

// The tensors are a model's under BlinkDL's names. If it is an RWKV-6 whose layers have, under
// names that are not known, as many further matrices of the shape of ffn.key as of ffn.value, and
// numbers in their names say which belong together, they are renamed as experts. One matrix of each
// shape without such a number is the layer's own, if that is missing. A tensor [experts, …] becomes
// its experts. Otherwise nothing changes, and the result is empty.
std::vector<MatchedTensor> MatchExperts(std::vector<TensorView>& tensors);

}  // namespace linnet

#endif  // LINNET_MODELS_MATCH_EXPERTS_H_
