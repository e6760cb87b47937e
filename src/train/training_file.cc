#include "train/training_file.h"

#include <fmt/format.h>
#include <zlib.h>

#include <algorithm>
#include <charconv>
#include <cstring>
#include <memory>
#include <nlohmann/json.hpp>
#include <vector>

#include "io/model_folder.h"
#include "io/tensor_file.h"
#include "io/tensor_writer.h"
#include "linnet/error.h"
#include "models/convert.h"
#include "models/header.h"

namespace linnet {
namespace {

// All names begin with kTrainingPrefix.
constexpr const char* kMoments[] = {"training.first_moments", "training.second_moments"};
// The last tensor: CRC-32 of metadata, names, shapes and the bytes of all others, little-endian.
constexpr const char* kChecksum = "training.crc32";
constexpr size_t kChecksumBytes = 4;

// One per tensor: the slices of a parameter are stored in sequence.
std::vector<TensorSpec> Specs(std::span<const Parameter> parameters, SourceType type) {
  std::vector<TensorSpec> specs;
  for (const Parameter& p : parameters) {
    if (p.slice == 0) specs.push_back({p.name, type, p.shape});
  }
  return specs;
}

class Checksum {
 public:
  void Add(std::span<const std::byte> bytes) {
    if (bytes.empty()) return;  // zlib starts anew at a null pointer
    value_ = crc32_z(value_, reinterpret_cast<const Bytef*>(bytes.data()), bytes.size());
  }
  void Add(const std::map<std::string, std::string>& metadata) {
    AddText(nlohmann::json(metadata).dump(-1, ' ', true, nlohmann::json::error_handler_t::replace));
  }
  void Add(const std::string& name, const std::vector<size_t>& shape) {
    AddText(name + nlohmann::json(shape).dump());
  }
  uint32_t value() const { return static_cast<uint32_t>(value_); }

 private:
  void AddText(const std::string& text) { Add(std::as_bytes(std::span(text))); }

