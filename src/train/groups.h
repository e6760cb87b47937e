// Parameter groups: learning rate factors and weight decay by parameter.
#ifndef LINNET_TRAIN_GROUPS_H_
#define LINNET_TRAIN_GROUPS_H_

#include <string>
#include <vector>

#include "linnet/config.h"

namespace linnet {

struct Group {
  double rate = 1;     // factor of the learning rate
  bool decay = false;  // weight decay applies
};

// RWKV-LM's groups (train_temp/src/model.py, configure_optimizers): decay for every `.weight` with
// two or more dimensions; twice the rate for v7's att.w0 and for time_decay of the other
// generations, three times for time_first.
Group GroupOf(Generation generation, const std::string& name, const std::vector<size_t>& shape);

}  // namespace linnet

#endif  // LINNET_TRAIN_GROUPS_H_
