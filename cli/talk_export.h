// A talk as a file to read or to train on.
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
  size_t missing = 0;  // turns before those, whose texts are not kept any more
  bool whole = true;   // it does not go on from a loaded state
};

// Throws Error kBadInput for an ending other than .md and .json.
void CheckExportName(const std::filesystem::path& path);

// Writes it as Markdown, or as JSON if the name ends in .json: {"version":1,"model",
// "messages":[{"role","content"}]}, roles as OpenAI names them. Throws Error kIo.
void ExportTalk(const TalkRecord& talk, const std::filesystem::path& path);

// A file of ExportTalk's.
OutputKind TalkOutput();

}  // namespace linnet::cli

#endif  // LINNET_CLI_TALK_EXPORT_H_
