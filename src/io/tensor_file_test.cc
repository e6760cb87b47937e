// TensorFile: files, shards and folders are found and checked; pages are given back.
#include "io/tensor_file.h"

#include <gtest/gtest.h>

#include "base/memory.h"
#include "base/sanitized.h"
#include "io/test_bytes.h"

namespace linnet {
namespace {

using namespace test;  // NOLINT

std::string Shard(const std::string& name, const std::string& value) {
  std::string bytes =
      Safetensors("{\"" + name + "\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1]}}", 1);
  bytes.back() = value[0];
  return bytes;
}
std::string Index(const std::string& map) {
  return R"({"metadata":{"total_size":2},"weight_map":{)" + map + "}}";
}
std::string Refusal(const std::filesystem::path& path) {
  return MessageOf([&] { TensorFile::Open(path); });
}
bool Has(const std::string& message, const std::string& part) {
  EXPECT_NE(message.find(part), std::string::npos) << message;
  EXPECT_EQ(message.find('\n'), std::string::npos);
  return true;
}

TEST(TensorFileTest, ShardsAreOneModel) {
  const TemporaryFolder folder;
  folder.Write("m-1.safetensors", Shard("a", "\1"));
  folder.Write("m-2.safetensors", Shard("b", "\2"));
  const auto index = folder.Write("model.safetensors.index.json",
                                  Index(R"("a":"m-1.safetensors","b":"m-2.safetensors")"));
  for (const auto& path : {index, folder.path()}) {
    TensorFile file = TensorFile::Open(path);
    const TensorFile moved = std::move(file);  // views stay valid
    ASSERT_EQ(moved.tensors().size(), 2u);
    EXPECT_EQ(ReadInts(*moved.Find("a")), (std::vector<int64_t>{1}));
    EXPECT_EQ(ReadInts(*moved.Find("b")), (std::vector<int64_t>{2}));
    EXPECT_EQ(moved.path(), index);
    EXPECT_EQ(moved.file_bytes(), 2 * Shard("a", "1").size());
  }
}

// Wherever a tensor is read, and through however many views.
TEST(TensorFileTest, MessagesOfATensorsValuesNameItsFile) {
  const TemporaryFolder folder;
  const auto path = folder.Write(
      "f.safetensors", Safetensors(R"({"a":{"dtype":"BOOL","shape":[2,1],"data_offsets":[0,2]},)"
                                   R"("b":{"dtype":"F32","shape":[1],"data_offsets":[2,6]}})",
                                   6));
  TensorFile opened = TensorFile::Open(path);
  opened.Rename([](const std::string& name) { return "model." + name; });
  const TensorFile file = std::move(opened);
  const TensorView a = file.Find("model.a")->Transposed().Index(0);
  EXPECT_EQ(MessageOf([&] { ReadAll(a); }),
            path.string() + ": tensor model.a is BOOL, expected a float type");
  EXPECT_EQ(MessageOf([&] { ReadInts(*file.Find("model.b")); }),
            path.string() + ": tensor model.b is F32, expected an integer type");
}

TEST(TensorFileTest, TwoTensorsAreNotRenamedToOne) {
  const std::string bytes = Safetensors(R"({"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},)"
                                        R"("b":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}})",
                                        1);
  TensorFile file = TensorFile::Parse(Bytes(bytes), "f.st");
  Has(MessageOf([&] { file.Rename([](const std::string&) { return "c"; }); }),
      "f.st: holds two tensors c");
}

TEST(TensorFileTest, OnlyWhatTheIndexNamesIsThere) {
  const TemporaryFolder folder;
  folder.Write("s", Safetensors(R"({"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},)"
                                R"("b":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}})",
                                1));
  const auto file = TensorFile::Open(folder.Write("x.index.json", Index(R"("b":"s")")));
  EXPECT_EQ(file.Find("a"), nullptr);
  EXPECT_NE(file.Find("b"), nullptr);
}

