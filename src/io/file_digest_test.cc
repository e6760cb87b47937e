#include "io/file_digest.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <chrono>
#include <fstream>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "base/scratch_folder.h"
#include "linnet/error.h"

namespace linnet {
namespace {

namespace fs = std::filesystem;
using std::chrono::nanoseconds;

std::vector<std::byte> RandomBytes(size_t n) {
  std::mt19937 random(3);
  std::vector<std::byte> bytes(n);
  for (std::byte& b : bytes) b = static_cast<std::byte>(random());
  return bytes;
}

std::string TextOf(const fs::path& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

TEST(TreeDigestTest, DoesNotDependOnThreads) {
  ThreadPool one(1), three(3);
  for (const size_t n : {size_t{0}, size_t{1}, size_t{4} << 20, (size_t{9} << 20) + 5}) {
    const auto bytes = RandomBytes(n);
    EXPECT_EQ(TreeDigest(bytes, one), TreeDigest(bytes, three)) << n;
  }
}

TEST(TreeDigestTest, EveryPieceAndItsPlaceCount) {
  ThreadPool pool(2);
  const size_t piece = size_t{4} << 20;
  const auto bytes = RandomBytes(3 * piece);
  const Digest digest = TreeDigest(bytes, pool);
  for (const size_t at : {size_t{0}, piece - 1, piece, 3 * piece - 1}) {
    auto other = bytes;
    other[at] ^= std::byte{1};
    EXPECT_NE(TreeDigest(other, pool), digest) << at;
  }
  auto swapped = bytes;
  std::swap_ranges(swapped.begin(), swapped.begin() + piece, swapped.begin() + piece);
  EXPECT_NE(TreeDigest(swapped, pool), digest);
  EXPECT_NE(TreeDigest(std::span(bytes).first(3 * piece - 1), pool), digest);
}

class DigestCacheTest : public testing::Test {
 protected:
  // A digest that the file does not have, to see whether the cache was asked.
  static Digest Planted() { return Sha256Of("planted"); }
  Digest DigestNow(const fs::path& path) { return DigestOf(MappedFile(path), cache_, pool_); }
  // Plants a digest for the file as it is now.
  void Plant(const fs::path& path) { cache_.Keep(*StampOf(path), Planted()); }

  test::TemporaryFolder folder_;
  const DigestCache cache_{folder_ / "a/b/linnet", nanoseconds(0)};
  ThreadPool pool_{1};
};

// Past the tick of the clock that file times have.
void WaitForTick() { std::this_thread::sleep_for(std::chrono::milliseconds(20)); }

TEST_F(DigestCacheTest, IsFilledOnceAndAsked) {
  const fs::path file = folder_.Write("model", "weights");
  WaitForTick();
  const Digest digest = DigestNow(file);
  EXPECT_EQ(cache_.Find(*StampOf(file)), digest);
  Plant(file);
  EXPECT_EQ(DigestNow(file), Planted());
}

TEST_F(DigestCacheTest, OnlyTheUserMayReadIt) {
  Plant(folder_.Write("model", "weights"));
  EXPECT_EQ(fs::status(cache_.file().parent_path()).permissions(), fs::perms::owner_all);
  EXPECT_EQ(fs::status(cache_.file()).permissions(),
            fs::perms::owner_read | fs::perms::owner_write);
  fs::permissions(cache_.file(), fs::perms::others_write, fs::perm_options::add);
  EXPECT_FALSE(cache_.Find(*StampOf(folder_ / "model")));
}

TEST_F(DigestCacheTest, ACopyIsAnotherFileWithTheSameDigest) {
  const fs::path file = folder_.Write("model", "weights");
  const Digest digest = DigestNow(file);
  Plant(file);
  fs::copy_file(file, folder_ / "copy");
  EXPECT_EQ(DigestNow(folder_ / "copy"), digest);
  fs::create_hard_link(file, folder_ / "link");  // changes the file's ctime
  EXPECT_EQ(DigestNow(folder_ / "link"), digest);
}

TEST_F(DigestCacheTest, AnotherContentOfTheSameSizeAndTimeIsNoticed) {
  const fs::path file = folder_.Write("model", "weights");
  WaitForTick();
  const Digest digest = DigestNow(file);
  const auto time = fs::last_write_time(file);
  folder_.Write("model", "WEIGHTS");
  fs::last_write_time(file, time);
  ASSERT_EQ(fs::last_write_time(file), time);
  const Digest overwritten = DigestNow(file);
  EXPECT_NE(overwritten, digest);
  folder_.Write("other", "weightS");
  fs::last_write_time(folder_ / "other", time);
  fs::rename(folder_ / "other", file);
  EXPECT_NE(DigestNow(file), digest);
  EXPECT_NE(DigestNow(file), overwritten);
}

TEST_F(DigestCacheTest, AFreshFileIsNotKept) {
  const DigestCache patient(cache_.file().parent_path());
  const fs::path file = folder_.Write("model", "weights");
  DigestOf(MappedFile(file), patient, pool_);
  EXPECT_FALSE(patient.Find(*StampOf(file)));
  EXPECT_FALSE(fs::exists(patient.file()));
}

TEST_F(DigestCacheTest, AFileOverwrittenWhileMappedIsRefused) {
  const fs::path file = folder_.Write("model", "weights");
  const MappedFile map(file);
  WaitForTick();
  folder_.Write("model", "WEIGHTS");
  EXPECT_THROW(DigestOf(map, cache_, pool_), Error);
}

TEST_F(DigestCacheTest, AFileReplacedWhileMappedKeepsItsDigest) {
  const fs::path file = folder_.Write("model", "weights");
  WaitForTick();
  const Digest digest = DigestNow(file);
  fs::remove(cache_.file());
  const MappedFile map(file);
  folder_.Write("other", "WEIGHTS");
  fs::rename(folder_ / "other", file);
  EXPECT_EQ(DigestOf(map, cache_, pool_), digest);
  EXPECT_FALSE(fs::exists(cache_.file()));
  EXPECT_NE(DigestNow(file), digest);
}

TEST_F(DigestCacheTest, ADamagedFileIsWrittenAnew) {
  const fs::path file = folder_.Write("model", "weights");
  WaitForTick();
  const Digest digest = DigestNow(file);
  const std::string good = TextOf(cache_.file());
  Plant(file);
  const std::string planted = TextOf(cache_.file());
  std::vector<std::string> bad = {"",
                                  "x",
                                  "linnet digests 2" + planted.substr(16),
                                  planted.substr(0, planted.size() - 1),
                                  planted + "1 2 3\n",
                                  std::string(100, '\0')};
  for (const size_t at : {size_t{20}, size_t{90}, planted.size() - 2}) {
    bad.push_back(planted);
    bad.back()[at] = bad.back()[at] == '1' ? '2' : '1';
  }
  for (const std::string& text : bad) {
    std::ofstream(cache_.file(), std::ios::binary) << text;
    EXPECT_EQ(DigestNow(file), digest);
    EXPECT_EQ(TextOf(cache_.file()), good);
  }
}

TEST_F(DigestCacheTest, AFolderThatCannotBeMadeIsNoError) {
  const fs::path file = folder_.Write("model", "weights");
  WaitForTick();
  const Digest digest = DigestNow(file);
  folder_.Write("taken", "");
  for (const fs::path& folder : {folder_ / "taken/linnet", fs::path("/proc/linnet"), fs::path()}) {
    EXPECT_EQ(DigestOf(MappedFile(file), DigestCache(folder, nanoseconds(0)), pool_), digest);
  }
  fs::remove(cache_.file());
  fs::create_directory(cache_.file());
  EXPECT_EQ(DigestNow(file), digest);
}

TEST_F(DigestCacheTest, ForgetsTheOldest) {
  const DigestCache small(folder_ / "small", nanoseconds(0), 3);
  FileStamp stamp{.device = 1, .inode = 0, .size = 2, .modified = -3, .changed = 4};
  for (; stamp.inode < 5; ++stamp.inode) small.Keep(stamp, Planted());
  for (stamp.inode = 0; stamp.inode < 5; ++stamp.inode) {
    EXPECT_EQ(small.Find(stamp).has_value(), stamp.inode >= 2) << stamp.inode;
  }
}

}  // namespace
}  // namespace linnet
