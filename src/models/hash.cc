#include "models/hash.h"

#include <fmt/format.h>

#include <algorithm>
#include <string>

#include "base/fnv.h"
#include "io/quoted.h"
#include "linnet/error.h"
#include "models/packed.h"
#include "models/schema.h"

namespace linnet {
namespace {

// Adds the first values of up to four rows, spread over the tensor.
void AddSample(const TensorView& t, Fnv& hash) {
  constexpr size_t kRows = 4, kValues = 8;
  TensorView row = t.Squeezed();
  while (row.shape.size() > 2) row = row.Index(row.shape[0] / 2);
  if (row.shape.size() < 2) {
    row.shape.insert(row.shape.begin(), 1);
    row.strides.insert(row.strides.begin(), 0);
  }
  const size_t rows = row.shape[0];
  row.shape[1] = std::min(row.shape[1], kValues);
  for (size_t i = 0; i < std::min(rows, kRows); ++i) {
    float values[kValues] = {};
    ReadRows(row, rows * i / kRows, 1, values);
    hash.Add(values, row.shape[1] * sizeof(float));
  }
}

bool IsHash(const std::string& text) {
  return text.size() == 16 && text.find_first_not_of("0123456789abcdef") == std::string::npos;
}

}  // namespace

std::string HashOf(const Checkpoint& checkpoint) {
  const auto& metadata = checkpoint.file().metadata();
  const auto known = metadata.find(kModelHashKey);
  if (checkpoint.packed() && known != metadata.end()) {
    if (IsHash(known->second)) return known->second;
    throw Error(ErrorKind::kBadModel, fmt::format("{}: its {} is {}, expected 16 hex digits",
                                                  checkpoint.file().path().string(), kModelHashKey,
                                                  Quoted(known->second)));
  }
  std::vector<const TensorView*> sorted;
  for (const TensorView& t : checkpoint.tensors()) {
    if (!t.name.starts_with(kTrainingPrefix)) sorted.push_back(&t);
  }
  std::sort(sorted.begin(), sorted.end(),
            [](const TensorView* a, const TensorView* b) { return a->name < b->name; });
  Fnv hash;  // not cryptographic: an attacker could edit the state as well
  for (const TensorView* t : sorted) {
    // Parameters that no layer uses are missing in some files of the same model.
    if (IsUnused(t->name)) continue;
    const TensorView squeezed = t->Squeezed();
    hash.Add(t->name + "\n");
    for (const size_t n : squeezed.shape) hash.Add(&n, sizeof(n));
    AddSample(*t, hash);
  }
  return fmt::format("{:016x}", hash.value());
}

}  // namespace linnet