TEST(TensorFileTest, ShardsMustNotLeaveTheFolder) {
  const TemporaryFolder folder;
  folder.Write("secret", Shard("a", "\1"));
  std::filesystem::create_directory(folder / "model");
  for (const char* name : {"../secret", "/etc/passwd", "..", ".", "", "sub/file", "a\\\\b"}) {
    const auto index =
        folder.Write("model/x.index.json", Index(std::string(R"("a":")") + name + "\""));
    Has(Refusal(index), "expected the name of a file beside the index");
  }
  Has(Refusal(folder.Write("model/x.index.json", Index(R"("a":3)"))), "tensor a is in ,");
}

TEST(TensorFileTest, AnIndexMustMatchItsShards) {
  const TemporaryFolder folder;
  folder.Write("s1", Shard("a", "\1"));
  folder.Write("s2", Shard("b", "\2"));
  const auto refusal = [&](const std::string& text) {
    return Refusal(folder.Write("x.index.json", text));
  };
  Has(refusal(Index(R"("a":"s3")")), "s3: missing, but x.index.json lists it");
  Has(refusal(Index(R"("c":"s1")")), "s1: lacks tensor c, which x.index.json expects");
  Has(refusal(Index(R"("a":"s1","a":"s1")")), "holds two tensors a");
  Has(refusal(Index("")), "has no weight_map");
  Has(refusal("[]"), "has no weight_map");
  Has(refusal("{"), "not valid JSON");
  Has(refusal(std::string(100000, '[')), "JSON nests deeper than 8");
}

TEST(TensorFileTest, AFolderStandsForItsOneCheckpoint) {
  const TemporaryFolder folder;
  Has(Refusal(folder.path()), "a folder with 0 checkpoints");
  folder.Write("only.st", Shard("a", "\1"));
  folder.Write("readme.md", "text");
  EXPECT_EQ(TensorFile::Open(folder.path()).tensors().size(), 1u);
  folder.Write("second.safetensors", Shard("a", "\1"));
  Has(Refusal(folder.path()), "a folder with 2 checkpoints");
  folder.Write("model.safetensors", Shard("c", "\1"));
  EXPECT_NE(TensorFile::Open(folder.path()).Find("c"), nullptr);
}

TEST(TensorFileTest, WhatCannotBeReadIsSaid) {
  const TemporaryFolder folder;
  const auto path = folder / "none.pth";
  EXPECT_EQ(Refusal(path), path.string() + ": cannot open: No such file or directory");
  Has(Refusal("/dev/null"), "/dev/null: not a regular file");
  Has(Refusal(folder.Write("empty.pth", "")), "empty.pth: empty (0 bytes)");
}

// 64 MB are read and dropped in turn: what stays resident is a small part of them.
TEST(TensorFileTest, DroppedTensorsLeaveMemory) {
  if (kSanitized) GTEST_SKIP() << "a sanitizer's shadow is resident too";
  const size_t kTensors = 8, kBytes = size_t{8} << 20;
  const TemporaryFolder folder;
  std::vector<std::pair<std::string, std::string>> items, storages;
  for (size_t i = 0; i < kTensors; ++i) {
    const std::string key = std::to_string(i);
    items.push_back({Str("t" + key), Vector(key, kBytes / 4)});
    storages.push_back({key, std::string(kBytes, static_cast<char>('0' + i))});
  }
  const auto path = folder.Write("m.pth", Pth(Dict(items), storages));
  storages.clear();
  std::vector<float> row(kBytes / 4);
  const auto file = TensorFile::Open(path);
  const uint64_t before = ResidentMemory();
  for (const auto& tensor : file.tensors()) {
    ReadRows(tensor, 0, 1, row.data());
    file.Drop(tensor);
  }
  EXPECT_LT(ResidentMemory(), before + 3 * kBytes);
}

}  // namespace
}  // namespace linnet
