// Requesting huge pages changes no byte, whatever the range.
#include "base/huge_pages.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <span>
#include <string>

#include "base/atomic_file.h"
#include "base/mapped_file.h"
#include "base/scratch_folder.h"

namespace linnet {
namespace {

TEST(HugePages, OfAnyRangeLeaveItsBytes) {
  const test::TemporaryFolder folder;
  std::string all;
  for (int i = 0; i < 5'000'000; ++i) all += static_cast<char>(i * 7 + i / 251);
  AtomicFile file(folder / "f");
  file.Write(all);
  file.Commit();
  const MappedFile map(folder / "f");
  const auto memory = std::as_bytes(std::span(all));
  for (const auto bytes : {map.bytes(), memory}) {
    AskForHugePages({});
    AskForHugePages(bytes.first(1));
    AskForHugePages(bytes.subspan(17, 4'000'001));
    AskForHugePages(bytes);
  }
  EXPECT_TRUE(std::equal(memory.begin(), memory.end(), map.bytes().begin(), map.bytes().end()));
  for (int i = 0; i < 5'000'000; ++i)
    ASSERT_EQ(all[static_cast<size_t>(i)], static_cast<char>(i * 7 + i / 251));
}

}  // namespace
}  // namespace linnet
