// .pth archives: what torch saves is read with its values, what is damaged or hostile is refused.
#include <gtest/gtest.h>

#include <atomic>
#include <cstring>
#include <numeric>
#include <thread>

#include "io/tensor_file.h"
#include "io/test_bytes.h"

namespace linnet {
namespace {

using namespace test;  // NOLINT

std::string Floats(const std::vector<float>& values) {
  return {reinterpret_cast<const char*>(values.data()), values.size() * sizeof(float)};
}

std::vector<float> Ramp(size_t n) {
  std::vector<float> values(n);
  std::iota(values.begin(), values.end(), 0.0f);
  return values;
}

TensorFile Seed(const std::string& name) { return TensorFile::Open("fuzz/corpus/pth/" + name); }

std::string Refusal(const std::string& bytes) {
  return MessageOf([&] { TensorFile::Parse(Bytes(bytes), "f.pth"); });
}

// A state dict {"w": value} over one storage "0" of four floats.
std::string RefusalOf(const std::string& value) {
  return Refusal(Pth(Dict({{Str("w"), value}}), {{"0", std::string(16, '\0')}}));
}

TEST(TorchFileTest, EveryTypeIsReadAsTorchWroteIt) {
  const auto file = Seed("types.pth");
  ASSERT_EQ(file.tensors().size(), 10u);
  for (const auto& tensor : file.tensors()) {
    EXPECT_EQ(tensor.shape, (std::vector<size_t>{3, 4}));
    if (IsFloat(tensor.type)) {
      EXPECT_EQ(ReadAll(tensor), Ramp(12)) << tensor.name;
      continue;
    }
    const auto values = ReadInts(tensor);
    for (size_t i = 0; i < 12; ++i) {
      const bool flag = tensor.type == SourceType::kBool;
      EXPECT_EQ(values[i], flag ? int64_t{i != 0} : static_cast<int64_t>(i)) << tensor.name;
    }
    EXPECT_NE(MessageOf([&] { ReadAll(tensor); }).find("expected a float type"), std::string::npos);
  }
}

// EmbeddingRWKV's reranker has a list of layers beside its tensors.
TEST(TorchFileTest, AListOfLayersIsMetadata) {
  const auto with = [](const std::string& value) {
    return Pth(Dict({{Str("w"), Vector("0", 4)}, {Str("reranker_layer_idx"), value}}),
               {{"0", std::string(16, '\0')}});
  };
  const auto read = [&](const std::string& value) {
    const std::string bytes = with(value);
    const auto file = TensorFile::Parse(Bytes(bytes), "f.pth");
    EXPECT_EQ(file.tensors().size(), 1u);
    const auto at = file.metadata().find("reranker_layer_idx");
    return at == file.metadata().end() ? "none" : at->second;
  };
  EXPECT_EQ(read("](" + Int(2) + Int(5) + Int(11) + "e"), "2,5,11");
  EXPECT_EQ(read(Ints({3, -1})), "3,-1");
  EXPECT_EQ(read("N"), "none");
  for (const std::string& bad : {Str("2,5"), Int(3), Dict({{Str("a"), Int(1)}}), std::string("]"),
                                 "](" + Int(1) + Str("2") + "e"}) {
    EXPECT_NE(Refusal(with(bad)).find("is no list of layers"), std::string::npos);
  }
}

TEST(TorchFileTest, ViewsAreReadInTheirOwnOrder) {
  const auto file = Seed("views.pth");
  using F = std::vector<float>;
  EXPECT_EQ(ReadAll(*file.Find("transposed")), (F{0, 4, 8, 1, 5, 9, 2, 6, 10, 3, 7, 11}));
  EXPECT_EQ(ReadAll(file.Find("transposed")->Transposed()), Ramp(12));
  EXPECT_EQ(ReadAll(*file.Find("column")), (F{1, 5, 9}));
  EXPECT_EQ(ReadAll(*file.Find("block")), (F{6, 7, 10, 11}));
  EXPECT_EQ(ReadAll(*file.Find("scalar")), (F{7.5f}));
  EXPECT_EQ(ReadAll(*file.Find("empty")), F{});
  const auto permuted = ReadAll(*file.Find("permuted"));  // [4, 2, 3]
  for (size_t k = 0; k < 4; ++k) {
    for (size_t ij = 0; ij < 6; ++ij) EXPECT_EQ(permuted[k * 6 + ij], float(ij * 4 + k));
  }
}

TEST(TorchFileTest, TensorsOfOneStorageShareItsBytes) {
  const auto file = Seed("shared.pth");
  EXPECT_EQ(file.Find("whole")->data, file.Find("again")->data);
  EXPECT_EQ(ReadAll(*file.Find("row")), (std::vector<float>{8, 9, 10, 11}));
}

TEST(TorchFileTest, ParametersMetadataAndOtherEntriesDoNotMatter) {
  for (const char* name : {"module_state.pth", "parameter.pth", "protocol4.pth", "wrapped.pth"}) {
    const auto file = Seed(name);
    ASSERT_NE(file.Find("weight"), nullptr) << name;
    EXPECT_EQ(ReadAll(*file.Find("weight")), Ramp(12)) << name;
    EXPECT_EQ(file.Find("note"), nullptr);
  }
}

TEST(TorchFileTest, TheFormatBefore16IsReadToo) {
  const auto file = Seed("legacy.pth");
  EXPECT_EQ(file.container(), Container::kTorchLegacy);
  EXPECT_EQ(ReadAll(*file.Find("weight")), Ramp(12));
  EXPECT_EQ(ReadAll(*file.Find("half")), Ramp(12));
  EXPECT_EQ(ReadAll(*file.Find("row")), (std::vector<float>{8, 9, 10, 11}));
}

TEST(TorchFileTest, ACutLegacyFileIsTruncated) {
  const MappedFile map("fuzz/corpus/pth/legacy.pth");
  const std::string whole(reinterpret_cast<const char*>(map.bytes().data()), map.bytes().size());
  for (size_t size = 20; size < whole.size(); ++size) {
    const std::string cut = whole.substr(0, size);
    EXPECT_NE(Refusal(cut), "") << size;
  }
  EXPECT_NE(Refusal(whole.substr(0, whole.size() - 1)).find("truncated"), std::string::npos);
  std::string version = whole;
  Patch(version, 18, "\x7f");
  EXPECT_NE(Refusal(version).find("unknown version"), std::string::npos);
}

TEST(TorchFileTest, WhatIsNoStateDictIsSaid) {
  const auto message = [](const char* name) { return MessageOf([&] { Seed(name); }); };
  EXPECT_NE(message("optimizer.pth").find("an optimizer's state"), std::string::npos);
  EXPECT_NE(Seed("list.pth").Find("state.000"), nullptr);  // as ChatRWKV saves a state
  EXPECT_NE(message("class.pth").find("asks for torch.nn.modules.container.Sequential"),
            std::string::npos);
  const auto of = [](const std::string& root) {
    return Refusal(Pth(root, {{"0", std::string(16, '\0')}}));
  };
  EXPECT_NE(of("]").find("holds a list"), std::string::npos);
  EXPECT_NE(of(Vector("0", 4)).find("holds a single tensor"), std::string::npos);
  EXPECT_NE(of(Tuple({Vector("0", 4)})).find("holds a tuple"), std::string::npos);
  EXPECT_NE(of(Str("x")).find("holds a string"), std::string::npos);
  EXPECT_NE(of("N").find("holds a plain value"), std::string::npos);
  EXPECT_NE(of(Dict({{Str("a"), "N"}})).find("1 entries without any tensor"), std::string::npos);
  EXPECT_NE(of(Dict({{Str("_strategy"), Str("cpu fp32")}})).find("converted by ChatRWKV"),
            std::string::npos);
  EXPECT_NE(of(Dict({{Int(3), Vector("0", 4)}})).find("not a string"), std::string::npos);
  EXPECT_NE(of(Dict({{Str("\xff"), Vector("0", 4)}})).find("not a string of UTF-8"),
            std::string::npos);
  const auto w = Vector("0", 4);
  EXPECT_NE(of(Dict({{Str("w"), w}, {Str("w"), w}})).find("two tensors w"), std::string::npos);
}

TEST(TorchFileTest, AnyOtherGlobalIsAnErrorThatNamesIt) {
  const std::string evil = "cposix\nsystem\n" + Tuple({Str("touch /tmp/owned")}) + "R";
  EXPECT_NE(RefusalOf(evil).find("asks for posix.system"), std::string::npos);
  // Names are cleaned: a message is one line of printable characters.
  const std::string noisy = RefusalOf("cos\r\x1b[31m\nsystem\n)R");
  EXPECT_NE(noisy.find("asks for os??[31m.system"), std::string::npos);
  EXPECT_EQ(noisy.find('\n'), std::string::npos);
}

TEST(TorchFileTest, TensorsMustLieInTheirStorage) {
  const auto four = Storage("FloatStorage", "0", 4);
  EXPECT_EQ(RefusalOf(Tensor(four, 0, {2, 2}, {2, 1})), "");
  EXPECT_EQ(RefusalOf(Tensor(four, 3, {}, {})), "");
  EXPECT_EQ(RefusalOf(Tensor(four, 9, {0, 7}, {1, 1})), "");
  for (const auto& past :
       {Tensor(four, 1, {4}, {1}), Tensor(four, 4, {}, {}), Tensor(four, 0, {2, 2}, {3, 1}),
        Tensor(four, INT64_MAX, {2}, {1}), Tensor(four, 0, {2}, {INT64_MAX}),
        Tensor(four, 0, {3, 3}, {INT64_MAX, INT64_MAX})}) {
    EXPECT_NE(RefusalOf(past).find("reaches past its storage"), std::string::npos);
  }
  EXPECT_NE(RefusalOf(Tensor(four, 0, {1000000}, {0})).find("repeats its storage"),
            std::string::npos);
  EXPECT_NE(
      RefusalOf(Tensor(four, 0, {1 << 30, 1 << 30, 1 << 30}, {0, 0, 0})).find("too many elements"),
      std::string::npos);
  EXPECT_NE(RefusalOf(Tensor(four, 0, {0, int64_t{1} << 40, int64_t{1} << 40}, {1, 1, 1}))
                .find("too many elements"),
            std::string::npos);
  EXPECT_NE(RefusalOf(Tensor(four, -1, {2}, {1})).find("an offset is negative"), std::string::npos);
  EXPECT_NE(RefusalOf(Tensor(four, 0, {-2}, {1})).find("a dimension is negative"),
            std::string::npos);
  EXPECT_NE(RefusalOf(Tensor(four, 0, {2}, {-1})).find("a stride is negative"), std::string::npos);
  EXPECT_NE(RefusalOf(Tensor(four, 0, {2, 2}, {1})).find("2 sizes and 1 strides"),
            std::string::npos);
}

TEST(TorchFileTest, StoragesMustBeThereAndOfTheirSize) {
  EXPECT_NE(RefusalOf(Vector("1", 4)).find("lacks the storage m/data/1"), std::string::npos);
  EXPECT_NE(RefusalOf(Vector("0", 5)).find("storage 0 has 16 bytes, expected 5 F32"),
            std::string::npos);
  EXPECT_NE(RefusalOf(Vector("0", int64_t{1} << 62)).find("has 16 bytes"), std::string::npos);
  EXPECT_NE(RefusalOf(Tensor(Storage("FloatTensor", "0", 4), 0, {4}, {1})).find("FloatTensor"),
            std::string::npos);
  EXPECT_NE(
      RefusalOf(Tensor(Storage("Size", "0", 4), 0, {4}, {1})).find("an unknown storage class"),
      std::string::npos);
}

TEST(TorchFileTest, ADamagedStorageIsFoundWhenItIsRead) {
  const std::string data = Floats(Ramp(4));
  std::string bytes = Pth(Dict({{Str("a"), Vector("0", 4)}, {Str("b"), Vector("1", 4)}}),
                          {{"0", data}, {"1", data + ""}});
  bytes[bytes.find(data) + 5] ^= 1;
  const auto file = TensorFile::Parse(Bytes(bytes), "f.pth");
  for (int i = 0; i < 2; ++i) {
    const auto message = MessageOf([&] { ReadAll(*file.Find("a")); });
    EXPECT_NE(message.find("f.pth: m/data/0: the bytes have CRC-32"), std::string::npos) << message;
    std::vector<std::byte> raw(16);
    EXPECT_NE(MessageOf([&] { CopyRows(*file.Find("a"), 0, 1, raw.data()); }), "");
  }
  EXPECT_EQ(ReadAll(*file.Find("b")), Ramp(4));
}

TEST(TorchFileTest, ADamagedPickleIsFoundAtOnce) {
  std::string bytes = Pth(Dict({{Str("a"), Vector("0", 4)}}), {{"0", Floats(Ramp(4))}});
  bytes[bytes.find("FloatStorage")] ^= 1;
  EXPECT_NE(Refusal(bytes).find("f.pth: data.pkl: the bytes have CRC-32"), std::string::npos);
}

// torch.serialization.set_crc32_options(False) writes 0 for "not computed".
TEST(TorchFileTest, AChecksumOfZeroIsNone) {
  const std::string data = Floats(Ramp(4));
  std::string bytes = Pth(Dict({{Str("a"), Vector("0", 4)}}), {{"0", data}});
  const auto crc = crc32(0, reinterpret_cast<const Bytef*>(data.data()), 16);
  for (size_t at; (at = bytes.find(Little(crc, 4))) != std::string::npos;) {
    Patch(bytes, at, Little(0, 4));
  }
  const auto file = TensorFile::Parse(Bytes(bytes), "f.pth");
  EXPECT_EQ(ReadAll(*file.Find("a")), Ramp(4));
}

TEST(TorchFileTest, ManyThreadsMayReadATensorFirst) {
  const std::vector<float> values = Ramp(1 << 20);
  const auto n = static_cast<int64_t>(values.size());
  const TemporaryFolder folder;
  const auto path =
      folder.Write("m.pth", Pth(Dict({{Str("a"), Vector("0", n)}}), {{"0", Floats(values)}}));
  const auto file = TensorFile::Open(path);
  std::atomic<int> equal{0};
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&] {
      equal += ReadAll(*file.Find("a")) == values ? 1 : 0;
      file.Drop(*file.Find("a"));
    });
  }
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(equal, 4);
}

TEST(TorchFileTest, OtherZipArchivesAreNamed) {
  EXPECT_NE(Refusal(Zip({{"word/document.xml", "x"}})).find("first entry is word/document.xml"),
            std::string::npos);
  EXPECT_NE(Refusal(Zip({{"m/data.pkl", "x"}, {"m/constants.pkl", "x"}})).find("TorchScript"),
            std::string::npos);
  EXPECT_NE(Refusal(Zip({{"m/data.pkl", "x"}, {"m/byteorder", "big"}})).find("byte order big"),
            std::string::npos);
}

}  // namespace
}  // namespace linnet
