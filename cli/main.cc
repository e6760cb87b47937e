// linnet: the program. Each subcommand is in its own file.
#include "cli/command.h"

int main(int argc, char** argv) {
  return linnet::cli::RunCommand(argc, argv, linnet::cli::AllCommands());
}
