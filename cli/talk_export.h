// Exports a chat as a file to read or to train on.
#ifndef LINNET_CLI_TALK_EXPORT_H_
#define LINNET_CLI_TALK_EXPORT_H_

#include <filesystem>
#include <string>
#include <vector>

#include "cli/output_kind.h"
#include "engine/conversation.h"

namespace linnet::cli {

struct TalkRecord {
  std::string model;  // its file's name
  std::string system;
  std::vector<Exchange> exchanges;
  size_t missing = 0;  // earlier turns, whose texts are no longer stored
  bool whole = true;   // it does not start from a loaded state
};

// Throws Error kBadInput for an extension other than .md and .json.
void CheckExportName(const std::filesystem::path& path);

// Writes it as Markdown, or as JSON if the name ends in .json: {"version":1,"model",
// "messages":[{"role","content"}]}, with OpenAI's role names. Throws Error kIo.
void ExportTalk(const TalkRecord& talk, const std::filesystem::path& path);

// A file written by ExportTalk.
OutputKind TalkOutput();

}  // namespace linnet::cli

#endif  // LINNET_CLI_TALK_EXPORT_H_
