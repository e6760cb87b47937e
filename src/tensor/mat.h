// Mat: a view of rows, like std::span with a stride.
#ifndef LINNET_TENSOR_MAT_H_
#define LINNET_TENSOR_MAT_H_

#include <cstddef>
#include <span>

namespace linnet {

// Views, never owns. Stride 0 repeats one row `rows` times: writes through such a view all go to
// that row.
template <class T>
struct Mat {
  T* data = nullptr;
  size_t rows = 0, cols = 0;
  size_t stride = 0;  // elements from one row to the next

  T* Row(size_t row) const { return data + row * stride; }
  std::span<T> operator[](size_t row) const { return {Row(row), cols}; }
  bool empty() const { return data == nullptr; }
  Mat Columns(size_t begin, size_t count) const { return {data + begin, rows, count, stride}; }
  Mat Rows(size_t begin, size_t count) const { return {Row(begin), count, cols, stride}; }
  operator Mat<const T>() const { return {data, rows, cols, stride}; }
};

}  // namespace linnet

#endif  // LINNET_TENSOR_MAT_H_
