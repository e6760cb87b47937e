#include "io/gguf_writer.h"

#include <algorithm>
#include <cstring>
#include <string_view>
#include <utility>

#include "base/atomic_file.h"
#include "base/check.h"
#include "tensor/ggml_blocks.h"
#include "tensor/half.h"

namespace linnet {
namespace {

constexpr uint64_t kAlignment = 32;
constexpr uint32_t kString = 8, kArray = 9;

uint64_t Aligned(uint64_t n) { return (n + kAlignment - 1) / kAlignment * kAlignment; }

uint64_t Elements(const GgufTensor& t) {
  uint64_t count = 1;
  for (const size_t n : t.shape) count *= n;
  return count;
}

uint64_t BytesOf(GgufType type, uint64_t count) {
  switch (type) {
    case GgufType::kF32:
      return count * 4;
    case GgufType::kQ8_0:
      return count / 32 * BytesPerBlock(GgmlBlock::kQ8_0);
    default:
      return count * 2;
  }
}

uint32_t NumberOf(GgufType type) {
  constexpr uint32_t kNumbers[] = {0, 1, 30, 8};
  return kNumbers[static_cast<size_t>(type)];
}

class Head {
 public:
  template <class T>
  void Number(T value) {
    text_.append(reinterpret_cast<const char*>(&value), sizeof(value));
  }
  void Text(std::string_view text) {
    Number(uint64_t{text.size()});
    text_ += text;
  }
  void operator()(uint32_t value) { Number(uint32_t{4}), Number(value); }
  void operator()(float value) { Number(uint32_t{6}), Number(value); }
  void operator()(const std::string& value) { Number(kString), Text(value); }
  void operator()(const std::vector<std::string>& values) {
    Number(kArray), Number(kString), Number(uint64_t{values.size()});
    for (const auto& value : values) Text(value);
  }
  void operator()(const std::vector<int32_t>& values) {
    Number(kArray), Number(uint32_t{5}), Number(uint64_t{values.size()});
    for (const int32_t value : values) Number(value);
  }
  const std::string& text() const { return text_; }

 private:
  std::string text_;
};

}  // namespace

GgufWriter::GgufWriter(const std::filesystem::path& path, const std::vector<GgufKey>& keys,
                       std::vector<GgufTensor> tensors)
    : file_(path), tensors_(std::move(tensors)) {
  Head head;
  head.Number(uint32_t{3});
  head.Number(uint64_t{tensors_.size()});
  head.Number(uint64_t{keys.size()});
  for (const GgufKey& key : keys) {
    head.Text(key.name);
    std::visit(head, key.value);
  }
  uint64_t offset = 0;
  for (const GgufTensor& t : tensors_) {
    LINNET_CHECK(t.type != GgufType::kQ8_0 || t.shape.back() % 32 == 0);
    head.Text(t.name);
    head.Number(static_cast<uint32_t>(t.shape.size()));
    for (size_t i = t.shape.size(); i-- > 0;) head.Number(uint64_t{t.shape[i]});
    head.Number(NumberOf(t.type));
    head.Number(offset);
    offset += Aligned(BytesOf(t.type, Elements(t)));
  }
  CheckSpace(path, offset);
  file_.Write("GGUF");
  file_.Write(head.text());
  Pad();
}

void GgufWriter::Pad() {
  const std::string zeros(Aligned(file_.offset()) - file_.offset(), '\0');
  file_.Write(zeros);
}

void GgufWriter::Append(std::span<const float> values) {
  if (values.empty()) return;
  LINNET_CHECK(current_ < tensors_.size());
  const GgufTensor& t = tensors_[current_];
  bytes_.resize(BytesOf(t.type, values.size()));
  if (t.type == GgufType::kF32) {
    std::memcpy(bytes_.data(), values.data(), bytes_.size());
  } else if (t.type == GgufType::kQ8_0) {
    EncodeQ8_0(values.data(), values.size(), bytes_.data());
  } else {
    for (size_t i = 0; i < values.size(); ++i) {
      const uint16_t bits = t.type == GgufType::kF16 ? F32ToF16(values[i]) : F32ToBF16(values[i]);
      std::memcpy(bytes_.data() + 2 * i, &bits, sizeof(bits));
    }
  }
  file_.Write(bytes_);
  written_ += values.size();
  LINNET_CHECK(written_ <= Elements(t));
  if (written_ < Elements(t)) return;
  Pad();
  ++current_;
  written_ = 0;
}

void GgufWriter::Finish() {
  LINNET_CHECK(current_ == tensors_.size());
  file_.Commit();
}

}  // namespace linnet
