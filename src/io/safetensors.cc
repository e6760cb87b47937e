#include <fmt/format.h>

#include <bit>
#include <cstring>

#include "io/container.h"
#include "io/json_walk.h"
#include "io/quoted.h"
#include "linnet/error.h"

namespace linnet {
namespace {

// The format's own limit for its header.
constexpr uint64_t kMaxHeader = 100'000'000;
constexpr size_t kMaxDims = 16;

// Collects the tensors while the JSON header is walked.
class HeaderReader {
 public:
  HeaderReader(const FileBytes& file, std::span<const std::byte> data) : file_(file), data_(data) {}

  void Visit(const JsonEvent& event) {
    using Kind = JsonEvent::Kind;
    switch (event.path.size()) {
      case 0:
        if (event.kind != Kind::kObject) throw Bad("its header is not a JSON object");
        return;
      case 1:
        if (event.kind != Kind::kObject) {
          throw Bad(fmt::format("header entry {} is not an object", Quoted(event.path[0])));
        }
        return Begin(event.path[0]);
      case 2:
        if (in_metadata_) return VisitMetadata(event);
        return VisitField(event);
      default:
        throw Bad(fmt::format("header entry {} nests too deep", Quoted(event.path[0])));
    }
  }

  ParsedFile Finish() {
    End();
    return std::move(parsed_);
  }

 private:
  Error Bad(const std::string& what) const {
    return Error(ErrorKind::kBadModel,
                 fmt::format("{}: not valid safetensors: {}", file_.name, what));
  }
  Error BadTensor(const std::string& what) const {
    return Bad(fmt::format("tensor {}: {}", Quoted(tensor_.name), what));
  }

  void Begin(const std::string& name) {
    End();
    in_metadata_ = name == "__metadata__";
    if (in_metadata_) return;
    open_ = true;
    tensor_ = {};
    tensor_.name = name;
    has_type_ = has_shape_ = has_offsets_ = false;
    offsets_.clear();
  }

  void VisitMetadata(const JsonEvent& event) {
    if (event.kind != JsonEvent::Kind::kString) {
      throw Bad(fmt::format("metadata {} is not a string", Quoted(event.path[1])));
    }
    parsed_.metadata[event.path[1]] = event.text;
  }

  void VisitField(const JsonEvent& event) {
    const std::string& field = event.path[1];
    if (field == "dtype" && event.kind == JsonEvent::Kind::kString && !has_type_) {
      const auto type = SourceTypeOf(event.text);
      if (!type) throw BadTensor(fmt::format("unknown dtype {}", Quoted(event.text)));
      tensor_.type = *type;
      has_type_ = true;
    } else if (field == "shape") {
      VisitArray(event, &has_shape_, &tensor_.shape, kMaxDims);
    } else if (field == "data_offsets") {
      VisitArray(event, &has_offsets_, &offsets_, 2);
    } else {
      throw BadTensor(fmt::format("unexpected {} in its header entry", Quoted(field)));
    }
  }

  void VisitArray(const JsonEvent& event, bool* begun, std::vector<size_t>* out, size_t most) {
    if (event.kind == JsonEvent::Kind::kArray && !*begun) {
      *begun = true;
    } else if (event.kind == JsonEvent::Kind::kInteger && *begun && out->size() < most) {
      out->push_back(event.integer);
    } else {
      throw BadTensor(fmt::format("{} is not a list of at most {} sizes", event.path[1], most));
    }
  }

  void End() {
    if (!open_) return;
    open_ = false;
    if (!has_type_ || !has_shape_ || offsets_.size() != 2) {
      throw BadTensor("needs dtype, shape and two data_offsets");
    }
    const size_t begin = offsets_[0], end = offsets_[1];
    if (begin > end) throw BadTensor(fmt::format("data_offsets [{}, {}] are reversed", begin, end));
    if (end > data_.size()) {
      throw Error(ErrorKind::kBadModel,
                  fmt::format("{}: truncated: tensor {} ends at byte {}, the file has {}; download "
                              "it again",
                              file_.name, Quoted(tensor_.name),
                              end > SIZE_MAX - data_offset() ? end : end + data_offset(),
                              file_.bytes.size()));
    }
    size_t count = 0;
    const size_t element = ElementBytes(tensor_.type);
    if (!CountElements(tensor_.shape, &count) || (end - begin) % element != 0 ||
        count != (end - begin) / element) {
      throw BadTensor(fmt::format("{}[{}] does not take the {} bytes of its data_offsets",
                                  Name(tensor_.type), fmt::join(tensor_.shape, ", "), end - begin));
    }
    tensor_.strides = ContiguousStrides(tensor_.shape);
    tensor_.data = data_.data() + begin;
    parsed_.tensors.push_back(std::move(tensor_));
  }

  size_t data_offset() const { return file_.bytes.size() - data_.size(); }

  const FileBytes& file_;
  std::span<const std::byte> data_;
  ParsedFile parsed_;
  TensorView tensor_;
  std::vector<size_t> offsets_;
  bool open_ = false, in_metadata_ = false;
  bool has_type_ = false, has_shape_ = false, has_offsets_ = false;
};

}  // namespace

bool CountElements(const std::vector<size_t>& shape, size_t* count) {
  // The product ignores zeros: [2^40, 2^40, 0] is rejected too, so that strides never overflow.
  uint64_t product = 1;
  bool empty = false;
  for (const size_t n : shape) {
    empty = empty || n == 0;
    if (n != 0 && __builtin_mul_overflow(product, n, &product)) return false;
    if (product > uint64_t{INT64_MAX}) return false;
  }
  *count = empty ? 0 : product;
  return true;
}

ParsedFile ParseSafetensors(const FileBytes& file) {
  uint64_t size = 0;
  if (file.bytes.size() < sizeof(size)) {
    throw Error(ErrorKind::kBadModel,
                fmt::format("{}: {} bytes are too few for safetensors; download it again",
                            file.name, file.bytes.size()));
  }
  std::memcpy(&size, file.bytes.data(), sizeof(size));
  const auto rest = file.bytes.subspan(sizeof(size));
  if (size > kMaxHeader) {
    throw Error(ErrorKind::kBadModel,
                fmt::format("{}: not valid safetensors: a header of {} bytes, expected at most {}",
                            file.name, size, kMaxHeader));
  }
  if (size > rest.size()) {
    throw Error(ErrorKind::kBadModel,
                fmt::format("{}: truncated: its safetensors header has {} bytes, the file {}; "
                            "download it again",
                            file.name, size, file.bytes.size()));
  }
  HeaderReader reader(file, rest.subspan(size));
  WalkJson(AsText(rest.first(size)), 3, file.name + ": not valid safetensors: its header",
           [&reader](const JsonEvent& event) { reader.Visit(event); });
  return reader.Finish();
}

}  // namespace linnet
