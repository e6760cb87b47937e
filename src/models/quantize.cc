#include "models/quantize.h"

#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <map>
#include <utility>
#include <vector>

#include "base/fnv.h"
#include "linnet/error.h"
#include "models/convert.h"
#include "models/detect.h"
#include "models/hash.h"
#include "models/network.h"
#include "models/packed_writer.h"

namespace linnet {
namespace {

constexpr size_t kBlock = size_t{4} << 20;  // values read at once, or one row if that has more

bool IsVocabulary(const PackedSpec& spec) {
  return spec.name == kVocabularyTensor && spec.plain_type == SourceType::kU8 &&
         spec.shape.size() == 1;
}

Quantized SizesOf(std::span<const PackedSpec> specs) {
  Quantized sizes{};
  for (const PackedSpec& spec : specs) {
    if (IsVocabulary(spec)) continue;
    ++sizes.tensors;
    sizes.parameters += spec.elements();
    sizes.bytes += spec.bytes();
  }
  return sizes;
}

class Copier {
 public:
  Copier(const Checkpoint& in, const QuantizeOptions& options, PackedWriter& out, ThreadPool& pool)
      : in_(in),
        options_(options),
        out_(out),
        pool_(pool),
        total_(SizesOf(out.specs()).parameters) {}

  void Copy(const TensorView& t, const PackedSpec& spec) {
    if (t.elements() == 0) return;
    ReadTypeCheck(t);
    if (IsCopy(t, spec)) return CopyEncoded(t);
    const size_t cols = t.cols(), step = std::max<size_t>(32, kBlock / cols / 32 * 32);
    for (size_t begin = 0; begin < t.rows(); begin += step) {
      const size_t count = std::min(step, t.rows() - begin);
      if (IsFloat(t.type)) {
        CopyValues(t, spec, begin, count);
      } else {
        bytes_.resize(count * cols * ElementBytes(t.type));
        CopyRows(t, begin, count, bytes_.data());
        out_.AppendBytes(bytes_);
      }
      if (t.shape.size() > 1) in_.file().Drop(t.Slice(begin, count));
      Done(count * cols);
    }
    in_.file().Drop(t);
  }

 private:
  // Throws here what reading would throw on another thread.
  static void ReadTypeCheck(const TensorView& t) {
    if (IsFloat(t.type)) ReadRows(t, 0, 0, nullptr);
  }

  static bool IsCopy(const TensorView& t, const PackedSpec& spec) {
    if (spec.layout == Layout::kRows) return IsTable(t);
    const PanelEncoding* panels = PanelsOf(t);
    // The new file states that bf16 is finite, so values are checked unless the old file states it
    // too.
    const bool known = panels != nullptr && (panels->finite() || spec.dtype != DType::kBF16);
    return known && spec.layout != Layout::kPlain && panels->dtype() == spec.dtype &&
           panels->transposed() == (spec.layout == Layout::kPanelsTransposed);
  }

  // Copies encoded bytes: quantizing decoded values again may round them differently.
  void CopyEncoded(const TensorView& t) {
    auto rest = t.encoding->bytes();
    while (!rest.empty()) {
      const auto part = rest.first(std::min(rest.size(), kBlock));
      out_.AppendBytes(part);
      rest = rest.subspan(part.size());
      in_.file().Drop(t);
      if (options_.progress) options_.progress(done_, total_);
    }
    Done(t.elements());
  }

  void CopyValues(const TensorView& t, const PackedSpec& spec, size_t begin, size_t count) {
    const size_t cols = t.cols();
    values_.resize(count * cols);
    const bool plain = spec.layout == Layout::kPlain;
    // The scales of embedding rows are f32.
    const DType holds = spec.layout == Layout::kRows ? DType::kF32 : spec.dtype;
    std::atomic<bool> fits = true;
    pool_.ForRanges(count, 32, [&](size_t from, size_t to) {
      constexpr size_t kRows = 64;  // checked while they are in the cache
      for (; from < to; from += std::min(kRows, to - from)) {
        const size_t rows = std::min(kRows, to - from);
        const std::span<float> part(values_.data() + from * cols, rows * cols);
        ReadRows(t, begin + from, rows, part.data());
        if (!plain && FindUnfit(holds, part) != nullptr) fits = false;
      }
    });
    if (!fits) {
      throw UnfitError(in_.file().path().string(), t.name, holds, *FindUnfit(holds, values_));
    }
    if (plain && spec.plain_type == SourceType::kF16) CheckHalves(in_, t, values_);
    out_.Append(values_);
  }

