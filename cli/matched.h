// Reports of the tensors that a checkpoint's reader told by their shapes.
#ifndef LINNET_CLI_MATCHED_H_
#define LINNET_CLI_MATCHED_H_

#include <nlohmann/json.hpp>
#include <string>

#include "models/names.h"

namespace linnet::cli {

// One line that names the first tensor of each shape; the checkpoint has some.
std::string MatchedText(const Checkpoint& checkpoint);

// {"name in the file": "name here", …}
nlohmann::ordered_json MatchedJson(const Checkpoint& checkpoint);

}  // namespace linnet::cli

#endif  // LINNET_CLI_MATCHED_H_
