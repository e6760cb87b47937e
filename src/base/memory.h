// Memory that is available to this process, and memory it uses.
#ifndef LINNET_BASE_MEMORY_H_
#define LINNET_BASE_MEMORY_H_

#include <cstdint>
#include <filesystem>

namespace linnet {

// MemAvailable, or what the cgroup's limit leaves if that is less; bytes.
uint64_t AvailableMemory();
// The same for a machine with these /proc/meminfo, cgroup mount and cgroup membership.
uint64_t AvailableMemory(const std::filesystem::path& meminfo, const std::filesystem::path& root,
                         const std::filesystem::path& membership);

// Bytes left below the limits of a process's cgroup and its parents; UINT64_MAX without a limit.
// `root` is the mount point of cgroups, version 1 or 2; `membership` is the process's
// /proc/N/cgroup.
uint64_t CgroupMemoryLeft(const std::filesystem::path& root,
                          const std::filesystem::path& membership);

// Resident set size now; bytes.
uint64_t ResidentMemory();

// Peak resident set size; bytes.
uint64_t PeakMemory();

}  // namespace linnet

#endif  // LINNET_BASE_MEMORY_H_
