// Shared by the tests of adapters and tuned states: start files and training rows.
#ifndef LINNET_TRAIN_TEST_ADAPTERS_H_
#define LINNET_TRAIN_TEST_ADAPTERS_H_

#include <filesystem>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "base/scratch_folder.h"
#include "io/tensor_file.h"
#include "io/tensor_writer.h"
#include "models/goldens.h"
#include "models/test_models.h"
#include "train/samples.h"

namespace linnet::test_adapters {

namespace fs = std::filesystem;
inline fs::path Base(const std::string& generation) { return test::RandomModel(generation); }

struct Values {
  std::string name;
  std::vector<size_t> shape;
  std::vector<float> values;
};

inline void WriteValues(const fs::path& path, const std::vector<Values>& all,
                        const std::map<std::string, std::string>& metadata = {}) {
  std::vector<TensorSpec> specs;
  for (const Values& v : all) specs.push_back({v.name, SourceType::kF32, v.shape});
  const auto writer = TensorWriter::Create(path, specs, metadata);
  for (const Values& v : all) writer->AppendFloats(SourceType::kF32, v.values);
  writer->Finish();
}

// Unlike the usual start, no factor is zero, so no gradient is zero.
inline void Stir(const fs::path& path) {
  std::vector<Values> all;
  std::map<std::string, std::string> metadata;
  {
    const TensorFile file = TensorFile::Open(path);
    metadata = file.metadata();
    uint32_t number = 7;
    for (const TensorView& t : file.tensors()) {
      Values v{t.name, t.shape, ReadAll(t)};
      const bool first = t.name.find("init_") != std::string::npos;
      for (float& x : v.values) {
        number = number * 1664525 + 1013904223;
        if (!first) x += 0.04f * (static_cast<float>(number >> 8) * 0x1p-23f - 1);
      }
      all.push_back(std::move(v));
    }
  }
  WriteValues(path, all, metadata);
}

inline const std::vector<int32_t> kTokens = {5, 17, 300, 2, 9, 44, 120, 7, 7, 250, 31, 90, 1};

inline std::vector<SampleRow> Rows() {
  std::vector<SampleRow> rows(4);
  uint32_t number = 3;
  for (SampleRow& row : rows) {
    for (int t = 0; t < 24; ++t) {
      number = number * 1664525 + 1013904223;
      row.inputs.push_back(static_cast<int32_t>((number >> 8) % 320));
      row.targets.push_back(static_cast<int32_t>((number >> 20) % 9));
    }
    row.starts = {0, 10};
  }
  return rows;
}

}  // namespace linnet::test_adapters

#endif  // LINNET_TRAIN_TEST_ADAPTERS_H_
