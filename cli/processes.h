// The World of this process: a single process, or one of those that mpirun started.
#ifndef LINNET_CLI_PROCESSES_H_
#define LINNET_CLI_PROCESSES_H_

#include <memory>

#include "train/world.h"

namespace linnet::cli {

// Joins the other processes if mpirun started this one; call it once. Throws Error kBadInput if it
// was started by mpirun and this build has no MPI.
std::unique_ptr<World> JoinWorld();

// Prints why and ends all processes with this exit code, because they would wait forever for this
// one. Returns only if there is a single process.
void AbandonWorld(const World& world, const char* why, int exit_code);

}  // namespace linnet::cli

#endif  // LINNET_CLI_PROCESSES_H_
