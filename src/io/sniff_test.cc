// A wrong file gets one line: the file, what was found, what was expected, what to do.
#include "io/sniff.h"

#include <gtest/gtest.h>

#include "io/test_bytes.h"

namespace linnet {
namespace {

using namespace test;  // NOLINT

TEST(SniffTest, AWrongFileIsSaidInOneLine) {
  const std::pair<std::string, const char*> cases[] = {
      {"",
       "f.pth: empty (0 bytes), expected a .pth, .safetensors or .gguf checkpoint; download it "
       "again"},
      {std::string(5000, '\0'), "f.pth: begins with 4096 zero bytes, expected"},
      {"<!DOCTYPE html><html>404", "f.pth: a web page (HTML), perhaps an error"},
      {"\n  <HTML>", "a web page (HTML)"},
      {"\xef\xbb\xbf<html>", "a web page (HTML)"},
      {"<?xml version='1.0'?><Error/>", "a web page (HTML)"},
      {"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 3\n", "a git-lfs pointer"},
      {"\x1f\x8b\x08",
       "gzip data, expected a .pth, .safetensors or .gguf checkpoint; unpack it first"},
      {"BZh91AY", "bzip2 data"},
      {"\xfd"
       "7zXZ",
       "xz data"},
      {"\x28\xb5\x2f\xfd", "zstd data"},
      {"7z\xbc\xaf\x27\x1c", "a 7z archive"},
      {"Rar!", "a rar archive"},
      {std::string(257, 'a') + "ustar", "a tar archive"},
      {"\x93NUMPY", "a numpy array"},
      {"lmgg....", "an old ggml file"},
      {"%PDF-1.4", "a PDF document"},
      {"{\"vocab_size\": 3}", "a JSON text"},
      {"  [1]", "a JSON text"},
      {"Not found", "a plain text"},
      {"caf\xc3", "a plain text"},
      {"\x80\x04K\x01.", "a bare Python pickle"},
      {"\x01\x02\x03\xff", "of no known format (it begins with 01 02 03 ff), expected"},
  };
  for (const auto& wrong : cases) {
    const auto& part = wrong.second;
    const std::string message = MessageOf([&] { Sniff({Bytes(wrong.first), "f.pth", false}); });
    EXPECT_NE(message.find(part), std::string::npos) << part << "\n" << message;
    EXPECT_TRUE(message.starts_with("f.pth: "));
    EXPECT_NE(message.find("expected"), std::string::npos);
    EXPECT_EQ(message.find('\n'), std::string::npos);
    EXPECT_FALSE(message.ends_with("."));
  }
}

TEST(SniffTest, ContainersAreToldByContent) {
  const auto sniff = [](const std::string& bytes) { return Sniff({Bytes(bytes), "f", false}); };
  EXPECT_EQ(sniff("PK\x03\x04"), Container::kTorchZip);
  EXPECT_EQ(sniff("PK\x05\x06"), Container::kTorchZip);
  EXPECT_EQ(sniff("GGUF\x03"), Container::kGguf);
  EXPECT_EQ(sniff(Little(0x67676d66, 4) + Little(101, 4)), Container::kGgmf);
  EXPECT_EQ(sniff(Safetensors("{}", 0)), Container::kSafetensors);
}

}  // namespace
}  // namespace linnet
