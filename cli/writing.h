// What generate and chat share: where a text starts, what is shown while it is written, its JSON.
#ifndef LINNET_CLI_WRITING_H_
#define LINNET_CLI_WRITING_H_

#include <string>

#include "engine/session.h"
#include "linnet/model.h"

namespace linnet::cli {

// The start of a text, or what the state file `path` holds unless it is empty. Throws Error.
Snapshot StartOf(const std::string& path, const Model& model);

// Shows how far a long prompt is, and stops at Ctrl-C while an InterruptScope is alive.
Watcher NewWatcher();

// {"text","tokens","finish_reason","prompt_tokens","prompt_s","decode_s","tokens_per_s"}
std::string ToJson(const Written& written);

}  // namespace linnet::cli

#endif  // LINNET_CLI_WRITING_H_
