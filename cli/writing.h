// Shared by generate and chat: the start state, progress during the prompt, and the JSON result.
#ifndef LINNET_CLI_WRITING_H_
#define LINNET_CLI_WRITING_H_

#include <string>

#include "engine/session.h"
#include "linnet/model.h"

namespace linnet::cli {

// The state in the file `path`, or the initial state if `path` is empty. Throws Error.
Snapshot StartOf(const std::string& path, const Model& model);

// Shows the progress of a long prompt, and stops at Ctrl-C while an InterruptScope exists.
Watcher NewWatcher();

// {"text","tokens","finish_reason","prompt_tokens","prompt_s","decode_s","tokens_per_s",
// "speculation":{"passes","guessed","accepted"}}
std::string ToJson(const Written& written);

}  // namespace linnet::cli

#endif  // LINNET_CLI_WRITING_H_
