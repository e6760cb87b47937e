#include <fmt/format.h>
#include <fmt/ranges.h>

#include <cstring>
#include <nlohmann/json.hpp>
#include <utility>

#include "base/atomic_file.h"
#include "base/check.h"
#include "io/quoted.h"
#include "io/stream_writer.h"
#include "linnet/error.h"

namespace linnet {
namespace {

// Metadata may be invalid UTF-8 (a file name, for example), which JSON does not allow.
std::string Json(const nlohmann::json& value) {
  return value.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

class SafetensorsWriter final : public StreamWriter {
 public:
  SafetensorsWriter(const std::filesystem::path& path, std::vector<TensorSpec> tensors,
                    const std::map<std::string, std::string>& metadata)
      : StreamWriter(path, std::move(tensors)), file_(path) {
    file_.Write(SafetensorsHeader(path.string(), specs(), metadata));
  }

 private:
  void Begin(size_t) override {}
  void Write(std::span<const std::byte> part) override { file_.Write(part); }
  void End() override {}
  void Close(const Check& check) override { file_.Commit(check); }

  AtomicFile file_;
};

class MemoryWriter final : public TensorWriter {
 public:
  MemoryWriter(std::vector<std::byte>& to, std::vector<TensorSpec> specs,
               const std::map<std::string, std::string>& metadata)
      : to_(to) {
    const std::string header = SafetensorsHeader("in memory", specs, metadata);
    size_t bytes = header.size();
    for (const TensorSpec& spec : specs) bytes += ElementsOf(spec.shape) * ElementBytes(spec.type);
    end_ = to.size() + bytes;
    to.reserve(end_);
    Append(std::as_bytes(std::span(header)));
  }
  void Append(std::span<const std::byte> bytes) override {
    to_.insert(to_.end(), bytes.begin(), bytes.end());
  }
  void Finish(const Check&) override { LINNET_CHECK(to_.size() == end_); }

 private:
  std::vector<std::byte>& to_;
  size_t end_ = 0;
};

}  // namespace

std::unique_ptr<TensorWriter> TensorWriter::CreateInMemory(
    std::vector<std::byte>& to, std::vector<TensorSpec> specs,
    const std::map<std::string, std::string>& metadata) {
  return std::make_unique<MemoryWriter>(to, std::move(specs), metadata);
}

std::string SafetensorsHeader(const std::string& file, std::span<const TensorSpec> specs,
                              const std::map<std::string, std::string>& metadata) {
  std::string text(sizeof(uint64_t), ' ');
  text += '{';
  if (!metadata.empty()) text += "\"__metadata__\":" + Json(metadata);
  uint64_t at = 0;
  for (const TensorSpec& spec : specs) {
    if (spec.name == "__metadata__") {
      throw Error(ErrorKind::kBadInput, file + ": a tensor cannot be named __metadata__");
    }
    const uint64_t end = at + ElementsOf(spec.shape) * ElementBytes(spec.type);
    text += fmt::format("{}{}:{{\"dtype\":\"{}\",\"shape\":[{}],\"data_offsets\":[{},{}]}}",
                        text.back() == '{' ? "" : ",", Json(spec.name), Name(spec.type),
                        fmt::join(spec.shape, ","), at, end);
    at = end;
  }
  text += '}';
  // Aligns mapped data to cache lines.
  text.resize((text.size() + 63) / 64 * 64, ' ');
  const uint64_t size = text.size() - sizeof size;
  std::memcpy(text.data(), &size, sizeof size);
  return text;
}

std::unique_ptr<TensorWriter> NewSafetensorsWriter(
    const std::filesystem::path& path, std::vector<TensorSpec> specs,
    const std::map<std::string, std::string>& metadata) {
  return std::make_unique<SafetensorsWriter>(path, std::move(specs), metadata);
}

}  // namespace linnet
