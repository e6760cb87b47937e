// Writes GGUF files, version 3: keys, then consecutive tensors. The file appears only when
// complete.
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

// Types that can be written.
enum class GgufType : uint8_t { kF32, kF16, kBF16, kQ8_0 };

struct GgufTensor {
  std::string name;
  GgufType type = GgufType::kF32;
  std::vector<size_t> shape;  // of kQ8_0 the last is a multiple of 32
};

// Not thread-safe. Throws Error kIo.
class GgufWriter {
 public:
  GgufWriter(const std::filesystem::path& path, const std::vector<GgufKey>& keys,
             std::vector<GgufTensor> tensors);

  // Appends the next values of the tensors in order, rounded to the tensor's type. Each call must
  // give whole rows of one tensor.
  void Append(std::span<const float> values);
  // Completes the file. All announced tensors must have been appended.
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
