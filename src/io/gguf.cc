#include "io/gguf.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <bit>
#include <optional>
#include <string_view>
#include <utility>

#include "io/byte_cursor.h"
#include "io/ggml_tensor.h"
#include "io/quoted.h"
#include "linnet/error.h"

namespace linnet {
namespace {

enum ValueType : uint32_t {
  kU8,
  kI8,
  kU16,
  kI16,
  kU32,
  kI32,
  kF32,
  kBool,
  kString,
  kArray,
  kU64,
  kI64,
  kF64,
};
constexpr size_t kValueBytes[] = {1, 1, 2, 2, 4, 4, 4, 1, 0, 0, 8, 8, 8};
constexpr size_t kMaxDims = 4;
constexpr uint64_t kDefaultAlignment = 32, kMaxAlignment = 1 << 20;

constexpr std::string_view kTokens = "tokenizer.ggml.tokens", kKinds = "tokenizer.ggml.token_type",
                           kTokenizer = "tokenizer.ggml.model";

// The type with this ggml number.
std::optional<GgmlType> TypeOf(uint32_t number) {
  switch (number) {
    case 0:
      return GgmlType{.plain = SourceType::kF32};
    case 1:
      return GgmlType{.plain = SourceType::kF16};
    case 2:
      return GgmlType{.block = GgmlBlock::kQ4_0};
    case 3:
      return GgmlType{.block = GgmlBlock::kQ4_1};
    case 6:
      return GgmlType{.block = GgmlBlock::kQ5_0};
    case 7:
      return GgmlType{.block = GgmlBlock::kQ5_1};
    case 8:
      return GgmlType{.block = GgmlBlock::kQ8_0};
    case 12:
      return GgmlType{.block = GgmlBlock::kQ4K};
    case 13:
      return GgmlType{.block = GgmlBlock::kQ5K};
    case 14:
      return GgmlType{.block = GgmlBlock::kQ6K};
    case 24:
      return GgmlType{.plain = SourceType::kI8};
    case 25:
      return GgmlType{.plain = SourceType::kI16};
    case 26:
      return GgmlType{.plain = SourceType::kI32};
    case 27:
      return GgmlType{.plain = SourceType::kI64};
    case 28:
      return GgmlType{.plain = SourceType::kF64};
    case 30:
      return GgmlType{.plain = SourceType::kBF16};
    default:
      return std::nullopt;
  }
}

std::string_view UnsupportedName(uint32_t number) {
  constexpr std::pair<uint32_t, std::string_view> kNames[] = {
      {10, "Q2_K"},  {11, "Q3_K"},   {16, "IQ2_XXS"}, {17, "IQ2_XS"}, {18, "IQ3_XXS"},
      {19, "IQ1_S"}, {20, "IQ4_NL"}, {21, "IQ3_S"},   {22, "IQ2_S"},  {23, "IQ4_XS"},
      {29, "IQ1_M"}, {34, "TQ1_0"},  {35, "TQ2_0"},   {39, "MXFP4"}};
  for (const auto& [known, name] : kNames) {
    if (known == number) return name;
  }
  return "unknown";
}

class GgufReader {
 public:
  GgufReader(const FileBytes& file, GgufVocabulary* vocabulary)
      : file_(file), cursor_(file), vocabulary_(vocabulary) {}

  ParsedFile Read() {
    cursor_.Take(4);  // "GGUF", already checked by Sniff
    const auto version = cursor_.Read<uint32_t>();
    if (version != 2 && version != 3) {
      const bool swapped = version << 16 == 0 && version != 0;
      throw Bad(
          fmt::format("{}, expected version 2 or 3; convert it again with llama.cpp",
                      swapped ? std::string("big-endian") : fmt::format("version {}", version)));
    }
    const auto tensors = cursor_.Read<uint64_t>();
    const auto keys = cursor_.Read<uint64_t>();
    for (uint64_t i = 0; i < keys; ++i) ReadKey();
    if (vocabulary_ == nullptr) ReadTensors(tensors);
    return std::move(parsed_);
  }

 private:
  Error Bad(const std::string& what) const {
    return Error(ErrorKind::kBadModel, fmt::format("{}: not valid GGUF: {}", file_.name, what));
  }

  std::string_view ReadString() { return cursor_.Text(cursor_.Read<uint64_t>()); }

  template <class T>
  std::string Number() {
    return fmt::format("{}", cursor_.Read<T>());
  }

  std::string ReadScalar(uint32_t type) {
    switch (type) {
      case kU8:
        return Number<uint8_t>();
      case kI8:
        return fmt::format("{}", int{cursor_.Read<int8_t>()});
      case kU16:
        return Number<uint16_t>();
      case kI16:
        return Number<int16_t>();
      case kU32:
        return Number<uint32_t>();
      case kI32:
        return Number<int32_t>();
      case kF32:
        return Number<float>();
      case kBool:
        return cursor_.Read<uint8_t>() != 0 ? "true" : "false";
      case kString:
        return std::string(ReadString());
      case kU64:
        return Number<uint64_t>();
      case kI64:
        return Number<int64_t>();
      case kF64:
        return Number<double>();
      default:
        throw Bad(fmt::format("a value of type {}, expected 0 to {}", type, uint32_t{kF64}));
    }
  }

