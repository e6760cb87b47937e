#include "models/head_tensors.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "linnet/error.h"
#include "models/detect.h"

namespace linnet {

std::vector<float> HeadTensor(const Checkpoint& checkpoint, const std::string& name,
                              const std::vector<size_t>& shape) {
  const TensorView* t = checkpoint.Find(name);
  if (t != nullptr && t->shape == shape) return ReadAll(*t);
  throw Error(
      ErrorKind::kBadModel,
      fmt::format("{}: {}, expected [{}]", checkpoint.file().path().string(),
                  t == nullptr ? name + " is missing" : Describe(*t), fmt::join(shape, ", ")));
}

}  // namespace linnet
