// Writers: what is written is read back bit for bit, whole or not at all.
#include "io/tensor_writer.h"

#include <gtest/gtest.h>

#include <cstring>
#include <random>

#include "io/tensor_file.h"
#include "io/test_bytes.h"

namespace linnet {
namespace {

using namespace test;  // NOLINT
using Metadata = std::map<std::string, std::string>;

std::vector<std::byte> Copy(const TensorView& tensor) {
  std::vector<std::byte> bytes(tensor.elements() * ElementBytes(tensor.type));
  CopyRows(tensor, 0, tensor.rows(), bytes.data());
  return bytes;
}

class TensorWriterTest : public testing::TestWithParam<const char*> {
 protected:
  std::filesystem::path path() const { return folder_ / (std::string("m.") + GetParam()); }
  TemporaryFolder folder_;
};

INSTANTIATE_TEST_SUITE_P(Containers, TensorWriterTest, testing::Values("pth", "safetensors"));

TEST_P(TensorWriterTest, EveryTypeAndShapeComesBack) {
  std::vector<TensorSpec> specs = {
      {"matrix", SourceType::kF32, {3, 5}},  {"none", SourceType::kBF16, {0, 4}},
      {"odd", SourceType::kU8, {7}},         {"scalar", SourceType::kF64, {}},
      {"half", SourceType::kF16, {2, 1, 3}}, {"bf16", SourceType::kBF16, {300, 7}},
      {"i64", SourceType::kI64, {2}},        {"i32", SourceType::kI32, {2}},
      {"i16", SourceType::kI16, {2}},        {"i8", SourceType::kI8, {2}},
      {"bool", SourceType::kBool, {2}},      {"naïve \"name\"\n", SourceType::kF32, {1}},
      {"last none", SourceType::kF32, {0}}};
  std::mt19937 random(7);
  std::vector<std::byte> all;
  for (const auto& spec : specs) {
    size_t count = ElementBytes(spec.type);
    for (const size_t n : spec.shape) count *= n;
    for (size_t i = 0; i < count; ++i) all.push_back(static_cast<std::byte>(random()));
  }
  const auto writer = TensorWriter::Create(path(), specs, {{"key", "value \"quoted\""}});
  // Pieces that do not keep to the tensors' edges.
  for (size_t at = 0; at < all.size();) {
    const size_t size = std::min<size_t>(1 + random() % 50, all.size() - at);
    writer->Append(std::span(all).subspan(at, size));
    at += size;
  }
  EXPECT_FALSE(std::filesystem::exists(path()));
  writer->Finish();

  const auto file = TensorFile::Open(path());
  EXPECT_EQ(file.container(),
            std::string(GetParam()) == "pth" ? Container::kTorchZip : Container::kSafetensors);
  EXPECT_EQ(file.metadata(), std::string(GetParam()) == "pth"
                                 ? Metadata{}
                                 : (Metadata{{"key", "value \"quoted\""}}));
  ASSERT_EQ(file.tensors().size(), specs.size());
  std::vector<std::byte> back;
  for (size_t i = 0; i < specs.size(); ++i) {
    const auto& tensor = file.tensors()[i];
    EXPECT_EQ(tensor.name, specs[i].name);
    EXPECT_EQ(tensor.type, specs[i].type);
    EXPECT_EQ(tensor.shape, specs[i].shape);
    const auto bytes = Copy(tensor);
    back.insert(back.end(), bytes.begin(), bytes.end());
  }
  EXPECT_EQ(back, all);
}

TEST_P(TensorWriterTest, FloatsAreRoundedToTheTensorsType) {
  const std::vector<float> values = {1.0f, -0.3333333f, 65504, 1e-8f, 3.14159265f};
  std::vector<TensorSpec> specs;
  const SourceType types[] = {SourceType::kF32, SourceType::kF16, SourceType::kBF16,
                              SourceType::kF64};
  for (const auto type : types) specs.push_back({Name(type), type, {values.size()}});
  const auto writer = TensorWriter::Create(path(), specs);
  for (const auto type : types) writer->AppendFloats(type, values);
  writer->Finish();
  const auto file = TensorFile::Open(path());
  EXPECT_EQ(ReadAll(*file.Find("F32")), values);
  EXPECT_EQ(ReadAll(*file.Find("F64")), values);
  const auto f16 = ReadAll(*file.Find("F16")), bf16 = ReadAll(*file.Find("BF16"));
  for (size_t i = 0; i < values.size(); ++i) {
    EXPECT_NEAR(f16[i], values[i], std::abs(values[i]) * 0x1p-11 + 0x1p-25);
    EXPECT_NEAR(bf16[i], values[i], std::abs(values[i]) * 0x1p-8);
  }
}

TEST_P(TensorWriterTest, WhatIsCheckedCanBeReadAndDoesNotAppearIfRefused) {
  const std::vector<TensorSpec> specs = {{"t", SourceType::kF32, {2}}};
  const std::vector<float> values = {3, 4};
  const auto write = [&](bool refuse) {
    const auto writer = TensorWriter::Create(path(), specs);
    writer->AppendFloats(SourceType::kF32, values);
    writer->Finish([&](const std::filesystem::path& written) {
      EXPECT_FALSE(std::filesystem::exists(path()));
      EXPECT_EQ(ReadAll(*TensorFile::Open(written).Find("t")), values);
      if (refuse) throw Error(ErrorKind::kBadInput, "no");
    });
  };
  EXPECT_THROW(write(true), Error);
  EXPECT_TRUE(std::filesystem::is_empty(path().parent_path()));
  write(false);
  EXPECT_EQ(ReadAll(*TensorFile::Open(path()).Find("t")), values);
}

TEST_P(TensorWriterTest, WithoutFinishNothingAppears) {
  folder_.Write(path().filename(), "what stood here");
  {
    const auto writer = TensorWriter::Create(path(), {{"a", SourceType::kU8, {4}}});
    writer->Append(std::as_bytes(std::span("ab", 2)));
  }
  EXPECT_EQ(std::filesystem::file_size(path()), 15u);
  size_t files = 0;
  for ([[maybe_unused]] const auto& entry : std::filesystem::directory_iterator(folder_.path())) {
    ++files;
  }
  EXPECT_EQ(files, 1u);  // no temporary file stays
}

TEST_P(TensorWriterTest, DataBeginOnCacheLines) {
  const auto writer = TensorWriter::Create(
      path(), {{"abc", SourceType::kF32, {16}}, {"d", SourceType::kF32, {16}}});
  writer->AppendFloats(SourceType::kF32, std::vector<float>(32));
  writer->Finish();
  const auto file = TensorFile::Open(path());
  for (const auto& tensor : file.tensors()) {
    EXPECT_EQ(reinterpret_cast<uintptr_t>(tensor.data) % 64, 0u);
  }
}

TEST_P(TensorWriterTest, TheSameTensorsGiveTheSameBytes) {
  std::string files[2];
  for (auto& bytes : files) {
    const auto writer = TensorWriter::Create(path(), {{"a", SourceType::kF32, {3}}});
    writer->AppendFloats(SourceType::kF32, std::vector<float>{1, 2, 3});
    writer->Finish();
    const MappedFile map(path());
    bytes.assign(reinterpret_cast<const char*>(map.bytes().data()), map.bytes().size());
  }
  EXPECT_EQ(files[0], files[1]);
}

// More entries than a zip directory without ZIP64 can count.
TEST_P(TensorWriterTest, SeventyThousandTensorsComeBack) {
  std::vector<TensorSpec> specs;
  for (size_t i = 0; i < 70'000; ++i) specs.push_back({std::to_string(i), SourceType::kU8, {1}});
  const auto writer = TensorWriter::Create(path(), specs);
  std::vector<std::byte> data(specs.size());
  for (size_t i = 0; i < data.size(); ++i) data[i] = static_cast<std::byte>(i % 251);
  writer->Append(data);
  writer->Finish();
  const auto file = TensorFile::Open(path());
  ASSERT_EQ(file.tensors().size(), specs.size());
  for (const size_t i : {0, 255, 65534, 65535, 65536, 69999}) {
    EXPECT_EQ(ReadInts(*file.Find(std::to_string(i)))[0], static_cast<int64_t>(i % 251));
  }
}

TEST_P(TensorWriterTest, WhatCannotBeWrittenIsSaid) {
  const auto refusal = [&](std::vector<TensorSpec> specs) {
    return MessageOf([&] { TensorWriter::Create(path(), std::move(specs)); });
  };
  const TensorSpec a{"a", SourceType::kU8, {1}};
  EXPECT_NE(refusal({a, a}).find("tensor a: another has the same name"), std::string::npos);
  EXPECT_NE(refusal({{"\xff", SourceType::kU8, {1}}}).find("not UTF-8"), std::string::npos);
  EXPECT_NE(refusal({{"a", SourceType::kU8, {SIZE_MAX, 2}}}).find("too many elements"),
            std::string::npos);
  EXPECT_FALSE(std::filesystem::exists(path()));
  const auto nowhere = folder_ / "no such folder/m.pth";
  EXPECT_NE(MessageOf([&] { TensorWriter::Create(nowhere, {a}); }).find("cannot write"),
            std::string::npos);
}

TEST(TensorWriterRefusalTest, EachContainerRefusesWhatItLacks) {
  const TemporaryFolder folder;
  EXPECT_NE(MessageOf([&] {
              TensorWriter::Create(folder / "m.pth", {{"a", SourceType::kU16, {1}}});
            }).find(".pth has no U16; write .safetensors"),
            std::string::npos);
  EXPECT_NE(MessageOf([&] {
              TensorWriter::Create(folder / "m.st", {{"__metadata__", SourceType::kU8, {1}}});
            }).find("cannot be named __metadata__"),
            std::string::npos);
}

}  // namespace
}  // namespace linnet