  void Done(size_t values) {
    done_ += values;
    if (options_.progress) options_.progress(done_, total_);
  }

  const Checkpoint& in_;
  const QuantizeOptions& options_;
  PackedWriter& out_;
  ThreadPool& pool_;
  uint64_t done_ = 0, total_;
  std::vector<float> values_;
  std::vector<std::byte> bytes_;
};

// A new model has no source file to hash: its sizes and seed identify it.
std::string HashOfNew(const Config& config, Filling filling, uint64_t seed) {
  Fnv hash;
  hash.Add(fmt::format("{} {} {} {} {} {} {} {}", Name(config.generation), config.layers,
                       config.width, config.heads, config.ffn, config.vocab, seed,
                       filling == Filling::kRandom));
  if (config.experts != 0) hash.Add(fmt::format(" {}", config.experts));
  return fmt::format("{:016x}", hash.value());
}

}  // namespace

Quantized QuantizeCheckpoint(const Checkpoint& in, const std::filesystem::path& out,
                             ThreadPool& pool, const QuantizeOptions& options) {
  const Config config = ConfigOf(in);
  if (config.purpose == Purpose::kReranker) {
    throw Error(ErrorKind::kBadModel, in.file().path().string() +
                                          ": is a reranker, of which no packed file can be made; "
                                          "its matrices can be quantized when it is opened");
  }
  CheckParameters(in, config, pool);
  std::vector<PackedSpec> specs;
  std::map<std::string, const TensorView*> sources;
  const auto add = [&](const TensorView& t, const std::vector<size_t>& shape) {
    specs.push_back(SpecOf(t, shape, options.packing));
    sources[t.name] = &t;
  };
  if (in.packed()) {  // keep its order
    for (const TensorView& t : in.tensors()) add(t, t.shape);
  } else {
    for (const ReleasedTensor& t : InReleasedOrder(in)) add(*t.view, t.shape);
  }
  const auto vocabulary = options.vocabulary.empty() ? in.stored_vocabulary() : options.vocabulary;
  if (!vocabulary.empty()) {
    specs.push_back(
        {.name = kVocabularyTensor, .plain_type = SourceType::kU8, .shape = {vocabulary.size()}});
  }
  PackedWriter writer(out, config, HashOf(in), std::move(specs), pool);
  Copier copier(in, options, writer, pool);
  for (const PackedSpec& spec : writer.specs()) {
    const auto source = sources.find(spec.name);
    if (source == sources.end()) {
      writer.AppendBytes(vocabulary);
    } else {
      copier.Copy(*source->second, spec);
    }
  }
  writer.Finish();
  return SizesOf(writer.specs());
}

Quantized WriteNewPacked(const Config& config, Filling filling, uint64_t seed,
                         const std::filesystem::path& out, ThreadPool& pool,
                         const QuantizeOptions& options) {
  std::vector<PackedSpec> specs;
  std::map<std::string, ParameterSpec> parameters;
  for (ParameterSpec& p : NewParameters(config)) {
    TensorView named;
    named.name = p.name;
    specs.push_back(SpecOf(named, p.shape, options.packing));
    parameters.emplace(p.name, std::move(p));
  }
  PackedWriter writer(out, config, HashOfNew(config, filling, seed), std::move(specs), pool);
  const Quantized sizes = SizesOf(writer.specs());
  uint64_t done = 0;
  for (const PackedSpec& spec : writer.specs()) {
    ForValues(parameters.at(spec.name), filling, seed, pool, [&](std::span<const float> values) {
      writer.Append(values);
      done += values.size();
      if (options.progress) options.progress(done, sizes.parameters);
    });
  }
  writer.Finish();
  return sizes;
}

}  // namespace linnet
