#include "cli/trained_length.h"

#include <fstream>
#include <nlohmann/json.hpp>
#include <regex>
#include <string>

namespace linnet::cli {
namespace {

namespace fs = std::filesystem;

size_t LengthInName(const std::string& name) {
  // RWKV-x060-World-1B6-v2.1-20240328-ctx4096.pth, …-ctx16k.pth
  static const std::regex kLength("(^|[^a-z])ctx([0-9]{1,9})(k?)([^a-z0-9]|$)",
                                  std::regex::icase | std::regex::ECMAScript);
  std::smatch match;
  if (!std::regex_search(name, match, kLength)) return 0;
  return std::stoul(match[2]) * (match[3].length() > 0 ? 1024 : 1);
}

size_t LengthOfRun(const fs::path& folder) {
  std::ifstream in(folder / "run.json");
  const auto run = nlohmann::json::parse(in, nullptr, false);
  const nlohmann::json::json_pointer place("/options/--ctx/0");
  if (run.is_discarded() || !run.contains(place) || !run[place].is_string()) return 0;
  const std::string text = run[place];
  const bool number =
      !text.empty() && text.size() < 10 && text.find_first_not_of("0123456789") == text.npos;
  return number ? std::stoul(text) : 0;
}

}  // namespace

size_t TrainedLength(const fs::path& model) {
  const size_t length = LengthInName(model.filename().string());
  return length > 0 ? length : LengthOfRun(model.parent_path());
}

}  // namespace linnet::cli
