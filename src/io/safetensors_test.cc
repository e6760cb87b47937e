// safetensors: every dtype and the metadata are read, every size is checked.
#include <gtest/gtest.h>

#include <cmath>

#include "io/tensor_file.h"
#include "io/test_bytes.h"

namespace linnet {
namespace {

using namespace test;  // NOLINT

std::string Refusal(const std::string& bytes) {
  return MessageOf([&] { TensorFile::Parse(Bytes(bytes), "f.st"); });
}
std::string Entry(const std::string& fields, size_t data = 8) {
  return Refusal(Safetensors(R"({"t":{)" + fields + "}}", data));
}
bool Has(const std::string& message, const char* part) {
  EXPECT_NE(message.find(part), std::string::npos) << message;
  EXPECT_EQ(message.find('\n'), std::string::npos);
  return true;
}

TEST(SafetensorsTest, TensorsViewTheDataBehindTheHeader) {
  const std::string header = R"({"__metadata__":{"format":"pt","by":"hand"},)"
                             R"("a":{"dtype":"F32","shape":[2,1],"data_offsets":[0,8]},)"
                             R"("s":{"shape":[],"dtype":"I64","data_offsets":[8,16]},)"
                             R"("none":{"dtype":"BF16","shape":[0,3],"data_offsets":[16,16]}}   )";
  std::string bytes = Safetensors(header, 16);
  const float values[2] = {1.5f, -2};
  Patch(bytes, bytes.size() - 16, {reinterpret_cast<const char*>(values), 8});
  Patch(bytes, bytes.size() - 8, Little(static_cast<uint64_t>(-7), 8));
  const auto file = TensorFile::Parse(Bytes(bytes), "f.st");
  EXPECT_EQ(file.container(), Container::kSafetensors);
  EXPECT_EQ(file.metadata().at("by"), "hand");
  EXPECT_EQ(file.metadata().size(), 2u);
  EXPECT_EQ(file.tensors().size(), 3u);
  EXPECT_EQ(ReadAll(*file.Find("a")), (std::vector<float>{1.5f, -2}));
  EXPECT_EQ(ReadInts(*file.Find("s")), (std::vector<int64_t>{-7}));
  EXPECT_TRUE(ReadAll(*file.Find("none")).empty());
}

TEST(SafetensorsTest, EveryTypeHasItsSize) {
  const std::pair<const char*, size_t> types[] = {
      {"F64", 8}, {"F32", 4}, {"F16", 2},  {"BF16", 2},    {"I64", 8},
      {"I32", 4}, {"I16", 2}, {"I8", 1},   {"U8", 1},      {"U16", 2},
      {"U32", 4}, {"U64", 8}, {"BOOL", 1}, {"F8_E4M3", 1}, {"F8_E5M2", 1}};
  for (const auto& [name, size] : types) {
    const std::string bytes =
        Safetensors(std::string(R"({"t":{"dtype":")") + name +
                        R"(","shape":[3],"data_offsets":[0,)" + std::to_string(3 * size) + "]}}",
                    3 * size);
    const auto file = TensorFile::Parse(Bytes(bytes), "f.st");
    const auto& tensor = file.tensors()[0];
    EXPECT_STREQ(Name(tensor.type), name);
    EXPECT_EQ(ElementBytes(tensor.type), size);
    if (IsFloat(tensor.type)) {
      EXPECT_EQ(ReadAll(tensor), std::vector<float>(3)) << name;
    } else {
      EXPECT_EQ(ReadInts(tensor), std::vector<int64_t>(3)) << name;
    }
  }
}

