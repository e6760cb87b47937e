#include "bindings/python/arrays.h"

#include <fmt/format.h>
#include <nanobind/stl/vector.h>

#include <algorithm>
#include <limits>
#include <string>
#include <utility>

#include "linnet/error.h"

namespace linnet::python {
namespace {

int32_t IdOf(int64_t value) {
  if (value >= 0 && value <= std::numeric_limits<int32_t>::max()) {
    return static_cast<int32_t>(value);
  }
  throw Error(ErrorKind::kBadInput, fmt::format("token {}: expected an id of 0 or more", value));
}

int32_t IdOf(nb::handle number) {
  const nb::object index = nb::steal(PyNumber_Index(number.ptr()));
  if (!index.is_valid()) {
    PyErr_Clear();
    throw Error(ErrorKind::kBadInput,
                fmt::format("tokens hold a {}, expected integers", nb::inst_name(number).c_str()));
  }
  int overflow = 0;
  const int64_t value = PyLong_AsLongLongAndOverflow(index.ptr(), &overflow);
  return IdOf(overflow == 0 ? value : -1);
}

template <class T, class Array>
std::vector<int32_t> Copied(const Array& array) {
  std::vector<int32_t> ids(array.shape(0));
  const auto* data = static_cast<const T*>(array.data());
  for (size_t i = 0; i < ids.size(); ++i) {
    ids[i] = IdOf(static_cast<int64_t>(data[static_cast<int64_t>(i) * array.stride(0)]));
  }
  return ids;
}

}  // namespace

Tokens::Tokens(nb::handle from) {
  if (PyLong_Check(from.ptr())) {
    owned_ = {IdOf(from)};
    ids_ = owned_;
    return;
  }
  if (!PyList_Check(from.ptr()) && !PyTuple_Check(from.ptr())) {
    ReadArray(from);
    return;
  }
  // A tuple, because the conversion of an item may run code that changes the list.
  const auto items = nb::steal<nb::tuple>(PySequence_Tuple(from.ptr()));
  if (!items.is_valid()) throw nb::python_error();
  owned_.reserve(items.size());
  for (const nb::handle item : items) owned_.push_back(IdOf(item));
  ids_ = owned_;
}

void Tokens::ReadArray(nb::handle from) {
  nb::ndarray<nb::ro, nb::device::cpu> array;
  if (!nb::try_cast(from, array, false)) {
    if (PySequence_Check(from.ptr()) == 0 || PyUnicode_Check(from.ptr())) {
      throw Error(ErrorKind::kBadInput,
                  fmt::format("tokens are a {}, expected ids", nb::inst_name(from).c_str()));
    }
    const nb::object list = nb::steal(PySequence_List(from.ptr()));
    if (!list.is_valid()) throw nb::python_error();
    Tokens other(list);
    owned_ = std::move(other.owned_);
    ids_ = owned_;
    return;
  }
  if (array.ndim() > 1) {
    throw Error(ErrorKind::kBadInput,
                fmt::format("tokens have {} dimensions, expected one", array.ndim()));
  }
  if (array.ndim() == 0) {  // a number of numpy or torch
    owned_ = {IdOf(from)};
  } else if (array.dtype() == nb::dtype<int32_t>() &&
             (array.shape(0) == 1 || array.stride(0) == 1)) {
    array_ = array;
    ids_ = {static_cast<const int32_t*>(array.data()), array.shape(0)};
    return;
  } else if (array.dtype() == nb::dtype<int32_t>()) {
    owned_ = Copied<int32_t>(array);
  } else if (array.dtype() == nb::dtype<int64_t>()) {
    owned_ = Copied<int64_t>(array);
  } else if (array.dtype() == nb::dtype<uint16_t>()) {
    owned_ = Copied<uint16_t>(array);
  } else if (array.dtype() == nb::dtype<uint32_t>()) {
    owned_ = Copied<uint32_t>(array);
  } else if (array.dtype() == nb::dtype<uint8_t>()) {
    owned_ = Copied<uint8_t>(array);
  } else if (array.shape(0) != 0) {
    throw Error(
        ErrorKind::kBadInput,
        "tokens are an array of another type, expected int32, int64, uint8, uint16 or uint32");
  }
  ids_ = owned_;
}

NewArray::NewArray(std::initializer_list<size_t> shape) : shape_(shape) {
  for (const size_t n : shape_) size_ *= n;
  data_ = new float[size_];
}

nb::object NewArray::Release() {
  float* data = std::exchange(data_, nullptr);
  const nb::capsule owner(data, [](void* p) noexcept { delete[] static_cast<float*>(p); });
  return nb::cast(nb::ndarray<nb::numpy, float>(data, shape_.size(), shape_.data(), owner));
}

nb::object ArrayView(float* data, const std::vector<size_t>& shape,
                     const std::vector<int64_t>& strides, nb::handle owner) {
  return nb::cast(
      nb::ndarray<nb::numpy, float>(data, shape.size(), shape.data(), owner, strides.data()));
}

std::span<float> OutputOf(nb::handle array, size_t values) {
  nb::ndarray<float, nb::c_contig, nb::device::cpu> out;
  if (!nb::try_cast(array, out, false)) {
    throw Error(ErrorKind::kBadInput,
                "out is not a contiguous, writable array of float32 on the CPU");
  }
  if (out.size() != values) {
    throw Error(ErrorKind::kBadInput,
                fmt::format("out holds {} values, expected {}", out.size(), values));
  }
  return {out.data(), values};
}

std::vector<float> FloatsOf(nb::handle array) {
  nb::ndarray<const float, nb::ndim<1>, nb::c_contig, nb::device::cpu> from;
  if (!nb::try_cast(array, from, true)) {
    throw Error(ErrorKind::kBadInput,
                fmt::format("logits are a {}, expected an array of float32 of one dimension",
                            nb::inst_name(array).c_str()));
  }
  return {from.data(), from.data() + from.shape(0)};
}

}  // namespace linnet::python
