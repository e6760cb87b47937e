// Small seeded random models, written once for each process: what tests of laws run on. Comparisons
// with the reference's numbers need ../shared/data (models/goldens.h), laws do not.
#ifndef LINNET_MODELS_TEST_MODELS_H_
#define LINNET_MODELS_TEST_MODELS_H_

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "base/scratch_folder.h"
#include "base/thread_pool.h"
#include "io/tensor_writer.h"
#include "models/init.h"

namespace linnet::test {

// Of "7" or "v7".
inline Generation GenerationOf(std::string version) {
  if (version.starts_with('v')) version.erase(0, 1);
  const auto generation = ParseGeneration(version);
  if (!generation) throw std::runtime_error("no generation " + version);
  return *generation;
}

// Changes the values of a tensor before they are written.
using EditValues = std::function<void(const std::string& name, std::vector<float>& values)>;

// Under the released names. The ending of `path` chooses the container. Logits vary by about 1.5,
// as the goldens' do.
inline void WriteRandomModel(const InitSizes& sizes, SourceType type,
                             const std::filesystem::path& path, const EditValues& edit = {}) {
  const auto parameters = NewParameters(NewConfig(sizes));
  std::vector<TensorSpec> specs;
  for (const ParameterSpec& p : parameters) specs.push_back({p.name, type, p.shape});
  const auto writer = TensorWriter::Create(path, specs);
  ThreadPool pool(1);
  for (const ParameterSpec& p : parameters) {
    std::vector<float> values(p.elements());
    FillParameter(p, Filling::kRandom, 5, pool, values.data());
    if (p.name == "head.weight") {
      for (float& x : values) x *= 2.6f;
    }
    if (edit) edit(p.name, values);
    writer->AppendFloats(type, values);
  }
  writer->Finish();
}

// The file of this name, which `write` makes when it is first asked for. One thread at a time.
inline std::filesystem::path Once(const std::string& name,
                                  const std::function<void(const std::filesystem::path&)>& write) {
  static const TemporaryFolder folder;
  const std::filesystem::path path = folder / name;
  if (!std::filesystem::exists(path)) write(path);
  return path;
}

// Few, so that short texts use all of them, and no power of two.
inline size_t ExpertsOf(Generation generation) { return generation == Generation::k6moe ? 3 : 0; }

// Three layers of width 128 and 320 tokens; v7 in bf16, the others in f32, as .pth: like the
// golden of that generation, but for the values.
inline std::filesystem::path RandomModel(const std::string& version) {
  const Generation generation = GenerationOf(version);
  return Once(std::string("random-v") + Name(generation) + ".pth", [&](const auto& path) {
    WriteRandomModel({.generation = generation,
                      .layers = 3,
                      .width = 128,
                      .vocab = 320,
                      .experts = ExpertsOf(generation)},
                     generation == Generation::k7 ? SourceType::kBF16 : SourceType::kF32, path);
  });
}

// The same in f32 with no size that is a multiple of a vector or a panel.
inline std::filesystem::path OddModel(const std::string& version) {
  const Generation generation = GenerationOf(version);
  return Once(std::string("odd-v") + Name(generation) + ".pth", [&](const auto& path) {
    WriteRandomModel({.generation = generation,
                      .layers = 2,
                      .width = 54,
                      .vocab = 101,
                      .head_size = 18,
                      .ffn = 75,
                      .experts = ExpertsOf(generation)},
                     SourceType::kF32, path);
  });
}

// The same in f32 with 256 tokens, which are bytes.
inline std::filesystem::path ByteModel(const std::string& version) {
  const Generation generation = GenerationOf(version);
  return Once(std::string("bytes-v") + Name(generation) + ".pth", [&](const auto& path) {
    WriteRandomModel({.generation = generation, .layers = 3, .width = 128, .vocab = 256},
                     SourceType::kF32, path);
  });
}

// As ByteModel, but it writes small letters and blanks only: text that can be read again and holds
// nothing that ends a reply.
inline std::filesystem::path LetterModel(const std::string& version) {
  const Generation generation = GenerationOf(version);
  return Once(std::string("letters-v") + Name(generation) + ".pth", [&](const auto& path) {
    constexpr size_t kWidth = 128;
    const auto edit = [](const std::string& tensor, std::vector<float>& values) {
      // The first channel of the last norm is always 1, so the head's first column is a bias.
      if (tensor == "ln_out.weight") values[0] = 0;
      if (tensor == "ln_out.bias") values[0] = 1;
      if (tensor != "head.weight") return;
      for (size_t id = 0; id < 256; ++id) {
        const bool written = id == ' ' || (id >= 'a' && id <= 'z');
        values[id * kWidth] = written ? 0.0f : -100.0f;
      }
    };
    WriteRandomModel({.generation = generation, .layers = 3, .width = kWidth, .vocab = 256},
                     SourceType::kF32, path, edit);
  });
}

// Matrices [128, 128] of the three layers of the models above.
inline std::vector<std::string> LoraMatrices() {
  std::vector<std::string> names;
  for (int layer = 0; layer < 3; ++layer) {
    for (const char* name : {"att.receptance", "att.key", "att.output"}) {
      names.push_back("blocks." + std::to_string(layer) + "." + name);
    }
  }
  return names;
}

// Random LoRA factors of rank 4 for such matrices, without alpha. Returns the path.
inline std::filesystem::path WriteLora(const std::filesystem::path& path, uint64_t seed,
                                       const std::vector<std::string>& matrices) {
  constexpr size_t kWidth = 128, kRank = 4;
  std::vector<TensorSpec> specs;
  for (const std::string& matrix : matrices) {
    specs.push_back({matrix + ".lora_A", SourceType::kF32, {kRank, kWidth}});
    specs.push_back({matrix + ".lora_B", SourceType::kF32, {kWidth, kRank}});
  }
  const auto writer = TensorWriter::Create(path, specs);
  ThreadPool pool(1);
  for (const TensorSpec& spec : specs) {
    std::vector<float> values(kRank * kWidth);
    FillParameter({.name = spec.name, .shape = spec.shape, .spread = 0.1}, Filling::kRandom, seed,
                  pool, values.data());
    writer->AppendFloats(SourceType::kF32, values);
  }
  writer->Finish();
  return path;
}

// A tuned initial state of RandomModel; RWKV-4 has none.
inline std::filesystem::path TunedState(const std::string& version) {
  const Generation generation = GenerationOf(version);
  return Once(std::string("random-v") + Name(generation) + ".state.pth", [&](const auto& path) {
    std::vector<TensorSpec> specs;
    for (size_t layer = 0; layer < 3; ++layer) {
      specs.push_back(
          {"blocks." + std::to_string(layer) + ".att.time_state", SourceType::kF32, {2, 64, 64}});
    }
    const auto writer = TensorWriter::Create(path, specs);
    ThreadPool pool(1);
    for (const TensorSpec& spec : specs) {
      std::vector<float> values(2 * 64 * 64);
      FillParameter({.name = spec.name, .shape = spec.shape, .spread = 0.5}, Filling::kRandom, 5,
                    pool, values.data());
      writer->AppendFloats(SourceType::kF32, values);
    }
    writer->Finish();
  });
}

}  // namespace linnet::test

#endif  // LINNET_MODELS_TEST_MODELS_H_
