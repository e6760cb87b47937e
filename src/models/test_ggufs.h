// GGUF files of small random models in every block format of ggml, for tests of laws.
#ifndef LINNET_MODELS_TEST_GGUFS_H_
#define LINNET_MODELS_TEST_GGUFS_H_

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <stdexcept>
#include <string>
#include <vector>

#include "io/ggml_tensor.h"
#include "io/gguf.h"
#include "io/tensor_file.h"
#include "io/test_bytes.h"
#include "models/gguf_convert.h"
#include "models/test_models.h"
#include "tensor/ggml_blocks.h"
#include "tensor/half.h"

namespace linnet::test {

inline constexpr GgmlBlock kGgmlTypes[] = {GgmlBlock::kQ4_0, GgmlBlock::kQ4_1, GgmlBlock::kQ5_0,
                                           GgmlBlock::kQ5_1, GgmlBlock::kQ8_0, GgmlBlock::kQ4K,
                                           GgmlBlock::kQ5K,  GgmlBlock::kQ6K};

// So many blocks of random bytes, with scales that make values around 0 of about 0.05.
inline std::string RandomBlocks(GgmlBlock format, size_t count, uint32_t seed) {
  struct Scales {
    size_t at;
    float scale, minimum;  // the minimum, if there is one, stands right behind
  };
  constexpr Scales kScales[] = {
      {0, 0.011f, 0},   {0, 0.011f, -0.083f},   {0, 0.0054f, 0},        {0, 0.0054f, -0.084f},
      {0, 0.00068f, 0}, {0, 0.00035f, 0.0026f}, {0, 0.00017f, 0.0026f}, {208, 0.000036f, 0}};
  const Scales& scales = kScales[static_cast<size_t>(format)];
  const size_t bytes = BytesPerBlock(format);
  std::string blocks(count * bytes, '\0');
  for (char& c : blocks) {
    seed = seed * 1664525 + 1013904223;
    c = static_cast<char>(seed >> 24);
  }
  for (size_t i = 0; i < count; ++i) {
    Patch(blocks, i * bytes + scales.at, Little(F32ToF16(scales.scale), 2));
    if (scales.minimum == 0) continue;
    Patch(blocks, i * bytes + scales.at + 2, Little(F32ToF16(scales.minimum), 2));
  }
  return blocks;
}

// ggml's number of it, as files have it.
inline uint32_t NumberOf(GgmlBlock format) {
  constexpr uint32_t kNumbers[] = {2, 3, 6, 7, 8, 12, 13, 14};
  return kNumbers[static_cast<size_t>(format)];
}

// The file `plain`, a GGUF whose values are f32, with blocks in the place of its matrices.
inline void WriteBlocks(const std::filesystem::path& plain, GgmlBlock format,
                        const std::filesystem::path& path) {
  const TensorFile source = TensorFile::Open(plain);
  std::ifstream in(plain, std::ios::binary);
  const std::string file{std::istreambuf_iterator<char>(in), {}};
  const auto text = [](const std::string& s) { return Little(s.size(), 8) + s; };
  // Its keys, which end where the first tensor's name begins.
  const size_t keys = file.find(text(source.tensors().front().name));
  if (keys == file.npos) throw std::runtime_error(plain.string() + " is no GGUF");
  std::string head = file.substr(0, keys), data;
  uint32_t seed = 1;
  for (const TensorView& t : source.tensors()) {
    const bool matrix =
        t.shape.size() == 2 && t.shape[0] >= 256 && t.shape[1] % kMaxBlockValues == 0;
    head += text(t.name) + Little(t.shape.size(), 4);
    for (size_t i = t.shape.size(); i-- > 0;) head += Little(t.shape[i], 8);
    head += Little(matrix ? NumberOf(format) : 0, 4) + Little(data.size(), 8);
    if (matrix) {
      data += RandomBlocks(format, t.elements() / ValuesPerBlock(format), seed++);
    } else {
      data.append(reinterpret_cast<const char*>(t.data), t.elements() * sizeof(float));
    }
    data.resize((data.size() + 31) / 32 * 32);
  }
  head.resize((head.size() + 31) / 32 * 32);
  std::ofstream(path, std::ios::binary) << head << data;
}

// RWKV-6 or 7 with a vocabulary of 320 whose matrices are blocks of this format.
inline std::filesystem::path GgufModel(const std::string& version, GgmlBlock format) {
  const Generation generation = GenerationOf(version);
  const std::string stem = std::string("gguf-v") + Name(generation);
  const auto plain = Once(stem + ".gguf", [&](const auto& path) {
    const auto model = Once(stem + ".pth", [&](const auto& released) {
      WriteRandomModel(
          {.generation = generation, .layers = 2, .width = 256, .vocab = 320, .ffn = 512},
          SourceType::kF32, released);
    });
    ConvertToGguf(Checkpoint(model), path, GgufType::kF32, {});
  });
  return Once(stem + "-" + linnet::Name(format) + ".gguf",
              [&](const auto& path) { WriteBlocks(plain, format, path); });
}

}  // namespace linnet::test

#endif  // LINNET_MODELS_TEST_GGUFS_H_
