// The zip reader: entries where the directory says, ZIP64 too; everything else is refused.
#include "io/zip_reader.h"

#include <gtest/gtest.h>

#include "io/test_bytes.h"

namespace linnet {
namespace {

using namespace test;  // NOLINT

const std::vector<std::pair<std::string, std::string>> kEntries = {{"a/one", "first"},
                                                                   {"a/two", ""}};

std::string Refusal(const std::string& bytes) {
  return MessageOf([&] { ZipReader({Bytes(bytes), "f", false}); });
}

void ExpectEntries(const std::string& bytes) {
  const ZipReader zip({Bytes(bytes), "f", false});
  ASSERT_NE(zip.Find("a/one"), nullptr);
  EXPECT_EQ(AsText(zip.Find("a/one")->bytes), "first");
  EXPECT_EQ(zip.Find("a/two")->bytes.size(), 0u);
  EXPECT_EQ(zip.Find("a"), nullptr);
  EXPECT_EQ(zip.first_name(), "a/one");
}

TEST(ZipReaderTest, FindsEntriesByName) {
  ExpectEntries(Zip(kEntries));
  ExpectEntries(Zip(kEntries, {.comment = "a comment PK\x05\x06 at the end"}));
  ExpectEntries(Zip(kEntries, {.comment = std::string(65535, 'c')}));
}

TEST(ZipReaderTest, ReadsZip64) { ExpectEntries(Zip(kEntries, {.zip64 = true})); }

TEST(ZipReaderTest, EveryCutIsTruncated) {
  for (const bool zip64 : {false, true}) {
    const std::string whole = Zip(kEntries, {.zip64 = zip64});
    for (size_t size = 0; size < whole.size(); ++size) {
      EXPECT_NE(Refusal(whole.substr(0, size)).find("truncated"), std::string::npos) << size;
    }
  }
}

// With every byte of the archive changed in turn, either an error or other bytes, never a crash.
TEST(ZipReaderTest, NoSingleByteBreaksIt) {
  for (const bool zip64 : {false, true}) {
    const std::string whole = Zip(kEntries, {.zip64 = zip64});
    for (size_t at = 0; at < whole.size(); ++at) {
      for (const int flip : {0x01, 0x80, 0xff}) {
        std::string bytes = whole;
        bytes[at] = static_cast<char>(bytes[at] ^ flip);
        Refusal(bytes);
      }
    }
  }
}

TEST(ZipReaderTest, WhatTorchNeverWritesIsRefused) {
  EXPECT_NE(Refusal(Zip(kEntries, {.method = 8})).find("a/one is compressed"), std::string::npos);
  EXPECT_NE(Refusal(Zip(kEntries, {.flags = 1})).find("a/one is encrypted"), std::string::npos);
  EXPECT_NE(Refusal(Zip({{"x", ""}, {"x", ""}})).find("two entries x"), std::string::npos);
}

TEST(ZipReaderTest, SizesAndOffsetsAreCheckedBeforeUse) {
  const std::string good = Zip(kEntries);
  const size_t end = good.size() - 22, central = good.find("PK\x01\x02");
  const auto patched = [&](size_t at, const std::string& with) {
    std::string bytes = good;
    Patch(bytes, at, with);
    return Refusal(bytes);
  };
  const auto has = [](const std::string& message, const char* part) {
    return message.find(part) != std::string::npos;
  };
  EXPECT_TRUE(has(patched(end + 8, Little(0x70007000, 4)), "does not fit"));   // count
  EXPECT_TRUE(has(patched(end + 12, Little(0x7fffffff, 4)), "does not fit"));  // size
  EXPECT_TRUE(has(patched(end + 16, Little(0x7fffffff, 4)), "does not fit"));  // offset
  EXPECT_TRUE(has(patched(end + 8, Little(3, 2)), "several disks"));
  EXPECT_TRUE(has(patched(end + 4, Little(1, 2)), "several disks"));
  EXPECT_TRUE(has(patched(end + 16, Little(UINT32_MAX, 4)), "no ZIP64 locator"));
  EXPECT_TRUE(has(patched(central, "XX"), "directory is broken"));
  EXPECT_TRUE(has(patched(central + 30, Little(0xffff, 2)), "directory is broken"));
  EXPECT_TRUE(has(patched(central + 20, Little(0x7fffffff7fffffff, 8)), "ends past the file"));
  EXPECT_TRUE(has(patched(central + 20, Little(UINT64_MAX, 8)), "lacks its ZIP64 sizes"));
  EXPECT_TRUE(has(patched(central + 42, Little(0x7fffffff, 4)), "not where it should be"));
  EXPECT_TRUE(has(patched(central + 42, Little(1, 4)), "not where it should be"));
}

TEST(ZipReaderTest, Zip64ValuesAreCheckedBeforeUse) {
  const std::string good = Zip(kEntries, {.zip64 = true});
  const size_t end64 = good.find("PK\x06\x06"), locator = good.find("PK\x06\x07");
  const size_t extra = good.find(Little(1, 2) + Little(24, 2));
  const auto patched = [&](size_t at, uint64_t value, int size = 8) {
    std::string bytes = good;
    Patch(bytes, at, Little(value, size));
    return Refusal(bytes);
  };
  const auto has = [](const std::string& message, const char* part) {
    return message.find(part) != std::string::npos;
  };
  EXPECT_TRUE(has(patched(locator + 8, UINT64_MAX), "no ZIP64 end record"));
  EXPECT_TRUE(has(patched(locator + 8, 0), "no ZIP64 end record"));
  EXPECT_TRUE(has(patched(end64 + 24, 3), "several disks"));
  EXPECT_TRUE(has(patched(end64 + 40, UINT64_MAX), "does not fit"));
  EXPECT_TRUE(has(patched(end64 + 48, UINT64_MAX - 3), "does not fit"));
  EXPECT_TRUE(has(patched(extra + 4, UINT64_MAX), "compressed"));  // sizes differ
  EXPECT_TRUE(has(patched(extra + 20, UINT64_MAX - 3), "not where it should be"));
  EXPECT_TRUE(has(patched(extra + 2, 16, 2), "lacks its ZIP64 sizes"));
  EXPECT_TRUE(has(patched(extra - 5, 0xfff0, 2), "lacks its ZIP64 sizes"));
}

}  // namespace
}  // namespace linnet
