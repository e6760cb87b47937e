// AtomicFile: complete under its name or absent; MappedFile: what can be mapped.
#include "base/atomic_file.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>
#include <string>

#include "base/mapped_file.h"
#include "base/scratch_folder.h"
#include "linnet/error.h"

namespace linnet {
namespace {

namespace fs = std::filesystem;

class AtomicFileTest : public testing::Test {
 protected:
  static std::string Read(const fs::path& path) {
    const MappedFile map(path);
    return {reinterpret_cast<const char*>(map.bytes().data()), map.bytes().size()};
  }
  size_t Files() const {
    return static_cast<size_t>(
        std::distance(fs::directory_iterator(folder_), fs::directory_iterator()));
  }
  const test::TemporaryFolder scratch_;
  const fs::path folder_ = scratch_.path();
};

TEST_F(AtomicFileTest, AppearsWholeOnCommit) {
  const auto path = folder_ / "f";
  // Pieces smaller and larger than any buffer.
  const std::string large(3'000'000, 'x'), small = "small";
  {
    AtomicFile file(path);
    file.Write(small);
    file.Write(large);
    file.Write(small);
    EXPECT_EQ(file.offset(), large.size() + 2 * small.size());
    EXPECT_FALSE(fs::exists(path));
    file.Commit();
  }
  EXPECT_EQ(Read(path), small + large + small);
  EXPECT_EQ(Files(), 1u);
}

TEST_F(AtomicFileTest, WithoutCommitWhatStoodThereStays) {
  const auto path = folder_ / "f";
  AtomicFile old(path);
  old.Write("old");
  old.Commit();
  { AtomicFile(path).Write("new"); }
  EXPECT_EQ(Read(path), "old");
  EXPECT_EQ(Files(), 1u);
}

TEST_F(AtomicFileTest, WhatIsCheckedAndRefusedDoesNotAppear) {
  const auto path = folder_ / "f";
  AtomicFile old(path);
  old.Write("old");
  old.Commit();
  std::string seen;
  const auto look = [&](const fs::path& written) {
    EXPECT_NE(written, path);
    seen = Read(written);
  };
  {
    AtomicFile file(path);
    file.Write("new");
    EXPECT_THROW(file.Commit([&](const fs::path& written) {
      look(written);
      throw Error(ErrorKind::kBadInput, "no");
    }),
                 Error);
  }
  EXPECT_EQ(seen, "new");
  EXPECT_EQ(Read(path), "old");
  EXPECT_EQ(Files(), 1u);
  AtomicFile file(path);
  file.Write("newer");
  file.Commit(look);
  EXPECT_EQ(seen, "newer");
  EXPECT_EQ(Read(path), "newer");
  EXPECT_EQ(Files(), 1u);
}

TEST_F(AtomicFileTest, TwoWritersOfOneNameDoNotMix) {
  const auto path = folder_ / "f";
  AtomicFile a(path), b(path);
  a.Write("aaaa");
  b.Write("bb");
  a.Commit();
  EXPECT_EQ(Read(path), "aaaa");
  b.Commit();
  EXPECT_EQ(Read(path), "bb");
}

TEST_F(AtomicFileTest, ALinkIsFollowedAndADeviceIsNotReplaced) {
  fs::create_symlink("target", folder_ / "link");
  AtomicFile linked(folder_ / "link");
  linked.Write("data");
  linked.Commit();
  EXPECT_TRUE(fs::is_symlink(folder_ / "link"));
  EXPECT_EQ(Read(folder_ / "target"), "data");
  AtomicFile null("/dev/null");
  null.Write("data");
  null.Commit();
  EXPECT_TRUE(fs::is_character_file("/dev/null"));
}

TEST_F(AtomicFileTest, WhatCannotBeWrittenIsSaid) {
  EXPECT_THROW(AtomicFile(folder_ / "none/f"), Error);
  EXPECT_THROW(AtomicFile{folder_}, Error);
  for (const bool read : {false, true}) {
    try {
      read ? (void)MappedFile{fs::path()} : (void)AtomicFile{fs::path()};
      ADD_FAILURE();
    } catch (const Error& error) {
      EXPECT_NE(std::string(error.what()).find("is empty"), std::string::npos) << error.what();
    }
  }
}

TEST_F(AtomicFileTest, SpaceIsSoughtWhereTheFileWillBe) {
  const uint64_t huge = uint64_t{1} << 62;
  fs::create_symlink(folder_ / "target", folder_ / "link");
  for (const char* name : {"new", "link", "f"}) {
    EXPECT_NO_THROW(CheckSpace(folder_ / name, 1)) << name;
    try {
      CheckSpace(folder_ / name, huge);
      ADD_FAILURE() << name;
    } catch (const Error& error) {
      EXPECT_NE(std::string(error.what()).find("4611686018.4 GB"), std::string::npos)
          << error.what();
    }
  }
  EXPECT_NO_THROW(CheckSpace("/dev/null", huge));
  EXPECT_NO_THROW(CheckSpace(folder_ / "none/f", huge));  // opening it gives the better message
}

TEST_F(AtomicFileTest, APipeIsRefusedWithoutWaitingForItsWriter) {
  const auto pipe = folder_ / "pipe";
  ASSERT_EQ(mkfifo(pipe.c_str(), 0600), 0);
  EXPECT_THROW(MappedFile{pipe}, Error);
  EXPECT_THROW(MappedFile{folder_}, Error);
}

TEST_F(AtomicFileTest, DroppedPagesAreReadAgain) {
  const auto path = folder_ / "f";
  const std::string text(100'000, 'y');
  AtomicFile file(path);
  file.Write(text);
  file.Commit();
  MappedFile first(path);
  const MappedFile map = std::move(first);
  EXPECT_TRUE(first.bytes().empty());  // NOLINT: moved from on purpose
  for (int i = 0; i < 2; ++i) {
    EXPECT_EQ(std::string(reinterpret_cast<const char*>(map.bytes().data()), map.bytes().size()),
              text);
    MappedFile::Drop(map.bytes());
  }
}

}  // namespace
}  // namespace linnet
