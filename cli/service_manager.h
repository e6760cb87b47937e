// What systemd, or another service manager with its protocol, gives a service and hears from it.
#ifndef LINNET_CLI_SERVICE_MANAGER_H_
#define LINNET_CLI_SERVICE_MANAGER_H_

#include <string>
#include <vector>

namespace linnet::cli {

// Sockets that listen already, if the manager started this process for them (LISTEN_PID and
// LISTEN_FDS); empty otherwise. The caller owns them. Once: the environment forgets them. Throws
// Error kBadInput for a number of sockets that cannot be.
std::vector<int> InheritedSockets();

// Tells the manager that waits on NOTIFY_SOCKET, if there is one: "READY=1", "STOPPING=1".
void NotifyManager(const std::string& state) noexcept;

}  // namespace linnet::cli

#endif  // LINNET_CLI_SERVICE_MANAGER_H_
