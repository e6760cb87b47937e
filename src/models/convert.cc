#include "models/convert.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <utility>
#include <vector>

#include "io/tensor_writer.h"
#include "io/torch_dict.h"
#include "linnet/error.h"
#include "models/detect.h"
#include "models/init.h"

namespace linnet {
namespace {

constexpr size_t kBlock = size_t{4} << 20;  // bytes read at once, or one row if that is longer

// Whether the shapes are equal, ignoring dimensions of 1.
bool SameButOnes(std::vector<size_t> a, std::vector<size_t> b) {
  a.erase(std::remove(a.begin(), a.end(), size_t{1}), a.end());
  b.erase(std::remove(b.begin(), b.end(), size_t{1}), b.end());
  return a == b;
}

void RefuseOthers(const Checkpoint& in) {
  const FileKind kind = KindOf(in);
  if (kind == FileKind::kUnknown) ConfigOf(in);  // throws, naming what the file is
  if (kind != FileKind::kState) return;
  throw Error(ErrorKind::kBadModel, in.file().path().string() +
                                        ": this is a saved state, expected a checkpoint; see "
                                        "linnet state export");
}

class Copier {
 public:
  Copier(const Checkpoint& in, std::span<const ReleasedTensor> items, const ConvertOptions& options,
         TensorWriter& out)
      : in_(in), options_(options), out_(out) {
    for (const auto& item : items) total_ += item.view->elements() * ElementBytes(item.view->type);
  }

  void Copy(const TensorView& own) {
    const TensorView* other = options_.adapter ? options_.adapter->Replacement(own.name) : nullptr;
    const MatrixChange* change = options_.adapter ? options_.adapter->Find(own.name) : nullptr;
    const TensorView& t = other != nullptr ? *other : own;
    type_ = options_.type.value_or(own.type);
    as_it_is_ = (type_ == t.type || !IsFloat(t.type)) && change == nullptr;
    changer_.reset();
    if (change != nullptr) changer_.emplace(*change, t);
    const size_t row = t.cols() * ElementBytes(t.type);
    const size_t step = std::max<size_t>(1, kBlock / std::max<size_t>(row, 1) / 32 * 32);
    for (size_t begin = 0; begin < t.rows(); begin += step) {
      const size_t count = std::min(step, t.rows() - begin);
      CopyBlock(t, begin, count);
      if (t.shape.size() > 1) in_.file().Drop(t.Slice(begin, count));
      done_ += count * row;
      if (options_.progress) options_.progress(done_, total_);
    }
    in_.file().Drop(t);
  }

 private:
  void CopyBlock(const TensorView& t, size_t begin, size_t count) {
    if (as_it_is_) {
      bytes_.resize(count * t.cols() * ElementBytes(t.type));
      CopyRows(t, begin, count, bytes_.data());
      return out_.Append(bytes_);
    }
    values_.resize(count * t.cols());
    ReadRows(t, begin, count, values_.data());
    if (changer_) changer_->Apply(begin, count, values_.data());
    if (type_ == SourceType::kF16) CheckHalves(in_, t, values_);
    out_.AppendFloats(type_, values_);
  }