  uLong value_ = crc32(0, nullptr, 0);
};

// The computed checksum of a file that contains one.
uint32_t ChecksumOf(const TensorFile& file) {
  std::vector<const TensorView*> tensors;
  for (const TensorView& t : file.tensors()) {
    if (t.name != kChecksum) tensors.push_back(&t);
  }
  std::sort(tensors.begin(), tensors.end(),
            [](const TensorView* a, const TensorView* b) { return a->data < b->data; });
  Checksum sum;
  sum.Add(file.metadata());
  for (const TensorView* t : tensors) sum.Add(t->name, t->shape);
  for (const TensorView* t : tensors) {
    sum.Add({t->data, t->elements() * ElementBytes(t->type)});
    file.Drop(*t);
  }
  return sum.value();
}

uint64_t Number(const TensorFile& file, const std::string& key) {
  const auto it = file.metadata().find(key);
  uint64_t value = 0;
  if (it != file.metadata().end()) {
    const std::string& text = it->second;
    const char* end = text.data() + text.size();
    if (std::from_chars(text.data(), end, value).ptr == end) return value;
  }
  throw Error(ErrorKind::kBadInput, fmt::format("{}: metadata {} is missing or no number; the file "
                                                "is not a whole training checkpoint",
                                                file.path().string(), key));
}

std::vector<double> Norms(const TensorFile& file) {
  const auto it = file.metadata().find("norms");
  const auto list = nlohmann::json::parse(it == file.metadata().end() ? "" : it->second, nullptr,
                                          /*allow_exceptions=*/false);
  std::vector<double> norms;
  for (const auto& value : list.is_array() ? list : nlohmann::json::array()) {
    if (value.is_number()) norms.push_back(value.get<double>());
  }
  return norms;
}

const TensorView& Find(const TensorFile& file, const std::string& name,
                       const std::vector<size_t>& shape) {
  const TensorView* t = file.Find(name);
  if (t == nullptr || t->shape != shape || t->type != SourceType::kF32) {
    throw Error(ErrorKind::kBadInput,
                fmt::format("{}: {} is {}; resume with the base and options the run began with",
                            file.path().string(), name,
                            t == nullptr ? "missing" : "of another shape than in this run"));
  }
  return *t;
}

void ReadParameter(const TensorFile& file, const Parameter& p) {
  TensorView t = Find(file, p.name, p.shape);
  if (p.shape.size() > 2 && p.shape[0] * p.v.rows * p.v.cols == t.elements()) t = t.Index(p.slice);
  if (p.transposed) t = t.Transposed();
  if (t.rows() == p.v.rows) return ReadRows(t, 0, p.v.rows, p.v.data);
  const auto values = ReadAll(t);  // a vector, whatever its shape
  std::copy(values.begin(), values.end(), p.v.data);
}

}  // namespace

void SaveTraining(Learner& learner, World& world, const std::filesystem::path& path,
                  const Notes& notes, std::span<const std::byte> vocabulary) {
  const Network& network = learner.network();
  const bool first = world.index() == 0;
  std::unique_ptr<TensorWriter> writer;
  Checksum sum;
  if (vocabulary.empty()) vocabulary = network.checkpoint().stored_vocabulary();
  if (!learner.learns_all()) vocabulary = {};
  const auto take = [&](std::span<const float> values) {
    sum.Add(std::as_bytes(values));
    writer->AppendFloats(SourceType::kF32, values);
  };
  if (first) {
    auto metadata = notes;
    const Learner::Memory& memory = learner.memory();
    metadata.merge(EpsilonMetadata(network.config()));
    metadata["kind"] = kTrainingKind;
    metadata[kStepsKey] = std::to_string(memory.steps);
    if (!learner.learns_all()) metadata[kPartKey] = "true";
    metadata["updates"] = std::to_string(memory.updates);
    metadata["norms"] = nlohmann::json(memory.norms).dump();
    auto specs = Specs(network.parameters(), SourceType::kF32);
    for (const char* name : kMoments) {
      specs.push_back({name, SourceType::kF32, {network.values().size()}});
    }
    if (!vocabulary.empty()) {
      specs.push_back({kVocabularyTensor, SourceType::kU8, {vocabulary.size()}});
    }
    sum.Add(metadata);
    for (const TensorSpec& spec : specs) sum.Add(spec.name, spec.shape);
    specs.push_back({kChecksum, SourceType::kU8, {kChecksumBytes}});
    writer = TensorWriter::Create(path, specs, metadata);
    for (const Parameter& p : network.parameters()) take(InCheckpointOrder(p, p.v));
  }
  world.Gather(learner.optimizer().first_moments(), learner.shards(), take);
  world.Gather(learner.optimizer().second_moments(), learner.shards(), take);
  if (!first) return;
  sum.Add(vocabulary);
  writer->Append(vocabulary);
  const uint32_t value = sum.value();
  writer->Append(std::as_bytes(std::span(&value, 1)));
  writer->Finish();
}

Notes LoadTraining(Learner& learner, World& world, const std::filesystem::path& path) {
  const TensorFile file = TensorFile::Open(path);
  const auto kind = file.metadata().find("kind");
  if (kind == file.metadata().end() || kind->second != kTrainingKind) {
    throw Error(
        ErrorKind::kBadInput,
        path.string() + ": is not a training checkpoint, expected one that `linnet train` wrote");
  }
  Learner::Memory memory{Number(file, kStepsKey), Number(file, "updates"), Norms(file)};
  const Network& network = learner.network();
  const TensorView& first = Find(file, kMoments[0], {network.values().size()});
  const TensorView& second = Find(file, kMoments[1], {network.values().size()});
  for (const Parameter& p : network.parameters()) Find(file, p.name, p.shape);
  for (const Parameter& p : network.parameters()) ReadParameter(file, p);
  const size_t begin = learner.shards()[world.index()];
  const size_t count = learner.shards()[world.index() + 1] - begin;
  const auto read = [&](const TensorView& t, std::span<float> to) {
    ReadRows(t.Slice(begin, count), 0, 1, to.data());
  };
  read(first, learner.optimizer().first_moments());
  read(second, learner.optimizer().second_moments());
  learner.Restore(std::move(memory));
  return file.metadata();
}

std::string DamageOf(const std::filesystem::path& path) {
  try {
    const TensorFile file = TensorFile::Open(path);
    const TensorView* t = file.Find(kChecksum);
    if (t == nullptr) return "";
    uint32_t value = 0;
    if (t->type != SourceType::kU8 || t->elements() != kChecksumBytes) return "it has no checksum";
    std::memcpy(&value, t->data, kChecksumBytes);
    return value == ChecksumOf(file) ? "" : "its checksum is wrong";
  } catch (const Error& error) {
    if (error.kind() == ErrorKind::kIo) throw;
    return "it is cut off, or no safetensors file";
  }
}

void SaveModel(const Network& network, const std::filesystem::path& path, SourceType type,
               std::span<const std::byte> vocabulary, const Notes& notes) {
  if (vocabulary.empty()) vocabulary = network.checkpoint().stored_vocabulary();
  if (path.extension() == ".pth") vocabulary = {};
  auto specs = Specs(network.parameters(), type);
  std::vector<const TensorView*> rest;
  for (const ReleasedTensor& t : InReleasedOrder(network.checkpoint())) {
    const auto learnt = [&](const TensorSpec& spec) { return spec.name == t.view->name; };
    if (std::any_of(specs.begin(), specs.end(), learnt) || !IsFloat(t.view->type)) continue;
    rest.push_back(t.view);
  }
  for (const TensorView* t : rest) specs.push_back({t->name, type, t->shape});
  if (!vocabulary.empty()) {
    specs.push_back({kVocabularyTensor, SourceType::kU8, {vocabulary.size()}});
  }
  RefuseLostEpsilons(network.config(), network.checkpoint().file().path(), path);
  auto metadata = notes;
  metadata.merge(EpsilonMetadata(network.config()));
  const auto writer = TensorWriter::Create(path, specs, metadata);
  for (const Parameter& p : network.parameters()) {
    writer->AppendFloats(type, InCheckpointOrder(p, p.v));
  }
  constexpr size_t kFloats = size_t{1} << 20;
  std::vector<float> values;
  for (const TensorView* t : rest) {
    const size_t rows = std::clamp<size_t>(kFloats / std::max<size_t>(t->cols(), 1), 1, t->rows());
    for (size_t begin = 0; begin < t->rows(); begin += rows) {
      const size_t count = std::min(rows, t->rows() - begin);
      values.resize(count * t->cols());
      ReadRows(*t, begin, count, values.data());
      writer->AppendFloats(type, values);
    }
  }
  writer->Append(vocabulary);
  writer->Finish();
}

void SaveAdapter(const Network& network, const TensorFile& start, const std::filesystem::path& path,
                 SourceType type) {
  std::vector<TensorSpec> specs;
  const auto type_of = [type](const TensorView& t) {
    return IsTimeState(t.name) ? SourceType::kF32 : type;
  };
  for (const TensorView& t : start.tensors()) specs.push_back({t.name, type_of(t), t.shape});
  const auto writer = TensorWriter::Create(path, specs, start.metadata());
  for (const TensorView& t : start.tensors()) {
    bool learnt = false;
    for (const Parameter& p : network.parameters()) {
      if (p.name != t.name) continue;
      writer->AppendFloats(type_of(t), InCheckpointOrder(p, p.v));
      learnt = true;
    }
    if (!learnt) writer->AppendFloats(type_of(t), ReadAll(t));
  }
  writer->Finish();
}

}  // namespace linnet
