#include "io/tensor_writer.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <set>
#include <utility>

#include "base/atomic_file.h"
#include "base/check.h"
#include "base/is_utf8.h"
#include "io/container.h"
#include "io/quoted.h"
#include "io/stream_writer.h"
#include "linnet/error.h"
#include "tensor/half.h"

namespace linnet {
namespace {

template <class T, class F>
void AppendAs(TensorWriter& writer, std::span<const float> values, const F& round) {
  std::array<T, 4096> block;
  while (!values.empty()) {
    const auto part = values.first(std::min(values.size(), block.size()));
    for (size_t i = 0; i < part.size(); ++i) block[i] = round(part[i]);
    writer.Append(std::as_bytes(std::span(block).first(part.size())));
    values = values.subspan(part.size());
  }
}

}  // namespace

std::unique_ptr<TensorWriter> TensorWriter::Create(
    const std::filesystem::path& path, std::vector<TensorSpec> specs,
    const std::map<std::string, std::string>& metadata) {
  // Files with a "kind" need their metadata to be read.
  if (path.extension() == ".pth" && metadata.contains("kind")) {
    throw Error(ErrorKind::kBadInput,
                fmt::format("{}: .pth cannot store the metadata of a {}, expected a name "
                            "that ends in .safetensors",
                            path.string(), metadata.at("kind")));
  }
  if (path.extension() == ".pth") return NewTorchWriter(path, std::move(specs));
  return NewSafetensorsWriter(path, std::move(specs), metadata);
}

void TensorWriter::AppendFloats(SourceType type, std::span<const float> values) {
  switch (type) {
    case SourceType::kF32:
      return Append(std::as_bytes(values));
    case SourceType::kF16:
      return AppendAs<uint16_t>(*this, values, F32ToF16);
    case SourceType::kBF16:
      return AppendAs<uint16_t>(*this, values, F32ToBF16);
    case SourceType::kF64:
      return AppendAs<double>(*this, values, [](float value) { return double{value}; });
    default:
      LINNET_CHECK(false && "not a float type that can be written");
  }
}

StreamWriter::StreamWriter(const std::filesystem::path& path, std::vector<TensorSpec> specs)
    : specs_(std::move(specs)) {
  const auto bad = [&](const TensorSpec& spec, const char* what) {
    return Error(ErrorKind::kBadInput, fmt::format("{}: cannot write tensor {}: {}", path.string(),
                                                   Quoted(spec.name), what));
  };
  std::set<std::string_view> names;
  uint64_t total = 0;
  for (const auto& spec : specs_) {
    size_t count = 0;
    if (!IsUtf8(spec.name)) throw bad(spec, "its name is not UTF-8");
    if (!names.insert(spec.name).second) throw bad(spec, "another has the same name");
    if (!CountElements(spec.shape, &count) || count > (uint64_t{1} << 60)) {
      throw bad(spec, "too many elements");
    }
    bytes_.push_back(count * ElementBytes(spec.type));
    total = std::max(total, total + bytes_.back());  // detects overflow
  }
  if (!path.empty()) CheckSpace(path, total);
}

void StreamWriter::Append(std::span<const std::byte> bytes) {
  while (!bytes.empty()) {
    EndFull();
    LINNET_CHECK(current_ < specs_.size());
    const auto part = bytes.first(std::min<uint64_t>(bytes.size(), bytes_[current_] - written_));
    Write(part);
    written_ += part.size();
    bytes = bytes.subspan(part.size());
  }
}

// Ends full tensors and opens the next one that is not full.
void StreamWriter::EndFull() {
  while (current_ < specs_.size()) {
    if (!open_) Begin(current_);
    open_ = true;
    if (written_ < bytes_[current_]) return;
    End();
    ++current_;
    written_ = 0;
    open_ = false;
  }
}

void StreamWriter::Finish(const Check& check) {
  EndFull();
  LINNET_CHECK(current_ == specs_.size());
  Close(check);
}

}  // namespace linnet
