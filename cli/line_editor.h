// The LineReader for terminals, based on libedit.
#ifndef LINNET_CLI_LINE_EDITOR_H_
#define LINNET_CLI_LINE_EDITOR_H_

#include <memory>

#include "cli/line_reader.h"

namespace linnet::cli {

std::unique_ptr<LineReader> NewLineEditor(InputHistory history);

}  // namespace linnet::cli

#endif  // LINNET_CLI_LINE_EDITOR_H_
