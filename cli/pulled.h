// Pulled models on the command line: their names as MODEL, and what the environment says of hubs.
#ifndef LINNET_CLI_PULLED_H_
#define LINNET_CLI_PULLED_H_

#include <CLI/CLI.hpp>
#include <optional>
#include <string>

#include "download/hub.h"

namespace linnet::cli {

// Lets every option and argument of `app` and its commands that takes a model take the name of a
// pulled one too: its value becomes the path. A file or folder of that name comes first. A name
// that means several models is wrong usage.
void AcceptPulledNames(CLI::App& app);

// The path of the pulled model with this name, or `name` itself. Throws Error kBadInput if the name
// means several models.
std::string PathOfModel(const std::string& name);

// The endpoint and token of the environment: HF_ENDPOINT, HF_TOKEN or the file that HF_TOKEN_PATH
// names; MODELSCOPE_ENDPOINT, MODELSCOPE_API_TOKEN; WISEMODEL_ENDPOINT, WISEMODEL_TOKEN. Without
// `kind` the hub is that of LINNET_HUB, or Hugging Face. Throws Error kBadInput for another
// LINNET_HUB.
Hub HubOfEnvironment(std::optional<HubKind> kind = std::nullopt);

}  // namespace linnet::cli

#endif  // LINNET_CLI_PULLED_H_
