// Buffer: bytes with one owner, aligned for every vector width; large ones on huge pages.
#ifndef LINNET_BASE_BUFFER_H_
#define LINNET_BASE_BUFFER_H_

#include <cstddef>
#include <utility>

namespace linnet {

class Buffer {
 public:
  Buffer() = default;
  // Zeroed. Throws std::bad_alloc.
  explicit Buffer(size_t bytes);
  ~Buffer();
  Buffer(Buffer&& other) noexcept
      : data_(std::exchange(other.data_, nullptr)), size_(std::exchange(other.size_, 0)) {}
  Buffer& operator=(Buffer&& other) noexcept {
    std::swap(data_, other.data_);
    std::swap(size_, other.size_);
    return *this;
  }

  std::byte* data() const { return data_; }
  size_t size() const { return size_; }

 private:
  std::byte* data_ = nullptr;
  size_t size_ = 0;
};

}  // namespace linnet

#endif  // LINNET_BASE_BUFFER_H_
