// Pulled models on the command line: their names as MODEL.
#ifndef LINNET_CLI_PULLED_H_
#define LINNET_CLI_PULLED_H_

#include <CLI/CLI.hpp>
#include <string>

namespace linnet::cli {

// Lets every option and argument of `app` and its commands that takes a model take the name of a
// pulled one too: its value becomes the path. A file or folder of that name comes first. A name
// that means several models is wrong usage.
void AcceptPulledNames(CLI::App& app);

// The path of the pulled model with this name, or `name` itself. Throws Error kBadInput if the name
// means several models.
std::string PathOfModel(const std::string& name);

}  // namespace linnet::cli

#endif  // LINNET_CLI_PULLED_H_
