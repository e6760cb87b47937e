// A .pth as torch.load(weights_only=True) sees it, by Python's own zipfile and pickle: what
// ChatRWKV opens a model with.
#include <gtest/gtest.h>

#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "io/tensor_file.h"
#include "program.h"

namespace linnet {
namespace {

using nlohmann::json;

// Only what torch's restricted unpickler lets through for a dict of tensors; anything else raises.
constexpr const char* kReader = R"(
import collections, json, math, pickle, sys, zipfile, zlib

SIZES = {"FloatStorage": 4, "BFloat16Storage": 2, "HalfStorage": 2}
archive = zipfile.ZipFile(sys.argv[1])
assert archive.testzip() is None
names = archive.namelist()
root = names[0].split("/")[0]
assert all(name.startswith(root + "/") for name in names), names
assert archive.read(root + "/version").strip() == b"3"
assert archive.read(root + "/byteorder") == b"little"
assert all(entry.compress_type == zipfile.ZIP_STORED for entry in archive.infolist())

def rebuild(storage, offset, shape, stride, requires_grad, hooks):
    kind, count, data = storage
    expected, run = [], 1
    for n in reversed(shape):
        expected.insert(0, run)
        run *= n
    assert offset == 0 and tuple(expected) == stride and requires_grad is False and hooks == {}
    assert math.prod(shape) == count and len(data) == count * SIZES[kind]
    return {"storage": kind, "shape": list(shape), "crc": zlib.crc32(data)}

class Reader(pickle.Unpickler):
    def find_class(self, module, name):
        if (module, name) == ("torch._utils", "_rebuild_tensor_v2"):
            return rebuild
        if (module, name) == ("collections", "OrderedDict"):
            return collections.OrderedDict
        if module == "torch" and name in SIZES:
            return name
        raise pickle.UnpicklingError(f"{module}.{name} is not let through")

    def persistent_load(self, saved):
        typename, kind, key, location, count = saved
        assert typename == "storage" and location == "cpu"
        return kind, count, archive.read(f"{root}/data/{key}")

with archive.open(root + "/data.pkl") as text:
    model = Reader(text).load()
assert type(model) is dict
print(json.dumps(model))
)";

// zlib's.
uint32_t Crc32(const std::vector<std::byte>& bytes) {
  uint32_t crc = ~0u;
  for (const std::byte b : bytes) {
    crc ^= static_cast<uint32_t>(b);
    for (int bit = 0; bit < 8; ++bit) crc = (crc >> 1) ^ ((crc & 1) != 0 ? 0xEDB88320u : 0u);
  }
  return ~crc;
}

class TorchFileTest : public ::testing::TestWithParam<const char*> {};

TEST_P(TorchFileTest, IsWhatTorchLoadExpects) {
  if (RunProgram("/usr/bin/env", {"python3", "-c", ""}).exit_code != 0)
    GTEST_SKIP() << "no python3";
  const ScratchFolder scratch;
  const std::string model = scratch / "m.safetensors", pth = scratch / "m.pth", type = GetParam();
  ASSERT_EQ(RunLinnet({"init", "--generation", "7", "--layers", "2", "--width", "64", "--vocab",
                       "256", "--random", "--dtype", type, model})
                .exit_code,
            0);
  ASSERT_EQ(RunLinnet({"convert", model, pth}).exit_code, 0);
  const Outcome read = RunProgram("/usr/bin/env", {"python3", "-c", kReader, pth});
  ASSERT_EQ(read.exit_code, 0) << read.err;
  const auto tensors = json::parse(read.out);
  const TensorFile expected = TensorFile::Open(model);
  ASSERT_EQ(tensors.size(), expected.tensors().size());
  const std::string storage = type == "f32"    ? "FloatStorage"
                              : type == "bf16" ? "BFloat16Storage"
                                               : "HalfStorage";
  for (const TensorView& t : expected.tensors()) {
    ASSERT_TRUE(tensors.contains(t.name)) << t.name;
    const json& found = tensors[t.name];
    EXPECT_EQ(found["storage"], storage) << t.name;
    EXPECT_EQ(found["shape"].get<std::vector<size_t>>(), t.shape) << t.name;
    std::vector<std::byte> bytes(t.elements() * ElementBytes(t.type));
    CopyRows(t, 0, t.rows(), bytes.data());
    EXPECT_EQ(found["crc"].get<uint32_t>(), Crc32(bytes)) << t.name;
  }
}

// What a run leaves.
TEST(TrainedTorchFile, IsWhatTorchLoadExpects) {
  if (RunProgram("/usr/bin/env", {"python3", "-c", ""}).exit_code != 0)
    GTEST_SKIP() << "no python3";
  const ScratchFolder scratch;
  const std::string base = scratch / "m.safetensors", run = scratch / "run";
  std::string text;
  for (int i = 0; i < 40; ++i) text += "The owl said that the hare would come.\n";
  WriteFile(scratch / "story.txt", text);
  for (const Words& words :
       {Words{"init", "--generation", "7", "--layers", "2", "--width", "64", "--vocab", "256",
              base},
        {"data", "build", scratch / "story.txt", "--model", base, "--out", scratch / "data"},
        {"train", "--base", base, "--data", scratch / "data", "--out", run, "--ctx", "16",
         "--batch", "1", "--steps", "1"}}) {
    const Outcome outcome = RunLinnet(words);
    ASSERT_EQ(outcome.exit_code, 0) << outcome.err;
  }
  const Outcome read = RunProgram("/usr/bin/env", {"python3", "-c", kReader, run + "/model.pth"});
  ASSERT_EQ(read.exit_code, 0) << read.err;
  const auto tensors = json::parse(read.out);
  const TensorFile expected = TensorFile::Open(base);
  EXPECT_EQ(tensors.size(), expected.tensors().size());
  for (const TensorView& t : expected.tensors()) {
    ASSERT_TRUE(tensors.contains(t.name)) << t.name;
    EXPECT_EQ(tensors[t.name]["storage"], "BFloat16Storage") << t.name;
    EXPECT_EQ(tensors[t.name]["shape"].get<std::vector<size_t>>(), t.shape) << t.name;
  }
}

INSTANTIATE_TEST_SUITE_P(Types, TorchFileTest, testing::Values("f32", "bf16", "f16"));

}  // namespace
}  // namespace linnet