  const Checkpoint& in_;
  const ConvertOptions& options_;
  TensorWriter& out_;
  SourceType type_ = SourceType::kF32;  // of the tensor being written
  bool as_it_is_ = false;
  std::optional<RowChanger> changer_;
  uint64_t done_ = 0, total_ = 0;
  std::vector<std::byte> bytes_;
  std::vector<float> values_;
};

}  // namespace

std::vector<ReleasedTensor> InReleasedOrder(const Checkpoint& in) {
  std::vector<ReleasedTensor> items;
  for (const TensorView& t : in.tensors()) {
    if (!t.name.starts_with(kTrainingPrefix)) items.push_back({&t, t.shape});
  }
  if (KindOf(in) != FileKind::kModel) return items;
  const Config config = ConfigOf(in);
  if (in.naming() == TensorNaming::kBlinkDL && !in.packed()) return items;
  std::map<std::string, size_t> places;
  const auto released = NewParameters(config);
  for (size_t i = 0; i < released.size(); ++i) places[released[i].name] = i;
  const auto place = [&](const ReleasedTensor& item) {
    const auto it = places.find(item.view->name);
    return it == places.end() ? released.size() : it->second;
  };
  for (ReleasedTensor& item : items) {
    const size_t at = place(item);
    if (at < released.size() && SameButOnes(item.shape, released[at].shape)) {
      item.shape = released[at].shape;
    }
  }
  std::stable_sort(
      items.begin(), items.end(),
      [&](const ReleasedTensor& a, const ReleasedTensor& b) { return place(a) < place(b); });
  return items;
}

void CheckHalves(const Checkpoint& in, const TensorView& t, std::span<const float> values) {
  constexpr float kBeyond = 65520;  // this and above rounds to infinity
  for (const float x : values) {
    if (std::abs(x) < kBeyond || !std::isfinite(x)) continue;
    throw Error(ErrorKind::kBadModel,
                fmt::format("{}: {} holds {}, which f16 cannot (at most 65504); use bf16 or f32",
                            in.file().path().string(), t.name, x));
  }
}

std::optional<SourceType> ParseFloatType(std::string_view name) {
  if (name == "f32") return SourceType::kF32;
  if (name == "f16") return SourceType::kF16;
  if (name == "bf16") return SourceType::kBF16;
  return std::nullopt;
}

namespace {

// The tensors to write: the model's, and the adapter's tuned state if the model has none.
std::vector<ReleasedTensor> ItemsOf(const Checkpoint& in, const Adapter* adapter) {
  auto items = InReleasedOrder(in);
  if (adapter == nullptr) return items;
  for (const TensorView& t : adapter->file().tensors()) {
    // All other tensors that the adapter replaces are in the model.
    if (adapter->Replacement(t.name) != nullptr && !in.Has(t.name)) items.push_back({&t, t.shape});
  }
  return items;
}

std::map<std::string, std::string> MetadataFor(const Checkpoint& in,
                                               const std::filesystem::path& out) {
  std::map<std::string, std::string> metadata = {{"format", "pt"}};
  if (KindOf(in) != FileKind::kModel) return metadata;
  const Config config = ConfigOf(in);
  RefuseLostEpsilons(config, in.file().path(), out);
  metadata.merge(EpsilonMetadata(config));
  const auto layers = in.file().metadata().find(kRerankerLayers);
  if (layers != in.file().metadata().end()) metadata.insert(*layers);
  return metadata;
}

}  // namespace

Converted ConvertCheckpoint(const Checkpoint& in, const std::filesystem::path& out,
                            const ConvertOptions& options) {
  RefuseOthers(in);
  if (out.extension() == ".pth" && in.file().metadata().contains(kRerankerLayers)) {
    throw Error(ErrorKind::kBadInput,
                fmt::format("{}: a .pth written here cannot keep which layers the reranker reads; "
                            "write .safetensors",
                            out.string()));
  }
  const auto items = ItemsOf(in, options.adapter);
  std::vector<TensorSpec> specs;
  Converted converted;
  for (const ReleasedTensor& item : items) {
    const bool cast = options.type && IsFloat(item.view->type);
    specs.push_back({item.view->name, cast ? *options.type : item.view->type, item.shape});
    ++converted.tensors;
    converted.parameters += item.view->elements();
  }
  auto vocabulary = options.vocabulary.empty() ? in.stored_vocabulary() : options.vocabulary;
  if (out.extension() == ".pth") vocabulary = {};
  if (!vocabulary.empty()) {
    specs.push_back({kVocabularyTensor, SourceType::kU8, {vocabulary.size()}});
  }
  const auto writer = TensorWriter::Create(out, specs, MetadataFor(in, out));
  Copier copier(in, items, options, *writer);
  for (const ReleasedTensor& item : items) copier.Copy(*item.view);
  writer->Append(vocabulary);
  writer->Finish(options.check);
  return converted;
}

}  // namespace linnet