  void ReadKey() {
    const auto key = ReadString();
    const auto type = cursor_.Read<uint32_t>();
    if (type == kArray) return ReadArray(key);
    auto value = ReadScalar(type);
    if (vocabulary_ == nullptr) {
      parsed_.metadata[std::string(key)] = std::move(value);
    } else if (key == kTokenizer) {
      vocabulary_->model = std::move(value);
    }
  }

  void ReadArray(std::string_view key) {
    const auto type = cursor_.Read<uint32_t>();
    const auto count = cursor_.Read<uint64_t>();
    if (type > kF64 || type == kArray) {
      throw Bad(fmt::format("{} is an array of type {}", Quoted(key), type));
    }
    const bool tokens = vocabulary_ != nullptr && key == kTokens && type == kString;
    const bool kinds = vocabulary_ != nullptr && key == kKinds && type == kI32;
    if (type != kString && !kinds) {
      uint64_t bytes = 0;
      if (__builtin_mul_overflow(count, kValueBytes[type], &bytes)) bytes = UINT64_MAX;
      cursor_.Take(bytes);
      return;
    }
    for (uint64_t i = 0; i < count; ++i) {
      if (kinds) {
        vocabulary_->kinds.push_back(cursor_.Read<int32_t>());
      } else if (const auto token = ReadString(); tokens) {
        vocabulary_->tokens.emplace_back(token);
      }
    }
  }

  struct Info {
    std::string_view name;
    std::vector<size_t> shape;
    GgmlType type;
    uint64_t offset = 0, bytes = 0;
  };

  Info ReadInfo() {
    Info info;
    info.name = ReadString();
    const auto dims = cursor_.Read<uint32_t>();
    if (dims == 0 || dims > kMaxDims) {
      throw Bad(fmt::format("tensor {} has {} dimensions, expected 1 to {}", Quoted(info.name),
                            dims, kMaxDims));
    }
    for (uint32_t i = 0; i < dims; ++i) info.shape.push_back(cursor_.Read<uint64_t>());
    std::reverse(info.shape.begin(), info.shape.end());
    const auto number = cursor_.Read<uint32_t>();
    const auto type = TypeOf(number);
    if (!type) {
      throw Error(
          ErrorKind::kBadModel,
          fmt::format("{}: tensor {} is of ggml type {} ({}), expected F32, F16, BF16, "
                      "Q8_0, Q4_0, Q4_1, Q5_0, Q5_1, Q4_K, Q5_K or Q6_K; quantize it to one "
                      "of those",
                      file_.name, Quoted(info.name), number, UnsupportedName(number)));
    }
    info.type = *type;
    info.offset = cursor_.Read<uint64_t>();
    const auto bytes = BytesOf(info.type, info.shape);
    if (!bytes) {
      throw Bad(fmt::format("tensor {} has no possible size: [{}] of ggml type {}",
                            Quoted(info.name), fmt::join(info.shape, ", "), number));
    }
    info.bytes = *bytes;
    return info;
  }

  uint64_t Alignment() const {
    const auto it = parsed_.metadata.find("general.alignment");
    if (it == parsed_.metadata.end()) return kDefaultAlignment;
    uint64_t value = 0;
    for (const char c : it->second) {
      if (c < '0' || c > '9' || value > kMaxAlignment) return BadAlignment(it->second);
      value = value * 10 + static_cast<uint64_t>(c - '0');
    }
    return std::has_single_bit(value) && value <= kMaxAlignment ? value : BadAlignment(it->second);
  }
  uint64_t BadAlignment(const std::string& value) const {
    throw Bad(fmt::format("general.alignment is {}, expected a power of two up to {}",
                          Quoted(value), kMaxAlignment));
  }

  void ReadTensors(uint64_t count) {
    std::vector<Info> infos;
    for (uint64_t i = 0; i < count; ++i) infos.push_back(ReadInfo());
    const uint64_t alignment = Alignment();
    const uint64_t begin = (cursor_.at() + alignment - 1) / alignment * alignment;
    const uint64_t size = file_.bytes.size();
    uint64_t claimed = 0;
    for (Info& info : infos) {
      if (info.offset % alignment != 0) {
        throw Bad(fmt::format("tensor {} begins at {}, expected a multiple of {}",
                              Quoted(info.name), info.offset, alignment));
      }
      if (begin > size || info.offset > size - begin || info.bytes > size - begin - info.offset) {
        throw Error(
            ErrorKind::kBadModel,
            fmt::format("{}: truncated: tensor {} has {} bytes from {} on, the file has {}; "
                        "download it again",
                        file_.name, Quoted(info.name), info.bytes, info.offset, size));
      }
      claimed += info.bytes;
      if (claimed > size) throw Bad("its tensors claim more bytes than the file has");
      AddGgmlTensor(std::string(info.name), info.type, std::move(info.shape),
                    file_.bytes.data() + begin + info.offset, parsed_);
    }
  }

  const FileBytes& file_;
  ByteCursor cursor_;
  GgufVocabulary* vocabulary_;  // if not null, only the vocabulary is read, no tensors
  ParsedFile parsed_;
};

}  // namespace

ParsedFile ParseGguf(const FileBytes& file) { return GgufReader(file, nullptr).Read(); }

GgufVocabulary ReadGgufVocabulary(const FileBytes& file) {
  GgufVocabulary vocabulary;
  GgufReader(file, &vocabulary).Read();
  return vocabulary;
}

}  // namespace linnet
