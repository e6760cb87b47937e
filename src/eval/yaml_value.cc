#include "eval/yaml_value.h"

#include <fmt/format.h>
#include <yaml-cpp/yaml.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdlib>

#include "base/lower.h"
#include "linnet/error.h"

namespace linnet {
namespace {

// Nodes of one text, counted as often as aliases repeat them, and their depth.
constexpr size_t kNodes = 100'000, kYamlDepth = 64;

[[noreturn]] void FailYaml(const std::string& name, const YAML::Mark& mark,
                           const std::string& what) {
  throw Error(ErrorKind::kBadInput,
              mark.is_null() ? fmt::format("{}: {}", name, what)
                             : fmt::format("{}: line {}: {}", name, mark.line + 1, what));
}

// One of these words in small letters, with a capital first letter, or in capital letters.
template <size_t N>
bool IsWord(const std::string& word, const std::array<const char*, N>& words) {
  const std::string lower = Lower(word);
  if (std::none_of(words.begin(), words.end(), [&](const char* w) { return lower == w; }))
    return false;
  const auto capital = [](char c) { return c >= 'A' && c <= 'Z'; };
  const auto capitals = std::count_if(word.begin(), word.end(), capital);
  return capitals == 0 || capitals == static_cast<std::ptrdiff_t>(word.size()) ||
         (capitals == 1 && capital(word[0]));
}

// YAML 1.1, as PyYAML resolves it.
TaskJson PlainValue(const std::string& word) {
  if (word.empty() || word == "~" || IsWord(word, std::array{"null"})) return nullptr;
  if (IsWord(word, std::array{"true", "yes", "on"})) return true;
  if (IsWord(word, std::array{"false", "no", "off"})) return false;
  const char* begin = word.data() + (word[0] == '+' ? 1 : 0);
  const char* end = word.data() + word.size();
  int64_t whole = 0;
  const auto [stop, error] = std::from_chars(begin, end, whole);
  if (error == std::errc() && stop == end) return whole;
  // PyYAML's floats have a point.
  if (word.find('.') != std::string::npos &&
      word.find_first_not_of("0123456789+-.eE") == std::string::npos &&
      word.find_first_of("0123456789") != std::string::npos) {
    char* parsed = nullptr;
    const double real = std::strtod(word.c_str(), &parsed);
    if (*parsed == 0) return real;
  }
  return word;
}

class YamlReader {
 public:
  explicit YamlReader(const std::string& name) : name_(name) {}

  TaskJson Read(const YAML::Node& node, size_t depth = 0) {
    if (++nodes_ > kNodes || depth > kYamlDepth) {
      FailYaml(name_, node.Mark(), "the text is too large or too deep");
    }
    const std::string& tag = node.Tag();
    if (tag == kFunctionKey && node.IsScalar()) return {{kFunctionKey, node.Scalar()}};
    if (!tag.empty() && tag != "?" && tag != "!" && !tag.starts_with("tag:yaml.org,2002:")) {
      FailYaml(name_, node.Mark(), fmt::format("found the tag {}, which has no meaning here", tag));
    }
    if (node.IsScalar()) {
      return tag == "?" || tag.empty() ? PlainValue(node.Scalar()) : TaskJson(node.Scalar());
    }
    if (node.IsSequence()) {
      TaskJson list = TaskJson::array();
      for (const YAML::Node& part : node) list.push_back(Read(part, depth + 1));
      return list;
    }
    if (!node.IsMap()) return nullptr;
    TaskJson dict = TaskJson::object();
    for (const auto& entry : node) {
      if (!entry.first.IsScalar()) {
        FailYaml(name_, entry.first.Mark(), "found a key that is not a word");
      }
      dict[entry.first.Scalar()] = Read(entry.second, depth + 1);
    }
    return dict;
  }

 private:
  const std::string& name_;
  size_t nodes_ = 0;
};

}  // namespace

std::vector<TaskJson> ParseYaml(const std::string& text, const std::string& name) {
  try {
    std::vector<TaskJson> out;
    for (const YAML::Node& node : YAML::LoadAll(text)) out.push_back(YamlReader(name).Read(node));
    return out;
  } catch (const YAML::Exception& error) {
    FailYaml(name, error.mark, error.msg);
  }
}

}  // namespace linnet
