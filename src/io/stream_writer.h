// StreamWriter: the shared part of both writers; keeps track of the current tensor.
#ifndef LINNET_IO_STREAM_WRITER_H_
#define LINNET_IO_STREAM_WRITER_H_

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "io/tensor_writer.h"

namespace linnet {

class StreamWriter : public TensorWriter {
 public:
  void Append(std::span<const std::byte> bytes) final;
  using TensorWriter::Finish;
  void Finish(const Check& check) final;

 protected:
  // The file; empty: in memory. Throws Error kBadInput for names and shapes that cannot be written,
  // kIo if there is no space for the file.
  StreamWriter(const std::filesystem::path& path, std::vector<TensorSpec> specs);

  std::span<const TensorSpec> specs() const { return specs_; }
  uint64_t bytes(size_t tensor) const { return bytes_[tensor]; }

 private:
  virtual void Begin(size_t tensor) = 0;
  virtual void Write(std::span<const std::byte> bytes) = 0;
  virtual void End() = 0;  // of the current tensor
  virtual void Close(const Check& check) = 0;

  void EndFull();

  std::vector<TensorSpec> specs_;
  std::vector<uint64_t> bytes_;
  size_t current_ = 0;
  uint64_t written_ = 0;  // of the current tensor
  bool open_ = false;
};

std::unique_ptr<TensorWriter> NewSafetensorsWriter(
    const std::filesystem::path& path, std::vector<TensorSpec> specs,
    const std::map<std::string, std::string>& metadata);
std::unique_ptr<TensorWriter> NewTorchWriter(const std::filesystem::path& path,
                                             std::vector<TensorSpec> specs);
std::unique_ptr<TensorWriter> NewTorchWriter(std::vector<std::byte>& to,
                                             std::vector<TensorSpec> specs);

}  // namespace linnet

#endif  // LINNET_IO_STREAM_WRITER_H_
