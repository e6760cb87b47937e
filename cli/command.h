// The program as a function: what main() and the Python extension call.
#ifndef LINNET_CLI_COMMAND_H_
#define LINNET_CLI_COMMAND_H_

namespace linnet::cli {

// Runs `linnet` with these arguments, the first of which is the program's name, and returns its
// exit code. Changes the process's signal handlers.
int RunCommand(int argc, char** argv);

}  // namespace linnet::cli

#endif  // LINNET_CLI_COMMAND_H_
