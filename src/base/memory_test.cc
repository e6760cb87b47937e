// Memory that a container's limit leaves, read from folders that imitate the kernel's.
#include "base/memory.h"

#include <gtest/gtest.h>

#include <map>
#include <string>

#include "base/scratch_folder.h"

namespace linnet {
namespace {

// Memory left if the cgroup folder holds these files.
uint64_t LeftWith(const std::string& membership, const std::map<std::string, std::string>& files) {
  const test::TemporaryFolder folder;
  for (const auto& [name, text] : files) {
    std::filesystem::create_directories((folder / ("root/" + name)).parent_path());
    folder.Write("root/" + name, text);
  }
  return CgroupMemoryLeft(folder / "root", folder.Write("cgroup", membership));
}

TEST(CgroupMemoryTest, VersionTwosLimitCounts) {
  EXPECT_EQ(LeftWith("0::/\n", {{"memory.max", "1000\n"}, {"memory.current", "300\n"}}), 700u);
  EXPECT_EQ(LeftWith("0::/\n", {{"memory.max", "1000\n"}, {"memory.current", "1300\n"}}), 0u);
  EXPECT_EQ(LeftWith("0::/\n", {{"memory.max", "max\n"}, {"memory.current", "300\n"}}), UINT64_MAX);
}

TEST(CgroupMemoryTest, VersionOnesLimitCounts) {
  const std::string membership = "5:cpu,cpuacct:/\n4:memory:/\n0::/\n";
  EXPECT_EQ(LeftWith(membership, {{"memory/memory.limit_in_bytes", "1000\n"},
                                  {"memory/memory.usage_in_bytes", "300\n"}}),
            700u);
  // What the kernel writes without a limit.
  EXPECT_EQ(LeftWith(membership, {{"memory/memory.limit_in_bytes", "9223372036854771712\n"},
                                  {"memory/memory.usage_in_bytes", "300\n"}}),
            UINT64_MAX);
}

TEST(CgroupMemoryTest, TheTightestGroupAboveCounts) {
  EXPECT_EQ(LeftWith("0::/a.slice/b\n", {{"a.slice/memory.max", "1000\n"},
                                         {"a.slice/memory.current", "900\n"},
                                         {"a.slice/b/memory.max", "500\n"},
                                         {"a.slice/b/memory.current", "50\n"},
                                         {"c/memory.max", "7\n"}}),
            100u);
  EXPECT_EQ(LeftWith("0::/a.slice/b\n", {{"a.slice/memory.max", "max\n"},
                                         {"a.slice/b/memory.max", "500\n"},
                                         {"a.slice/b/memory.current", "50\n"}}),
            450u);
  EXPECT_EQ(LeftWith("9:name=systemd:/x\n4:hugetlb,memory:/a/b\n",
                     {{"memory/a/memory.limit_in_bytes", "1000\n"},
                      {"memory/a/memory.usage_in_bytes", "100\n"},
                      {"memory/a/b/memory.limit_in_bytes", "950\n"}}),
            900u);
}

// A checkpoint that was just copied fills the group with page cache that can be freed.
TEST(CgroupMemoryTest, PagesOfFilesDoNotCount) {
  EXPECT_EQ(LeftWith("0::/\n", {{"memory.max", "1000\n"},
                                {"memory.current", "900\n"},
                                {"memory.stat", "anon 200\nfile 700\ninactive_file 650\n"}}),
            750u);
  EXPECT_EQ(LeftWith("4:memory:/\n",
                     {{"memory/memory.limit_in_bytes", "1000\n"},
                      {"memory/memory.usage_in_bytes", "900\n"},
                      {"memory/memory.stat", "inactive_file 1\ntotal_inactive_file 650\n"}}),
            750u);
}

TEST(CgroupMemoryTest, NothingThereIsNoLimit) {
  EXPECT_EQ(LeftWith("", {}), UINT64_MAX);
  EXPECT_EQ(LeftWith("0::/../../elsewhere\n", {{"memory.max", "1000\n"}}), 1000u);
  EXPECT_EQ(CgroupMemoryLeft("/nowhere", "/nowhere"), UINT64_MAX);
}

TEST(MemoryTest, TheLeastOfMachineAndCgroupIsAvailable) {
  const test::TemporaryFolder folder;
  std::filesystem::create_directory(folder / "root");
  const auto meminfo = folder.Write("meminfo", "MemTotal: 9 kB\nMemAvailable:       4 kB\n");
  const auto membership = folder.Write("cgroup", "0::/\n");
  const auto with = [&](const char* limit) {
    folder.Write("root/memory.max", limit);
    return AvailableMemory(meminfo, folder / "root", membership);
  };
  EXPECT_EQ(with("max\n"), 4096u);
  EXPECT_EQ(with("5000\n"), 4096u);
  EXPECT_EQ(with("1000\n"), 1000u);
  EXPECT_GT(AvailableMemory(), uint64_t{1} << 20);
}

}  // namespace
}  // namespace linnet
