// The parsers of the container formats: they take bytes and return tensors that are views into
// them.
#ifndef LINNET_IO_CONTAINER_H_
#define LINNET_IO_CONTAINER_H_

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "io/stored_record.h"
#include "io/tensor_view.h"

namespace linnet {

struct FileBytes {
  std::span<const std::byte> bytes;
  std::string name;     // starts every message
  bool mapped = false;  // pages may be dropped
};

struct ParsedFile {
  std::vector<TensorView> tensors;
  std::map<std::string, std::string> metadata;
  // The storage records that `tensors` refer to.
  std::vector<std::unique_ptr<StoredRecord>> records;
  std::vector<std::unique_ptr<Encoding>> encodings;
};

// All throw Error kBadModel. For any input they allocate at most a small multiple of its size.
ParsedFile ParseSafetensors(const FileBytes& file);
ParsedFile ParseTorchZip(const FileBytes& file);
ParsedFile ParseTorchLegacy(const FileBytes& file);  // torch.save before 1.6
ParsedFile ParseGguf(const FileBytes& file);         // llama.cpp; scalar keys become metadata
ParsedFile ParseGgmf(const FileBytes& file);         // rwkv.cpp

// Whether the bytes begin with the pickled magic number of torch.save before 1.6.
bool IsTorchLegacy(std::span<const std::byte> bytes);

// Counts the elements of a shape; false if the count does not fit in 63 bits.
bool CountElements(const std::vector<size_t>& shape, size_t* count);

inline std::string_view AsText(std::span<const std::byte> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

}  // namespace linnet

#endif  // LINNET_IO_CONTAINER_H_
