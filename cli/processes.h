// The World of this process: alone, or one of the processes that mpirun started.
#ifndef LINNET_CLI_PROCESSES_H_
#define LINNET_CLI_PROCESSES_H_

#include <memory>

#include "train/world.h"

namespace linnet::cli {

// Joins the processes if mpirun started this process, once a process. Throws Error kBadInput if it
// did and this build has no MPI.
std::unique_ptr<World> JoinWorld();

// Ends all processes, which would wait for this one forever, with this exit code; says why. Returns
// only where there is one.
void AbandonWorld(const World& world, const char* why, int exit_code);

}  // namespace linnet::cli

#endif  // LINNET_CLI_PROCESSES_H_
