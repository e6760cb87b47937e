// What memory this process may still take, and what it holds.
#ifndef LINNET_BASE_MEMORY_H_
#define LINNET_BASE_MEMORY_H_

#include <cstdint>

namespace linnet {

// MemAvailable, or what the cgroup's limit leaves if that is less; bytes.
uint64_t AvailableMemory();

// Resident set size now; bytes.
uint64_t ResidentMemory();

// The most of it so far; bytes.
uint64_t PeakMemory();

}  // namespace linnet

#endif  // LINNET_BASE_MEMORY_H_
