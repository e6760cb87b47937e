#include "io/deflated_text.h"

#include <gtest/gtest.h>

#include "linnet/error.h"

namespace linnet {
namespace {

constexpr size_t kMost = 1 << 20;

std::string FailureOf(std::span<const std::byte> bytes, size_t most = kMost) {
  try {
    InflateText(bytes, most, "file");
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kBadModel);
    return error.what();
  }
  return "";
}

TEST(DeflatedTextTest, WhatWasDeflatedComesBack) {
  std::string text;
  for (int i = 0; i < 20000; ++i) text += std::to_string(i * i) + '\n';
  const auto bytes = DeflateText(text);
  EXPECT_LT(bytes.size(), text.size() / 2);
  EXPECT_EQ(InflateText(bytes, kMost, "file"), text);
  EXPECT_EQ(InflateText(DeflateText(""), 0, "file"), "");
}

TEST(DeflatedTextTest, AChangedShortenedOrLongerStreamIsRefused) {
  auto bytes = DeflateText("1 ' ' 1\n2 'the' 3\n3 'linnet' 6\n");
  for (size_t i = 0; i < bytes.size(); ++i) {
    auto changed = bytes;
    changed[i] ^= std::byte{0x10};
    EXPECT_NE(FailureOf(changed), "") << "byte " << i;
    EXPECT_NE(FailureOf(std::span(bytes).first(i)), "") << i << " bytes";
  }
  bytes.push_back(std::byte{0});
  EXPECT_EQ(FailureOf(bytes), "file: has 1 bytes after its zlib stream");
}

TEST(DeflatedTextTest, ABombStopsAtTheLimit) {
  const auto bytes = DeflateText(std::string(50 << 20, ' '));
  EXPECT_LT(bytes.size(), size_t{64} << 10);
  EXPECT_EQ(FailureOf(bytes), "file: is a text of more than 1048576 bytes");
}

}  // namespace
}  // namespace linnet
