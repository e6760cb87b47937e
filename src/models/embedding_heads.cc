#include "models/embedding_heads.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <string>

#include "kernels/rows.h"
#include "linnet/error.h"
#include "models/head_tensors.h"
#include "models/model_of.h"

namespace linnet {
namespace {

const char* HeadOf(EmbeddingUse use) {
  switch (use) {
    case EmbeddingUse::kRetrieval:
      return "retr";
    case EmbeddingUse::kSimilarity:
      return "sts";
    case EmbeddingUse::kClassification:
      return "cls";
  }
  return "?";
}

}  // namespace

const char* Name(EmbeddingUse use) {
  switch (use) {
    case EmbeddingUse::kRetrieval:
      return "retrieval";
    case EmbeddingUse::kSimilarity:
      return "similarity";
    case EmbeddingUse::kClassification:
      return "classification";
  }
  return "?";
}

std::optional<EmbeddingUse> ParseEmbeddingUse(std::string_view name) {
  for (const EmbeddingUse use : kEmbeddingUses) {
    if (name == Name(use)) return use;
  }
  return std::nullopt;
}

EmbeddingHeads::EmbeddingHeads(const Model& model)
    : file_(model.path().string()), width_(model.config().width), eps_(model.config().norm_eps) {
  const Checkpoint& c = CheckpointOf(model);
  bool any = false;
  for (const EmbeddingUse use : kEmbeddingUses) {
    const std::string name = fmt::format("head.{}_head.", HeadOf(use));
    if (!c.Has(name + "fc1.weight")) continue;
    any = true;
    Head& head = heads_[Index(use)];
    head.fc1 = HeadTensor(c, name + "fc1.weight", {width_, width_});
    head.fc2 = HeadTensor(c, name + "fc2.weight", {width_, width_});
    head.gain = HeadTensor(c, name + "norm.weight", {width_});
    head.bias = HeadTensor(c, name + "norm.bias", {width_});
  }
  if (!any) {
    throw Error(ErrorKind::kBadModel, file_ + ": has no head for vectors, expected EmbeddingRWKV");
  }
}

std::vector<float> EmbeddingHeads::Apply(EmbeddingUse use, std::span<const float> x) const {
  const Head& head = heads_[Index(use)];
  if (!Has(use)) {
    throw Error(ErrorKind::kBadInput, fmt::format("{}: has no head for {}", file_, Name(use)));
  }
  std::vector<float> inner(width_), out(width_);
  for (size_t i = 0; i < width_; ++i) {
    inner[i] = std::max(0.0f, Dot(&head.fc1[i * width_], x.data(), width_));
  }
  double mean = 0, square = 0;
  for (size_t i = 0; i < width_; ++i) {
    out[i] = Dot(&head.fc2[i * width_], inner.data(), width_) + x[i];
    mean += double{out[i]} / static_cast<double>(width_);
  }
  for (const float y : out) {
    square += (double{y} - mean) * (double{y} - mean) / static_cast<double>(width_);
  }
  const double scale = 1 / std::sqrt(square + double{eps_});
  for (size_t i = 0; i < width_; ++i) {
    const double normal = (double{out[i]} - mean) * scale;
    out[i] = static_cast<float>(normal * double{head.gain[i]} + double{head.bias[i]});
  }
  return out;
}

}  // namespace linnet
