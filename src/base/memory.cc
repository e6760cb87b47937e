#include "base/memory.h"

#include <fmt/format.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <string>

namespace linnet {
namespace {

namespace fs = std::filesystem;

// A file with one number; `absent` if it is missing or says "max".
uint64_t ReadNumber(const fs::path& path, uint64_t absent) {
  std::ifstream file(path);
  uint64_t value = 0;
  return file >> value ? value : absent;
}

// The value of `key` in a file of lines "key number"; 0 if it is missing.
uint64_t ReadKey(const fs::path& path, const std::string& key) {
  std::ifstream file(path);
  std::string word;
  uint64_t value = 0;
  while (file >> word >> value) {
    if (word == key) return value;
  }
  return 0;
}

// File names of one cgroup version.
struct CgroupFiles {
  const char *limit, *used, *cache;  // `cache` is a key of memory.stat
};

uint64_t LeftIn(const fs::path& group, const CgroupFiles& files) {
  const uint64_t limit = ReadNumber(group / files.limit, UINT64_MAX);
  if (limit >= uint64_t{1} << 62) return UINT64_MAX;  // version 1 has no word for "none"
  const uint64_t all = ReadNumber(group / files.used, 0);
  // Pages of files that were read are counted, but are freed when memory is needed.
  const uint64_t used = all - std::min(all, ReadKey(group / "memory.stat", files.cache));
  return limit > used ? limit - used : 0;
}

// Of the group at `path` below `root` and of all its parents.
uint64_t LeastLeft(const fs::path& root, const std::string& path, const CgroupFiles& files) {
  uint64_t left = LeftIn(root, files);
  fs::path group = root;
  for (const fs::path& name : fs::path(path).relative_path()) {
    if (name == "..") break;  // a group outside this namespace
    left = std::min(left, LeftIn(group /= name, files));
  }
  return left;
}

}  // namespace

uint64_t CgroupMemoryLeft(const fs::path& root, const fs::path& membership) {
  constexpr CgroupFiles kFirst = {"memory.limit_in_bytes", "memory.usage_in_bytes",
                                  "total_inactive_file"};
  constexpr CgroupFiles kSecond = {"memory.max", "memory.current", "inactive_file"};
  // Lines "number:controllers:path"; version 2 has no controllers there.
  std::string first = "/", second = "/", line;
  for (std::ifstream file(membership); std::getline(file, line);) {
    const size_t begin = line.find(':'), end = line.find(':', begin + 1);
    if (end == std::string::npos) continue;
    const auto controllers = fmt::format(",{},", line.substr(begin + 1, end - begin - 1));
    if (controllers == ",,") second = line.substr(end + 1);
    if (controllers.find(",memory,") != std::string::npos) first = line.substr(end + 1);
  }
  return std::min(LeastLeft(root, second, kSecond), LeastLeft(root / "memory", first, kFirst));
}

uint64_t AvailableMemory() {
  return AvailableMemory("/proc/meminfo", "/sys/fs/cgroup", "/proc/self/cgroup");
}

uint64_t AvailableMemory(const fs::path& meminfo, const fs::path& root,
                         const fs::path& membership) {
  std::ifstream file(meminfo);
  std::string key, unit;
  uint64_t kib = 0, available = UINT64_MAX;
  while (file >> key >> kib) {
    std::getline(file, unit);
    if (key == "MemAvailable:") available = kib * 1024;
  }
  return std::min(available, CgroupMemoryLeft(root, membership));
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
