// Small random files of EmbeddingRWKV and its reranker, under the published names.
#ifndef LINNET_MODELS_TEST_EMBEDDINGS_H_
#define LINNET_MODELS_TEST_EMBEDDINGS_H_

#include <cmath>
#include <filesystem>
#include <string>
#include <vector>

#include "models/test_models.h"

namespace linnet::test {

// Writes a random RWKV-7 of width 128 without a head, its names behind `prefix`, and `others`.
inline void WriteWithHeads(const std::filesystem::path& path, const std::string& prefix,
                           size_t layers, size_t vocab, const std::vector<ParameterSpec>& others) {
  constexpr size_t kWidth = 128;
  auto parameters = NewParameters(
      NewConfig({.generation = Generation::k7, .layers = layers, .width = kWidth, .vocab = vocab}));
  std::erase_if(parameters, [](const ParameterSpec& p) { return p.name == "head.weight"; });
  const size_t own = parameters.size();
  parameters.insert(parameters.end(), others.begin(), others.end());
  std::vector<TensorSpec> specs;
  for (size_t i = 0; i < parameters.size(); ++i) {
    specs.push_back(
        {(i < own ? prefix : "") + parameters[i].name, SourceType::kF32, parameters[i].shape});
  }
  const auto writer = TensorWriter::Create(path, specs);
  ThreadPool pool(1);
  for (const ParameterSpec& p : parameters) {
    std::vector<float> values(p.elements());
    FillParameter(p, Filling::kRandom, 11, pool, values.data());
    writer->AppendFloats(SourceType::kF32, values);
  }
  writer->Finish();
}

// Three layers; the vocabulary is the bytes, of which 255 ends a text.
inline std::filesystem::path EmbeddingFile() {
  return Once("random-embedding.safetensors", [](const auto& path) {
    constexpr size_t kWidth = 128;
    const double spread = 1 / std::sqrt(double{kWidth});
    std::vector<ParameterSpec> heads;
    for (const char* name : {"retr", "sts", "cls"}) {
      const std::string head = std::string("head.") + name + "_head.";
      heads.push_back({.name = head + "fc1.weight", .shape = {kWidth, kWidth}, .spread = spread});
      heads.push_back({.name = head + "fc2.weight", .shape = {kWidth, kWidth}, .spread = spread});
      heads.push_back(
          {.name = head + "norm.weight", .shape = {kWidth}, .center = 1, .spread = 0.2});
      heads.push_back({.name = head + "norm.bias", .shape = {kWidth}, .spread = 0.2});
    }
    WriteWithHeads(path, "rwkv.", 3, 256, heads);
  });
}

// Two layers.
inline std::filesystem::path RerankerFile() {
  return Once("random-reranker.safetensors", [](const auto& path) {
    constexpr size_t kWidth = 128;
    const double spread = 1 / std::sqrt(double{kWidth});
    WriteWithHeads(path, "reranker.", 2, 1,
                   {{.name = "reranker.head.0.weight", .shape = {kWidth, kWidth}, .spread = spread},
                    {.name = "reranker.head.0.bias", .shape = {kWidth}, .spread = 0.2},
                    {.name = "reranker.head.2.weight", .shape = {1, kWidth}, .spread = 0.5}});
  });
}

}  // namespace linnet::test

#endif  // LINNET_MODELS_TEST_EMBEDDINGS_H_