TEST(SafetensorsTest, SizesAndOffsetsAreCheckedBeforeUse) {
  Has(Entry(R"("dtype":"F32","shape":[3],"data_offsets":[0,8])"),
      "tensor t: F32[3] does not take the 8 bytes");
  Has(Entry(R"("dtype":"F32","shape":[2],"data_offsets":[0,7])"), "does not take the 7 bytes");
  Has(Entry(R"("dtype":"F32","shape":[2],"data_offsets":[8,0])"), "[8, 0] are reversed");
  Has(Entry(R"("dtype":"F32","shape":[2],"data_offsets":[8,16])"), "truncated: tensor t ends at");
  Has(Entry(R"("dtype":"F32","shape":[2],"data_offsets":[0,18446744073709551615])"), "truncated");
  Has(Entry(R"("dtype":"F32","shape":[4294967296,4294967296,0],"data_offsets":[0,0])"),
      "does not take the 0 bytes");
  Has(Entry(R"("dtype":"F32","shape":[9223372036854775807,4],"data_offsets":[0,8])"),
      "does not take");
}

TEST(SafetensorsTest, EntriesMustBeWhole) {
  Has(Entry(R"("dtype":"F32","shape":[2])"), "needs dtype, shape and two data_offsets");
  Has(Entry(R"("dtype":"F32","shape":[2],"data_offsets":[0])"), "two data_offsets");
  Has(Entry(R"("dtype":"F32","shape":[2],"data_offsets":[0,8,8])"), "list of at most 2");
  Has(Entry(R"("dtype":"F32","data_offsets":[0,8])"), "needs dtype");
  Has(Entry(R"("shape":[2],"data_offsets":[0,8])"), "needs dtype");
  Has(Entry(R"("dtype":"F4","shape":[2],"data_offsets":[0,8])"), "unknown dtype F4");
  Has(Entry(R"("dtype":"F32","dtype":"F32")"), "unexpected dtype");
  Has(Entry(R"("dtype":3)"), "unexpected dtype");
  Has(Entry(R"("shape":2)"), "shape is not a list");
  Has(Entry(R"("shape":[-2])"), "shape is not a list");
  Has(Entry(R"("shape":[2.5])"), "shape is not a list");
  Has(Entry(R"("shape":["2"])"), "shape is not a list");
  Has(Entry(R"("shape":[true])"), "shape is not a list");
  Has(Entry(R"("shape":[null])"), "shape is not a list");
  Has(Entry(R"("shape":[[2]])"), "shape is not a list");
  Has(Entry(R"("shape":[1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1])"), "shape is not a list");
  Has(Entry(R"("colour":"red")"), "unexpected colour");
  Has(Entry(R"("dtype":{"a":{}})"), "unexpected dtype");
}

TEST(SafetensorsTest, TheHeaderMustBeAnObjectOfObjects) {
  const auto refusal = [](const std::string& header) { return Refusal(Safetensors(header, 8)); };
  Has(refusal("{}"), "holds no tensors");
  Has(refusal(R"({"t":[]})"), "header entry t is not an object");
  Has(refusal(R"({"t":1})"), "header entry t is not an object");
  Has(refusal(R"({"__metadata__":{"a":1}})"), "metadata a is not a string");
  Has(refusal(R"({"__metadata__":{"a":{"b":"c"}}})"), "metadata a is not a string");
  Has(refusal(R"({"t":{"dtype":"F32")"), "not valid JSON at byte 20");
  Has(refusal("{\"t\":\"\xff\"}"), "not valid JSON");
  Has(refusal(R"({"t":{)" + std::string(100000, '[')), "not valid JSON");
  const std::string entry = R"("t":{"dtype":"U8","shape":[1],"data_offsets":[0,1]})";
  Has(refusal("{" + entry + "," + entry + "}"), "holds two tensors t");
}

TEST(SafetensorsTest, AHeaderLargerThanTheFileReservesNothing) {
  Has(Refusal(Little(50'000'000, 8) + "{}" + std::string(80, ' ')),
      "truncated: its safetensors header has 50000000 bytes, the file 90");
  Has(Refusal(Little(uint64_t{1} << 40, 8) + "{}" + std::string(80, ' ')),
      "expected at most 100000000");
}

TEST(SafetensorsTest, EveryCutIsTruncated) {
  const std::string whole =
      Safetensors(R"({"a":{"dtype":"F32","shape":[2,1],"data_offsets":[0,8]}})", 8);
  for (size_t size = 9; size < whole.size(); ++size) {
    Has(Refusal(whole.substr(0, size)), "f.st: truncated");
  }
}

}  // namespace
}  // namespace linnet
