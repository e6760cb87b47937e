// Parameter groups: which parameters learn faster, and which decay.
#ifndef LINNET_TRAIN_GROUPS_H_
#define LINNET_TRAIN_GROUPS_H_

#include <string>
#include <vector>

#include "linnet/config.h"

namespace linnet {

struct Group {
  double rate = 1;     // times the learning rate
  bool decay = false;  // weight decay applies
};

// RWKV-LM's groups (train_temp/src/model.py, configure_optimizers): decay on every `.weight` of two
// dimensions or more; twice the rate on v7's att.w0 and on time_decay of the others, three times on
// time_first.
Group GroupOf(Generation generation, const std::string& name, const std::vector<size_t>& shape);

}  // namespace linnet

#endif  // LINNET_TRAIN_GROUPS_H_
