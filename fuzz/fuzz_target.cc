#include "fuzz_target.h"

#include <map>
#include <stdexcept>
#include <string>
#include <string_view>

namespace linnet {
namespace {

std::map<std::string, FuzzTarget, std::less<>>& Targets() {
  static std::map<std::string, FuzzTarget, std::less<>> targets;
  return targets;
}

}  // namespace

bool AddFuzzTarget(const char* name, FuzzTarget target) {
  return Targets().emplace(std::string(name) + "_fuzz", target).second;
}

FuzzTarget FuzzTargetOf(const char* path) {
  std::string_view name(path);
  name.remove_prefix(name.rfind('/') + 1);
  const auto found = Targets().find(name);
  if (found == Targets().end()) {
    throw std::invalid_argument("no fuzz target is called " + std::string(name));
  }
  return found->second;
}

}  // namespace linnet
