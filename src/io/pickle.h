// Pickle: reads the data of a torch.save pickle, without the ability to run code.
#ifndef LINNET_IO_PICKLE_H_
#define LINNET_IO_PICKLE_H_

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "io/tensor_view.h"

namespace linnet {

// Index into Pickle::values. Containers hold ids, so a value may occur in several places, even
// inside itself; limit the depth when following them.
using PickleId = uint32_t;

struct PickleValue {
  enum class Kind : uint8_t {
    kNone,
    kBool,
    kInt,
    kFloat,
    kOpaque,  // an integer too large for 64 bits, or bytes
    kString,
    kTuple,
    kList,
    kDict,     // items: key, value, key, value …
    kGlobal,   // integer: which one
    kStorage,  // integer: index into storages
    kTensor,   // integer: index into tensors
  };
  Kind kind = Kind::kNone;
  int64_t integer = 0;
  std::string_view text;  // kString: into the pickle's bytes
  std::vector<PickleId> items;
};

// A reference to raw data stored outside the pickle.
struct PickleStorage {
  SourceType type;
  std::string_view key;
  size_t elements;
};

// Shape and strides have been checked against the storage.
struct PickleTensor {
  size_t storage;
  size_t offset;  // in elements
  std::vector<size_t> shape, strides;
};

struct Pickle {
  std::vector<PickleValue> values;
  std::vector<PickleStorage> storages;
  std::vector<PickleTensor> tensors;
  PickleId root = 0;
  size_t size = 0;  // bytes read, including STOP
};

// Runs the pickle (protocols 2 to 5) at the beginning of `bytes`. Only the globals of a state dict
// are supported: OrderedDict, torch's storage classes, and the functions that rebuild tensors,
// which are implemented here. For any other global throws an error that names it; nothing is
// imported or called. Memory is bounded by a multiple of the bytes read, and there is no recursion.
// `bytes` must outlive the result. Throws Error kBadModel, starting with `what`.
Pickle ReadPickle(std::span<const std::byte> bytes, const std::string& what);

}  // namespace linnet

#endif  // LINNET_IO_PICKLE_H_
