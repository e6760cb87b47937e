#include "base/memory.h"

#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>
#include <string>

namespace linnet {
namespace {

// A file that holds one number; `absent` if it is missing or says "max".
uint64_t ReadNumber(const std::string& path, uint64_t absent) {
  std::ifstream file(path);
  uint64_t value = 0;
  return file >> value ? value : absent;
}

uint64_t CgroupLeft() {
  const std::string root = "/sys/fs/cgroup/";
  uint64_t limit = ReadNumber(root + "memory.max", UINT64_MAX);
  uint64_t used = ReadNumber(root + "memory.current", 0);
  if (limit == UINT64_MAX) {
    limit = ReadNumber(root + "memory/memory.limit_in_bytes", UINT64_MAX);
    used = ReadNumber(root + "memory/memory.usage_in_bytes", 0);
  }
  if (limit >= uint64_t{1} << 62) return UINT64_MAX;
  return limit > used ? limit - used : 0;
}

}  // namespace

uint64_t AvailableMemory() {
  std::ifstream file("/proc/meminfo");
  std::string key, unit;
  uint64_t kib = 0, available = UINT64_MAX;
  while (file >> key >> kib) {
    std::getline(file, unit);
    if (key == "MemAvailable:") available = kib * 1024;
  }
  return std::min(available, CgroupLeft());
}

uint64_t ResidentMemory() {
  std::ifstream file("/proc/self/statm");
  uint64_t total = 0, resident = 0;
  file >> total >> resident;
  return resident * static_cast<uint64_t>(sysconf(_SC_PAGESIZE));
}

uint64_t PeakMemory() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return static_cast<uint64_t>(usage.ru_maxrss) * 1024;
}

}  // namespace linnet
