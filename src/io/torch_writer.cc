#include <fmt/format.h>

#include "io/quoted.h"
#include "io/stream_writer.h"
#include "io/zip_writer.h"
#include "linnet/error.h"

namespace linnet {
namespace {

// The name of torch's storage class for the type; null if there is none.
const char* StorageClass(SourceType type) {
  switch (type) {
    case SourceType::kF32:
      return "FloatStorage";
    case SourceType::kF16:
      return "HalfStorage";
    case SourceType::kBF16:
      return "BFloat16Storage";
    case SourceType::kF64:
      return "DoubleStorage";
    case SourceType::kI64:
      return "LongStorage";
    case SourceType::kI32:
      return "IntStorage";
    case SourceType::kI16:
      return "ShortStorage";
    case SourceType::kI8:
      return "CharStorage";
    case SourceType::kU8:
      return "ByteStorage";
    case SourceType::kBool:
      return "BoolStorage";
    default:
      return nullptr;
  }
}

// A pickle of protocol 2, as torch.load requires. Without memoization the text is simpler, and only
// a little longer: 200 bytes per tensor.
class PickleText {
 public:
  PickleText() { text_ = "\x80\x02}("; }

  void Add(const TensorSpec& spec, size_t key) {
    String(spec.name);
    text_ += "ctorch._utils\n_rebuild_tensor_v2\n((";
    String("storage");
    text_ += fmt::format("ctorch\n{}\n", StorageClass(spec.type));
    String(std::to_string(key));
    String("cpu");
    size_t count = 1;
    for (const size_t n : spec.shape) count *= n;
    Int(count);
    text_ += "tQ";
    Int(0);
    Tuple(spec.shape);
    Tuple(ContiguousStrides(spec.shape));
    text_ +=
        "\x89"
        "ccollections\nOrderedDict\n)RtR";
  }
  std::string Finish() { return text_ + "u."; }

 private:
  void Little(uint64_t value, int bytes) {
    for (int i = 0; i < bytes; ++i) text_ += static_cast<char>(value >> (8 * i));
  }
  void String(const std::string& value) {
    text_ += 'X';
    Little(value.size(), 4);
    text_ += value;
  }
  void Int(uint64_t value) {
    if (value < 0x80000000u) {
      text_ += 'J';
      Little(value, 4);
    } else {
      text_ += "\x8a\x08";  // LONG1 of 8 bytes
      Little(value, 8);
    }
  }
  void Tuple(const std::vector<size_t>& values) {
    text_ += '(';
    for (const size_t value : values) Int(value);
    text_ += 't';
  }

  std::string text_;
};

class TorchWriter final : public StreamWriter {
 public:
  TorchWriter(const std::filesystem::path& path, std::vector<TensorSpec> tensors)
      : StreamWriter(path, std::move(tensors)), zip_(path) {
    AddPickle(path);
  }
  TorchWriter(std::vector<std::byte>& to, std::vector<TensorSpec> tensors)
      : StreamWriter({}, std::move(tensors)), zip_(to) {
    AddPickle({});
  }

 private:
  void AddPickle(const std::filesystem::path& path) {
    PickleText pickle;
    for (size_t i = 0; i < specs().size(); ++i) {
      const auto& spec = specs()[i];
      if (StorageClass(spec.type) == nullptr) {
        throw Error(ErrorKind::kBadInput,
                    fmt::format("{}: cannot write tensor {}: .pth has no {}; write .safetensors",
                                path.string(), Quoted(spec.name), Name(spec.type)));
      }
      pickle.Add(spec, i);
    }
    zip_.Add("archive/data.pkl", pickle.Finish());
    zip_.Add("archive/byteorder", "little");
  }
  void Begin(size_t tensor) override {
    zip_.Begin(fmt::format("archive/data/{}", tensor), bytes(tensor));
  }
  void Write(std::span<const std::byte> part) override { zip_.Write(part); }
  void End() override { zip_.End(); }
  void Close(const Check& check) override {
    zip_.Add("archive/version", "3\n");
    zip_.Finish(check);
  }

  ZipWriter zip_;
};

}  // namespace

std::unique_ptr<TensorWriter> NewTorchWriter(const std::filesystem::path& path,
                                             std::vector<TensorSpec> specs) {
  return std::make_unique<TorchWriter>(path, std::move(specs));
}

std::unique_ptr<TensorWriter> NewTorchWriter(std::vector<std::byte>& to,
                                             std::vector<TensorSpec> specs) {
  return std::make_unique<TorchWriter>(to, std::move(specs));
}

std::unique_ptr<TensorWriter> TensorWriter::CreateTorchInMemory(std::vector<std::byte>& to,
                                                                std::vector<TensorSpec> specs) {
  return NewTorchWriter(to, std::move(specs));
}

}  // namespace linnet
