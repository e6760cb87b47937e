// What the environment says of hubs.
#ifndef LINNET_CLI_HUB_ENVIRONMENT_H_
#define LINNET_CLI_HUB_ENVIRONMENT_H_

#include <optional>

#include "download/hub.h"

namespace linnet::cli {

// The endpoint and token of the environment: HF_ENDPOINT, HF_TOKEN or the file that HF_TOKEN_PATH
// names; MODELSCOPE_ENDPOINT, MODELSCOPE_API_TOKEN; WISEMODEL_ENDPOINT, WISEMODEL_TOKEN. Without
// `kind` the hub is that of LINNET_HUB, or Hugging Face. Throws Error kBadInput for another
// LINNET_HUB.
Hub HubOfEnvironment(std::optional<HubKind> kind = std::nullopt);

}  // namespace linnet::cli

#endif  // LINNET_CLI_HUB_ENVIRONMENT_H_
