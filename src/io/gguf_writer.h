// Writes GGUF files, version 3: keys, then tensors one after another, under their name only when
// whole.
#ifndef LINNET_IO_GGUF_WRITER_H_
#define LINNET_IO_GGUF_WRITER_H_

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <variant>
#include <vector>

#include "base/atomic_file.h"

namespace linnet {

struct GgufKey {
  std::string name;
  std::variant<uint32_t, float, std::string, std::vector<std::string>, std::vector<int32_t>> value;
};

// Types that are written.
enum class GgufType : uint8_t { kF32, kF16, kBF16, kQ8_0 };

struct GgufTensor {
  std::string name;
  GgufType type = GgufType::kF32;
  std::vector<size_t> shape;  // of kQ8_0 the last is a multiple of 32
};

// One thread at a time. Throws Error kIo.
class GgufWriter {
 public:
  GgufWriter(const std::filesystem::path& path, const std::vector<GgufKey>& keys,
             std::vector<GgufTensor> tensors);

  // The next values of the tensors in their order, rounded to the type; a call gives whole rows of
  // one tensor.
  void Append(std::span<const float> values);
  // Everything announced must have been appended.
  void Finish();

 private:
  void Pad();

  AtomicFile file_;
  std::vector<GgufTensor> tensors_;
  size_t current_ = 0;
  uint64_t written_ = 0;  // values of the current tensor
  std::vector<std::byte> bytes_;
};

}  // namespace linnet

#endif  // LINNET_IO_GGUF_WRITER_H_
