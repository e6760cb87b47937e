// linnet-chat: linnet with the commands of a first talk, which `make chat` builds in a fresh clone,
// since that takes two thirds of the time. The other commands are in `linnet`.
#include "cli/command.h"

int main(int argc, char** argv) {
  constexpr linnet::cli::AddsCommand kCommands[] = {linnet::cli::AddChat, linnet::cli::AddGenerate};
  return linnet::cli::RunCommand(argc, argv, kCommands);
}
