// Both checkpoint targets read every value of a file that opened.
#ifndef LINNET_FUZZ_READ_ALL_H_
#define LINNET_FUZZ_READ_ALL_H_

#include <cstddef>
#include <span>

#include "io/tensor_file.h"
#include "linnet/error.h"

namespace linnet {

inline void ReadAllTensors(std::span<const std::byte> bytes) {
  const TensorFile file = TensorFile::Parse(bytes, "input");
  size_t budget = size_t{1} << 20;  // many tensors may share the same bytes
  for (const auto& tensor : file.tensors()) {
    if (tensor.elements() > budget) break;
    budget -= tensor.elements();
    try {
      if (IsFloat(tensor.type)) {
        ReadAll(tensor);
      } else {
        ReadInts(tensor);
      }
    } catch (const Error&) {  // a checksum, or a value above 2^63 - 1
    }
  }
}

}  // namespace linnet

#endif  // LINNET_FUZZ_READ_ALL_H_
