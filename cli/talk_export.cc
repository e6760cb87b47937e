#include "cli/talk_export.h"

#include <fmt/format.h>

#include <fstream>
#include <nlohmann/json.hpp>
#include <string_view>

#include "base/atomic_file.h"
#include "base/lower.h"
#include "linnet/error.h"

namespace linnet::cli {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

constexpr int kVersion = 1;
constexpr std::string_view kTitle = "# A talk with ";

bool IsJson(const fs::path& path) { return Lower(path.extension().string()) == ".json"; }

// Replies begin with the blank that the model wrote after the speaker's name.
std::string_view Trim(std::string_view text) {
  constexpr std::string_view kBlanks = " \t\r\n";
  const size_t begin = text.find_first_not_of(kBlanks);
  if (begin == text.npos) return {};
  return text.substr(begin, text.find_last_not_of(kBlanks) + 1 - begin);
}

std::string AsJson(const TalkRecord& talk) {
  Json messages = Json::array();
  const auto add = [&](const char* role, std::string_view content) {
    messages.push_back({{"role", role}, {"content", Trim(content)}});
  };
  if (!talk.system.empty()) add("system", talk.system);
  for (const Exchange& said : talk.exchanges) {
    add("user", said.user);
    add("assistant", said.reply);
  }
  Json json = {{"version", kVersion}, {"model", talk.model}, {"messages", messages}};
  if (talk.missing > 0) json["missing_turns"] = talk.missing;
  if (!talk.whole) json["continues_a_state"] = true;
  return json.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

std::string AsMarkdown(const TalkRecord& talk) {
  std::string text = fmt::format("{}{}\n", kTitle, talk.model);
  const auto add = [&](const char* who, std::string_view content) {
    text += fmt::format("\n## {}\n\n{}\n", who, Trim(content));
  };
  if (!talk.whole) text += "\n(It continues from a state whose text is not known.)\n";
  if (!talk.system.empty()) add("System", talk.system);
  if (talk.missing > 0) text += fmt::format("\n(The first {} turns are missing.)\n", talk.missing);
  for (const Exchange& said : talk.exchanges) {
    add("User", said.user);
    add("Assistant", said.reply);
  }
  return text;
}

}  // namespace

void CheckExportName(const fs::path& path) {
  if (IsJson(path) || Lower(path.extension().string()) == ".md") return;
  throw Error(ErrorKind::kBadInput,
              fmt::format("{}: ends in neither .md (Markdown) nor .json", path.string()));
}

void ExportTalk(const TalkRecord& talk, const fs::path& path) {
  AtomicFile file(path);
  file.Write(IsJson(path) ? AsJson(talk) : AsMarkdown(talk));
  file.Commit();
}

OutputKind TalkOutput() {
  return {"an exported talk", [](const fs::path& path) {
            std::ifstream file(path);
            std::string line;
            std::getline(file, line);
            if (line.starts_with(kTitle)) return true;
            file.seekg(0);
            const Json json = Json::parse(file);
            return json.is_object() && json.contains("version") && json.contains("messages");
          }};
}

}  // namespace linnet::cli
