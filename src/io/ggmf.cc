// The file format of rwkv.cpp: "ggmf", six numbers, then the tensors up to the end of the file.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <optional>
#include <string>
#include <vector>

#include "io/byte_cursor.h"
#include "io/ggml_tensor.h"
#include "io/quoted.h"
#include "linnet/error.h"

namespace linnet {
namespace {

// Since version 101 quantized tensors have ggml's final block formats.
constexpr int32_t kOldVersion = 100, kVersion = 101;
constexpr int32_t kMaxDims = 3;

std::optional<GgmlType> TypeOf(int32_t number) {
  switch (number) {
    case 0:
      return GgmlType{.plain = SourceType::kF32};
    case 1:
      return GgmlType{.plain = SourceType::kF16};
    case 2:
      return GgmlType{.block = GgmlBlock::kQ4_0};
    case 3:
      return GgmlType{.block = GgmlBlock::kQ4_1};
    case 7:
      return GgmlType{.block = GgmlBlock::kQ5_0};
    case 8:
      return GgmlType{.block = GgmlBlock::kQ5_1};
    case 9:
      return GgmlType{.block = GgmlBlock::kQ8_0};
    default:
      return std::nullopt;
  }
}

class GgmfReader {
 public:
  explicit GgmfReader(const FileBytes& file) : file_(file), cursor_(file) {}

  ParsedFile Read() {
    cursor_.Take(4);  // "ggmf", already checked by Sniff
    version_ = cursor_.Read<int32_t>();
    if (version_ != kOldVersion && version_ != kVersion) {
      throw Bad(fmt::format("version {}, expected {} or {}; convert it again with rwkv.cpp",
                            version_, kOldVersion, kVersion));
    }
    parsed_.metadata["ggmf.version"] = std::to_string(version_);
    for (const char* key : {"ggmf.n_vocab", "ggmf.n_embed", "ggmf.n_layer", "ggmf.data_type"}) {
      parsed_.metadata[key] = std::to_string(cursor_.Read<int32_t>());
    }
    while (cursor_.left() > 0) ReadTensor();
    return std::move(parsed_);
  }

 private:
  Error Bad(const std::string& what) const {
    return Error(ErrorKind::kBadModel,
                 fmt::format("{}: not a valid rwkv.cpp file: {}", file_.name, what));
  }

  void ReadTensor() {
    const size_t begin = cursor_.at();
    const auto dims = cursor_.Read<int32_t>(), length = cursor_.Read<int32_t>();
    const auto number = cursor_.Read<int32_t>();
    if (dims < 1 || dims > kMaxDims || length < 1) {
      throw Bad(fmt::format("at byte {} a tensor of {} dimensions and a name of {} bytes", begin,
                            dims, length));
    }
    std::vector<size_t> shape;
    for (int32_t i = 0; i < dims; ++i) {
      const auto n = cursor_.Read<int32_t>();
      if (n < 1) throw Bad(fmt::format("at byte {} a tensor with a dimension of {}", begin, n));
      shape.push_back(static_cast<size_t>(n));
    }
    std::reverse(shape.begin(), shape.end());
    const std::string name(cursor_.Text(static_cast<uint32_t>(length)));
    const auto type = TypeOf(number);
    if (!type) {
      throw Bad(
          fmt::format("tensor {} is of type {}, expected FP32, FP16, Q4_0, Q4_1, Q5_0, Q5_1 "
                      "or Q8_0 (0 to 3, 7 to 9); quantize the FP16 file again",
                      Quoted(name), number));
    }
    if (type->block && version_ == kOldVersion) {
      throw Error(
          ErrorKind::kBadModel,
          fmt::format("{}: a quantized rwkv.cpp file of version {}, whose block "
                      "format is obsolete, expected version {}; quantize the FP16 file again",
                      file_.name, kOldVersion, kVersion));
    }
    const auto bytes = BytesOf(*type, shape);
    if (!bytes) {
      throw Bad(fmt::format("tensor {} has no possible size: [{}] of type {}", Quoted(name),
                            fmt::join(shape, ", "), number));
    }
    const std::byte* data = cursor_.Take(*bytes);
    AddGgmlTensor(name, *type, std::move(shape), data, parsed_);
  }

  const FileBytes& file_;
  ByteCursor cursor_;
  int32_t version_ = 0;
  ParsedFile parsed_;
};

}  // namespace

ParsedFile ParseGgmf(const FileBytes& file) { return GgmfReader(file).Read(); }

}  // namespace linnet
