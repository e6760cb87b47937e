#include "models/pack_panels.h"

#include <algorithm>
#include <atomic>
#include <vector>

#include "kernels/matmul.h"
#include "models/packed.h"

namespace linnet {

Weight PackPanels(const MatrixToPack& matrix, const RowReader& read, float* kept, ThreadPool& pool,
                  std::byte* data) {
  const size_t rows = matrix.out, cols = matrix.in, bytes = PanelBytes(matrix.dtype, cols);
  const DType type = matrix.dtype;
  std::atomic<bool> finite = type == DType::kBF16 && kept == nullptr;
  const bool check = kept == nullptr && !matrix.name.empty();
  std::atomic<float> unfit = 0;  // a value that does not fit the format
  pool.For((rows + kPanelRows - 1) / kPanelRows, [&](size_t panel) {
    const size_t begin = panel * kPanelRows, count = std::min(kPanelRows, rows - begin);
    thread_local std::vector<float> scratch;
    if (kept == nullptr) scratch.resize(count * cols);
    float* values = kept == nullptr ? scratch.data() : kept + begin * cols;
    read(begin, count, values);
    const float* found = check ? FindUnfit(type, {values, count * cols}) : nullptr;
    if (found != nullptr) unfit = *found;
    PackPanel(type, values, cols, count, cols, data + panel * bytes);
    if (finite && !IsFiniteBF16(data + panel * bytes, bytes)) finite = false;
  });
  if (unfit != 0) throw UnfitError(matrix.file.string(), matrix.name, type, unfit);
  Weight w{type, rows, cols, data};
  w.finite = finite;
  return w;
}

}  // namespace linnet
