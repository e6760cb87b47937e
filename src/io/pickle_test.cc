// The pickle machine: values as Python would build them, and no input that it cannot end.
#include "io/pickle.h"

#include <gtest/gtest.h>

#include "io/test_bytes.h"

namespace linnet {
namespace {

using namespace test;  // NOLINT
using Kind = PickleValue::Kind;

Pickle Read(const std::string& body) {
  static std::string bytes;  // the result points into it
  bytes = Pickled(body);
  return ReadPickle(Bytes(bytes), "p");
}
PickleValue Root(const std::string& body) {
  const Pickle pickle = Read(body);
  return pickle.values[pickle.root];
}
std::string Refusal(const std::string& body) {
  return MessageOf([&] { Read(body); });
}
bool Refuses(const std::string& body, const char* part) {
  const std::string message = Refusal(body);
  EXPECT_NE(message.find(part), std::string::npos) << message;
  return message.find(part) != std::string::npos;
}

TEST(PickleTest, ScalarsHaveTheirValues) {
  EXPECT_EQ(Root("K\xff").integer, 255);
  EXPECT_EQ(Root("M\xff\xff").integer, 65535);
  EXPECT_EQ(Root("J\xff\xff\xff\xff").integer, -1);
  EXPECT_EQ(Root("\x8a" + std::string(1, '\0')).integer, 0);
  EXPECT_EQ(Root("\x8a\x01\x80").integer, -128);
  EXPECT_EQ(Root(std::string("\x8a\x02\x80\x00", 4)).integer, 128);
  EXPECT_EQ(Root(Int(INT64_MIN)).integer, INT64_MIN);
  EXPECT_EQ(Root("\x8b" + Little(2, 4) + "\x01\x02").integer, 0x201);
  EXPECT_EQ(Root("\x8a\x09" + std::string(9, '\x11')).kind, Kind::kOpaque);
  EXPECT_EQ(Root("\x88").integer, 1);
  EXPECT_EQ(Root("\x89").integer, 0);
  EXPECT_EQ(Root("N").kind, Kind::kNone);
  EXPECT_EQ(Root("G" + std::string(8, '\0')).kind, Kind::kFloat);
}

TEST(PickleTest, TextComesInEveryLengthOfLength) {
  EXPECT_EQ(Root(Str("abc")).text, "abc");
  EXPECT_EQ(Root("\x8c\x02hi").text, "hi");
  EXPECT_EQ(Root("\x8d" + Little(2, 8) + "hi").text, "hi");
  EXPECT_EQ(Root("U\x02hi").text, "hi");
  EXPECT_EQ(Root("T" + Little(2, 4) + "hi").text, "hi");
  for (const auto& bytes :
       {"C\x02hi" + std::string(), "B" + Little(2, 4) + "hi", "\x8e" + Little(2, 8) + "hi"}) {
    EXPECT_EQ(Root(bytes).kind, Kind::kOpaque);
  }
}

TEST(PickleTest, ContainersHoldWhatWasAdded) {
  EXPECT_EQ(Root(")").items.size(), 0u);
  EXPECT_EQ(Root("N\x85").items.size(), 1u);
  EXPECT_EQ(Root("NN\x86").items.size(), 2u);
  EXPECT_EQ(Root("NNN\x87").items.size(), 3u);
  EXPECT_EQ(Root("(NNNNt").items.size(), 4u);
  EXPECT_EQ(Root("]Na(NNe").items.size(), 3u);
  EXPECT_EQ(Root("}NNs(NNNNu").items.size(), 6u);
  EXPECT_EQ(Root("\x8f(NN\x90").items.size(), 2u);
  EXPECT_EQ(Root("(NN\x91").items.size(), 2u);
  EXPECT_EQ(Root("ccollections\nOrderedDict\n)R}b").kind, Kind::kDict);
  EXPECT_EQ(Root("ccollections\nOrderedDict\n](NN\x86"
                 "NN\x86"
                 "e\x85R")
                .items.size(),
            4u);
  EXPECT_EQ(Root("\x8c\x05torch\x8c\x04Size\x93NN\x86\x85R").items.size(), 2u);
}

TEST(PickleTest, TheStackAndTheMemoWorkAsInPython) {
  EXPECT_EQ(Root("K\x01K\x02"
                 "0")
                .integer,
            1);
  EXPECT_EQ(Root("K\x01(0").integer, 1);
  EXPECT_EQ(Root("K\x01(K\x02K\x03"
                 "1")
                .integer,
            1);
  EXPECT_EQ(Root("K\x01"
                 "2\x86")
                .items.size(),
            2u);
  EXPECT_EQ(Root("K\x07q\x05"
                 "0h\x05")
                .integer,
            7);
  EXPECT_EQ(Root("K\x07r" + Little(9, 4) + "0j" + Little(9, 4)).integer, 7);
  EXPECT_EQ(Root("K\x07\x94K\x08\x94"
                 "00h" +
                 std::string(1, '\0'))
                .integer,
            7);
  EXPECT_EQ(Root("\x95" + Little(1, 8) + "N").kind, Kind::kNone);
}

// A list that holds itself, and a dict of dicts as deep as the file is long.
TEST(PickleTest, CyclesAndDepthCostNothing) {
  EXPECT_EQ(Root(std::string("]q\0h\0a", 6)).kind, Kind::kList);
  const size_t depth = 200'000;
  EXPECT_EQ(Root(std::string(depth, ']') + std::string(depth - 1, 'a')).items.size(), 1u);
}

TEST(PickleTest, RebuildFunctionsGiveTheTensor) {
  const std::string storage = Storage("HalfStorage", "0", 6);
  const Pickle pickle = Read(Tensor(storage, 1, {2, 2}, {3, 1}));
  ASSERT_EQ(pickle.tensors.size(), 1u);
  EXPECT_EQ(pickle.tensors[0].offset, 1u);
  EXPECT_EQ(pickle.tensors[0].strides, (std::vector<size_t>{3, 1}));
  EXPECT_EQ(pickle.storages[0].type, SourceType::kF16);
  EXPECT_EQ(pickle.storages[0].key, "0");
  const std::string tensor = Tensor(storage, 0, {6}, {1});
  EXPECT_EQ(Root("ctorch._utils\n_rebuild_parameter\n" + Tuple({tensor, "\x88", "N"}) + "R").kind,
            Kind::kTensor);
  const std::string args = Tuple({storage, Int(0), Ints({6}), Ints({1}), "\x89", "N"});
  const std::string call =
      Tuple({"ctorch._utils\n_rebuild_tensor_v2\n", "ctorch.nn.parameter\nParameter\n", args, "}"});
  EXPECT_EQ(Root("ctorch._tensor\n_rebuild_from_type_v2\n" + call + "R").kind, Kind::kTensor);
}

TEST(PickleTest, WhatDoesNotFitIsRefused) {
  Refuses("0", "empty stack");
  Refuses("", "empty stack");
  Refuses("(N\x86", "empty stack");  // a tuple does not reach below a mark
  Refuses("t", "a mark that is not there");
  Refuses("N(NNe", "not a container");
  Refuses("]NNs", "not a container");
  Refuses("}(Nu", "a key without its value");
  Refuses("h\x01", "a memo slot that was never set");
  Refuses("Nq\x02h\x01", "a memo slot that was never set");
  Refuses("Nr" + Little(UINT32_MAX, 4), "a memo slot out of range");
  Refuses("N}b", "an OrderedDict belongs");
  Refuses("NQ", "a storage belongs");
  Refuses(Tuple({"N", "N"}) + "Q", "not a storage");
  Refuses(Tuple({Str("module"), "N", "N", "N", "N"}) + "Q", "not a storage");
  Refuses(Tuple({Str("storage"), "ctorch\nFloatStorage\n", Str("0"), Str("cpu"), Int(1),
                 Tuple({"N"})}) +
              "Q",
          "before 0.4");
  Refuses(Storage("FloatStorage", "0", -1), "the size of a storage is negative");
  Refuses("N)R", "a function belongs");
  Refuses("ctorch\nSize\nNR", "the arguments of a call belongs");
  Refuses("ctorch\nfloat32\n)R", "torch.float32 cannot be called");
  Refuses("ctorch\nSize\n)R", "torch.Size cannot be called");
  Refuses("ctorch._utils\n_rebuild_parameter\n)R", "cannot be called like this");
  Refuses("ctorch._utils\n_rebuild_parameter\nN\x85R", "a tensor belongs");
  Refuses("ctorch._tensor\n_rebuild_from_type_v2\n)R", "cannot be called like this");
  Refuses("ctorch._utils\n_rebuild_tensor_v2\n)R", "lacks its storage");
  Refuses("ccollections\nOrderedDict\nNN\x86R", "more than one argument");
  Refuses("ccollections\nOrderedDict\n]Na\x85R", "items that are not pairs");
  Refuses("NK\x01\x93", "a module's name belongs");
  Refuses("I1\n", "opcode 0x49");
  Refuses("\x80\x06", "pickle protocol 6");
  Refuses("X" + Little(UINT32_MAX, 4), "ends too early");
  Refuses("\x8d" + Little(UINT64_MAX, 8), "ends too early");
  Refuses("ctorch", "ends too early");
}

TEST(PickleTest, NothingGrowsFasterThanItsBytes) {
  // One list of pairs, copied into one OrderedDict after another.
  std::string pairs = "(";
  for (int i = 0; i < 1000; ++i) pairs += "NN\x86";
  std::string copies = "]" + pairs + "eq\x01";
  for (int i = 0; i < 1000; ++i) copies += "ccollections\nOrderedDict\nh\x01\x85R";
  Refuses(copies, "more pairs than its bytes can hold");
  Refuses(std::string(3'000'000, 'N'), "too many values");
  Refuses(Str(std::string(17 << 20, 'x')), "more than 16 MB");
  std::string tensors = Storage("FloatStorage", "0", 1) +
                        "q\x01"
                        "0" +
                        Tuple({"h\x01", Int(0), ")", ")"}) +
                        "q\x02"
                        "0" +
                        "ctorch._utils\n_rebuild_tensor_v2\nq\x03"
                        "0";
  for (int i = 0; i < 100'001; ++i) tensors += "h\x03h\x02R0";
  Refuses(tensors + "N", "too many tensors");
}

}  // namespace
}  // namespace linnet
