// Arrays that go between Python and the library: numpy, and whatever speaks DLPack.
#ifndef LINNET_BINDINGS_PYTHON_ARRAYS_H_
#define LINNET_BINDINGS_PYTHON_ARRAYS_H_

#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>

#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <span>
#include <vector>

namespace linnet::python {

namespace nb = nanobind;

// Token ids from a number, a sequence of numbers, or an array of integers of one dimension (numpy,
// torch). An array of int32 is not copied.
class Tokens {
 public:
  // Throws Error kBadInput for something else, and for ids that are not between 0 and 2^31 - 1.
  explicit Tokens(nb::handle from);

  std::span<const int32_t> ids() const { return ids_; }

 private:
  void ReadArray(nb::handle from);

  nb::ndarray<nb::ro, nb::device::cpu> array_;
  std::vector<int32_t> owned_;
  std::span<const int32_t> ids_;
};

// Float32 values that will become a numpy array without a copy.
class NewArray {
 public:
  explicit NewArray(std::initializer_list<size_t> shape);
  ~NewArray() { delete[] data_; }
  NewArray(const NewArray&) = delete;
  NewArray& operator=(const NewArray&) = delete;

  std::span<float> values() { return {data_, size_}; }
  nb::object Release();  // once

 private:
  std::vector<size_t> shape_;
  size_t size_ = 1;
  float* data_;
};

// A view of memory that `owner` keeps. Strides are in values.
nb::object ArrayView(float* data, const std::vector<size_t>& shape,
                     const std::vector<int64_t>& strides, nb::handle owner);

// A contiguous array of float32 on the CPU with this many values, to be written to. Throws Error
// kBadInput.
std::span<float> OutputOf(nb::handle array, size_t values);

// The values of an array of float32, of one dimension; copied if they are not contiguous.
std::vector<float> FloatsOf(nb::handle array);

}  // namespace linnet::python

#endif  // LINNET_BINDINGS_PYTHON_ARRAYS_H_
