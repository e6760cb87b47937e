// What memory this process may still take, and what it holds.
#ifndef LINNET_BASE_MEMORY_H_
#define LINNET_BASE_MEMORY_H_

#include <cstdint>
#include <filesystem>

namespace linnet {

// MemAvailable, or what the cgroup's limit leaves if that is less; bytes.
uint64_t AvailableMemory();
// The same of a machine whose /proc/meminfo, cgroups and membership are these.
uint64_t AvailableMemory(const std::filesystem::path& meminfo, const std::filesystem::path& root,
                         const std::filesystem::path& membership);

// What the limits of a process' cgroup, and of those above it, leave; UINT64_MAX if there are none.
// `root` is where cgroups are mounted, of version 1 or 2; `membership` is the process' own file
// /proc/N/cgroup.
uint64_t CgroupMemoryLeft(const std::filesystem::path& root,
                          const std::filesystem::path& membership);

// Resident set size now; bytes.
uint64_t ResidentMemory();

// The most of it so far; bytes.
uint64_t PeakMemory();

}  // namespace linnet

#endif  // LINNET_BASE_MEMORY_H_
