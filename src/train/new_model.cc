#include "train/new_model.h"

#include <span>
#include <vector>

#include "io/tensor_writer.h"
#include "models/init.h"
#include "models/names.h"

namespace linnet {

void WriteNewModel(const InitSizes& sizes, std::span<const std::byte> vocabulary, uint64_t seed,
                   const std::filesystem::path& path, ThreadPool& pool,
                   const std::function<void()>& check) {
  const auto parameters = NewParameters(NewConfig(sizes));
  std::vector<TensorSpec> specs;
  specs.reserve(parameters.size());
  for (const ParameterSpec& p : parameters) specs.push_back({p.name, SourceType::kF32, p.shape});
  if (!vocabulary.empty()) {
    specs.push_back({kVocabularyTensor, SourceType::kU8, {vocabulary.size()}});
  }
  const auto writer = TensorWriter::Create(path, specs);
  for (const ParameterSpec& p : parameters) {
    ForValues(p, Filling::kReference, seed, pool, [&](std::span<const float> values) {
      check();
      writer->AppendFloats(SourceType::kF32, values);
    });
  }
  writer->Append(vocabulary);
  writer->Finish();
}

}  // namespace linnet
