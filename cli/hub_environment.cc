#include "cli/hub_environment.h"

#include <fmt/format.h>

#include <cstdlib>
#include <fstream>
#include <string>

#include "linnet/error.h"

namespace linnet::cli {
namespace {

std::string FromEnvironment(const char* variable) {
  const char* const value = std::getenv(variable);
  return value != nullptr ? value : "";
}

// The first line of the file that huggingface_hub keeps its token in.
std::string TokenInFile(const std::string& file) {
  if (file.empty()) return "";
  std::ifstream in(file);
  std::string token;
  std::getline(in, token);
  return token;
}

}  // namespace

Hub HubOfEnvironment(std::optional<HubKind> kind) {
  if (!kind) {
    const std::string name = FromEnvironment("LINNET_HUB");
    kind = name.empty() ? HubKind::kHuggingFace : ParseHubKind(name);
    if (!kind) {
      throw Error(
          ErrorKind::kBadInput,
          fmt::format("LINNET_HUB is '{}', expected huggingface, modelscope or wisemodel", name));
    }
  }
  Hub hub{.kind = *kind, .endpoint = "", .token = ""};
  switch (*kind) {
    case HubKind::kHuggingFace:
      hub.endpoint = FromEnvironment("HF_ENDPOINT");
      hub.token = FromEnvironment("HF_TOKEN");
      if (hub.token.empty()) hub.token = TokenInFile(FromEnvironment("HF_TOKEN_PATH"));
      break;
    case HubKind::kModelScope:
      hub.endpoint = FromEnvironment("MODELSCOPE_ENDPOINT");
      hub.token = FromEnvironment("MODELSCOPE_API_TOKEN");
      break;
    case HubKind::kWiseModel:
      hub.endpoint = FromEnvironment("WISEMODEL_ENDPOINT");
      hub.token = FromEnvironment("WISEMODEL_TOKEN");
      break;
  }
  return hub;
}

}  // namespace linnet::cli
