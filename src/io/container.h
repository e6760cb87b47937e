// The readers of single containers: bytes in, tensors that view them out.
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
  std::string name;     // begins every message
  bool mapped = false;  // pages may be given back
};

struct ParsedFile {
  std::vector<TensorView> tensors;
  std::map<std::string, std::string> metadata;
  // What `tensors` point to.
  std::vector<std::unique_ptr<StoredRecord>> records;
  std::vector<std::unique_ptr<Encoding>> encodings;
};

// All throw Error kBadModel, and allocate no more than a small multiple of the
// bytes, whatever these are.
ParsedFile ParseSafetensors(const FileBytes& file);
ParsedFile ParseTorchZip(const FileBytes& file);
ParsedFile ParseTorchLegacy(const FileBytes& file);  // torch.save before 1.6
ParsedFile ParseGguf(const FileBytes& file);         // llama.cpp; its scalar keys as metadata
ParsedFile ParseGgmf(const FileBytes& file);         // rwkv.cpp

// How torch.save began before 1.6: the pickled magic number.
bool IsTorchLegacy(std::span<const std::byte> bytes);

// The number of elements of a shape; false if it does not fit in 63 bits.
bool CountElements(const std::vector<size_t>& shape, size_t* count);

inline std::string_view AsText(std::span<const std::byte> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

}  // namespace linnet

#endif  // LINNET_IO_CONTAINER_H_
