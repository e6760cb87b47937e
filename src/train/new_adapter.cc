#include "train/new_adapter.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <memory>
#include <regex>
#include <vector>

#include "io/tensor_writer.h"
#include "linnet/error.h"
#include "models/adapter.h"
#include "models/detect.h"
#include "models/hash.h"
#include "models/init.h"
#include "train/principal_factors.h"

namespace linnet {
namespace {

std::vector<const TensorView*> Targets(const Checkpoint& base, const NewAdapterOptions& o) {
  std::vector<const TensorView*> targets;
  const std::regex usual(kDefaultTargets);
  const auto meant = [&](const std::string& name) {
    return o.targets ? o.targets(name) : std::regex_search(name, usual);
  };
  for (const TensorView& t : base.tensors()) {
    const bool matrix =
        t.name.starts_with("blocks.") && t.name.ends_with(".weight") && t.shape.size() == 2;
    if (matrix && meant(t.name)) targets.push_back(&t);
  }
  const std::string path = base.file().path().string();
  if (targets.empty()) {
    throw Error(ErrorKind::kBadInput,
                path +
                    ": no matrix of a layer is among the targets, expected names such as "
                    "blocks.0.att.key.weight");
  }
  for (const TensorView* t : targets) {
    const size_t most = std::min(t->shape[0], t->shape[1]);
    if (o.rank > 0 && o.rank <= most) continue;
    throw Error(ErrorKind::kBadInput,
                fmt::format("{}: rank {} is too large for {}, expected 1 to {}", path, o.rank,
                            Describe(*t), most));
  }
  return targets;
}

// "blocks.0.att.key." from "blocks.0.att.key.weight".
std::string StemOf(const TensorView& matrix) {
  return matrix.name.substr(0, matrix.name.size() - std::string_view("weight").size());
}

std::vector<TensorSpec> SpecsOf(const TensorView& matrix, const NewAdapterOptions& o) {
  const std::string stem = StemOf(matrix);
  const size_t out = matrix.shape[0], in = matrix.shape[1];
  if (o.kind == AdapterKind::kDisha) return {{stem + "disha", SourceType::kF32, {o.rank, out}}};
  std::vector<TensorSpec> specs = {{stem + "lora_A", SourceType::kF32, {o.rank, in}},
                                   {stem + "lora_B", SourceType::kF32, {out, o.rank}}};
  if (o.kind == AdapterKind::kPissa) {
    specs.push_back({stem + "init_lora_A", SourceType::kF32, {o.rank, in}});
    specs.push_back({stem + "init_lora_B", SourceType::kF32, {out, o.rank}});
  }
  return specs;
}

void WriteFactors(const TensorView& matrix, const NewAdapterOptions& o, ThreadPool& pool,
                  TensorWriter& writer) {
  const size_t out = matrix.shape[0], in = matrix.shape[1];
  const auto write = [&](const std::vector<float>& values) {
    writer.AppendFloats(SourceType::kF32, values);
  };
  if (o.kind == AdapterKind::kDisha) return write(std::vector<float>(o.rank * out));
  // kaiming_uniform_ with a = sqrt(5), as in PyTorch's Linear: within 1 / sqrt(in).
  const ParameterSpec start{StemOf(matrix) + "lora_A",
                            {o.rank, in},
                            StartKind::kUniform,
                            1 / std::sqrt(static_cast<double>(in))};
  std::vector<float> down(start.elements());
  FillParameter(start, Filling::kReference, o.seed, pool, down.data());
  if (o.kind == AdapterKind::kLora) {
    write(down);
    return write(std::vector<float>(out * o.rank));
  }
  const PrincipalFactors factors = FindPrincipalFactors(matrix, o.rank, std::move(down), pool);
  for (int copy = 0; copy < 2; ++copy) {
    write(factors.down);
    write(factors.up);
  }
}

}  // namespace

void WriteNewAdapter(const Checkpoint& base, const NewAdapterOptions& o, ThreadPool& pool,
                     const std::filesystem::path& path) {
  if (o.kind == AdapterKind::kBone || o.kind == AdapterKind::kDora) {
    throw Error(ErrorKind::kBadInput,
                fmt::format("adapter {}: is only read, expected lora, pissa or disha for a new one",
                            Name(o.kind)));
  }
  const auto targets = Targets(base, o);
  std::vector<TensorSpec> specs;
  for (const TensorView* t : targets) {
    for (auto& spec : SpecsOf(*t, o)) specs.push_back(std::move(spec));
  }
  std::map<std::string, std::string> metadata = {{"kind", kAdapterKind},
                                                 {"adapter", Name(o.kind)},
                                                 {"rank", std::to_string(o.rank)},
                                                 {kBaseHashKey, HashOf(base)}};
  if (o.kind == AdapterKind::kLora) metadata["alpha"] = fmt::format("{}", o.alpha);
  const auto writer = TensorWriter::Create(path, specs, metadata);
  for (size_t i = 0; i < targets.size(); ++i) {
    if (o.progress) o.progress(static_cast<double>(i) / static_cast<double>(targets.size()));
    WriteFactors(*targets[i], o, pool, *writer);
    base.file().Drop(*targets[i]);
  }
  writer->Finish();
}

void WriteNewStates(const Checkpoint& base, const std::filesystem::path& path) {
  const Config c = ConfigOf(base);
  if (c.generation == Generation::k4) {
    throw Error(ErrorKind::kBadInput, base.file().path().string() +
                                          ": is RWKV-4, expected RWKV-5, 6 or 7 for a tuned state");
  }
  std::vector<TensorSpec> specs;
  for (size_t layer = 0; layer < c.layers; ++layer) {
    specs.push_back({TimeStateName(layer), SourceType::kF32, {c.heads, c.head_size, c.head_size}});
    const TensorView* own = base.Find(specs.back().name);
    if ((own != nullptr) == base.Has(specs.front().name) &&
        (own == nullptr || own->shape == specs.back().shape)) {
      continue;
    }
    throw Error(ErrorKind::kBadModel,
                fmt::format("{}: {}, expected [{}, {}, {}] in every layer or none",
                            base.file().path().string(),
                            own == nullptr ? specs.back().name + " is missing" : Describe(*own),
                            c.heads, c.head_size, c.head_size));
  }
  const auto writer = TensorWriter::Create(path, specs);
  const std::vector<float> zeros(c.heads * c.head_size * c.head_size);
  for (const TensorSpec& spec : specs) {
    const TensorView* own = base.Find(spec.name);
    writer->AppendFloats(SourceType::kF32, own == nullptr ? zeros : ReadAll(*own));
  }
  writer->Finish();
}

void WriteNewAdapter(const std::filesystem::path& base, const NewAdapterOptions& o,
                     const std::filesystem::path& path) {
  ThreadPool pool;
  WriteNewAdapter(Checkpoint(base), o, pool, path);
}

void WriteNewStates(const std::filesystem::path& base, const std::filesystem::path& path) {
  WriteNewStates(Checkpoint(base), path);
}

}  // namespace linnet
