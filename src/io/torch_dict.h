// The named tensors of a state dict in a torch.save pickle, or an error that says what it is.
#ifndef LINNET_IO_TORCH_DICT_H_
#define LINNET_IO_TORCH_DICT_H_

#include <map>
#include <string>
#include <vector>

#include "io/pickle.h"

namespace linnet {

struct NamedTensor {
  std::string name;
  const PickleTensor* tensor;
};

// The tensors of the dict at the root, or of the one under state_dict, model, module … if the root
// has none itself. Other entries (numbers, settings) are skipped. For a list of tensors, as
// ChatRWKV saves its state, the i-th is named "state.00i". Throws Error kBadModel, starting with
// `file`, for an optimizer's state, another list, an empty dict and similar. The result points into
// `pickle`.
std::vector<NamedTensor> TensorsOf(const Pickle& pickle, const std::string& file);

// The layers whose states EmbeddingRWKV's reranker reads: a list of numbers beside the tensors.
inline constexpr char kRerankerLayers[] = "reranker_layer_idx";

// That entry of the dict at the root as "2,5,8"; empty without one. Throws Error kBadModel if it is
// neither a list of integers nor a tensor.
std::map<std::string, std::string> RerankerMetadata(const Pickle& pickle, const std::string& file);

}  // namespace linnet

#endif  // LINNET_IO_TORCH_DICT_H_
