#include "models/match_experts.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <charconv>
#include <map>
#include <optional>
#include <set>
#include <string_view>
#include <utility>

#include "linnet/config.h"
#include "models/experts.h"
#include "models/schema.h"

namespace linnet {
namespace {

// Unknown matrices of one layer and one shape: places in the list of tensors.
using Places = std::vector<size_t>;

struct Candidates {
  Places keys, values;  // [F, C], [C, F]
};

// "experts.3.w1.weight" → 3, 1. Numbers too large for an expert end the search.
std::vector<size_t> NumbersIn(std::string_view text) {
  std::vector<size_t> numbers;
  const char *at = text.data(), *end = at + text.size();
  while (at != end) {
    if (std::isdigit(static_cast<unsigned char>(*at)) == 0) {
      ++at;
      continue;
    }
    size_t number = 0;
    const auto [next, error] = std::from_chars(at, end, number);
    if (error != std::errc()) break;
    numbers.push_back(number);
    at = next;
  }
  return numbers;
}

std::string_view RestOfName(const TensorView& t) { return SplitBlockName(t.name)->rest; }

// Sorts the places by the one number in which the names differ; false unless that counts from 0.
bool SortByExpert(const std::vector<TensorView>& tensors, Places& places) {
  std::vector<std::vector<size_t>> numbers;
  numbers.reserve(places.size());
  for (const size_t place : places) numbers.push_back(NumbersIn(RestOfName(tensors[place])));
  for (size_t i = 0; i < numbers.front().size(); ++i) {
    std::map<size_t, size_t> by_number;
    for (size_t n = 0; n < numbers.size(); ++n) {
      if (numbers[n].size() != numbers.front().size()) return false;
      by_number.emplace(numbers[n][i], places[n]);
    }
    if (by_number.size() != places.size() || by_number.rbegin()->first + 1 != places.size()) {
      continue;
    }
    std::ranges::transform(by_number, places.begin(), [](const auto& pair) { return pair.second; });
    return true;
  }
  return false;
}

class Matcher {
 public:
  explicit Matcher(std::vector<TensorView>& tensors) : tensors_(tensors) {
    for (const TensorView& t : tensors) names_.insert(t.name);
  }

  std::vector<MatchedTensor> Run() {
    const auto emb = std::ranges::find(tensors_, "emb.weight", &TensorView::name);
    if (emb == tensors_.end() || emb->shape.size() != 2) return {};
    width_ = emb->shape[1];
    if (!SplitStacks()) return {};
    for (size_t i = 0; i < tensors_.size(); ++i) Collect(i);
    size_t experts = 0;
    for (auto& [layer, found] : layers_) {
      if (!MatchLayer(layer, found)) return {};
      if (experts == 0) experts = found.keys.size();
      if (found.keys.size() != experts) return {};
    }
    for (auto& [place, name] : renames_) {
      matched_.push_back({tensors_[place].name, name, tensors_[place].shape});
      tensors_[place].name = std::move(name);
    }
    return std::move(matched_);
  }

 private:
  bool IsUnknown(const TensorView& t) const {
    return SplitBlockName(t.name) && IsFloat(t.type) && t.encoding == nullptr &&
           FindParameter(Generation::k6moe, t.name) == nullptr;
  }

  // [experts, F, C] or [experts, C, F] becomes its matrices, named by their numbers. False if there
  // are more of them than a model has.
  bool SplitStacks() {
    size_t left = 2 * kMostExperts * kRoutedLayers;
    std::vector<TensorView> all;
    all.reserve(tensors_.size());
    for (TensorView& t : tensors_) {
      const bool stack = t.shape.size() == 3 && t.shape[0] > 1 && t.shape[0] <= kMostExperts &&
                         (t.shape[1] == width_) != (t.shape[2] == width_) && IsUnknown(t);
      if (stack && t.shape[0] > left) return false;
      if (stack) left -= t.shape[0];
      for (size_t i = 0; stack && i < t.shape[0]; ++i) {
        all.push_back(t.Index(i));
        all.back().name = fmt::format("{}.{}", t.name, i);
      }
      if (!stack) all.push_back(std::move(t));
    }
    tensors_ = std::move(all);
    return true;
  }

  void Collect(size_t place) {
    const TensorView& t = tensors_[place];
    if (t.shape.size() != 2 || !IsUnknown(t)) return;
    const bool key = t.shape[1] == width_, value = t.shape[0] == width_;
    if (key == value) return;
    Candidates& layer = layers_[SplitBlockName(t.name)->layer];
    (key ? layer.keys : layer.values).push_back(place);
  }

  // The layer's own matrix, if it is missing, is the one without the number of an expert.
  bool TakeOwn(const std::string& name, Places& places) {
    if (names_.contains(name)) return true;
    const auto own = std::ranges::find_if(
        places, [&](size_t place) { return NumbersIn(RestOfName(tensors_[place])).empty(); });
    if (own == places.end()) return false;
    renames_.emplace_back(*own, name);
    places.erase(own);
    return true;
  }

  bool MatchLayer(size_t layer, Candidates& found) {
    const auto named = [&](const char* rest) { return BlockName(layer, rest); };
    if (!TakeOwn(named("ffn.key.weight"), found.keys) ||
        !TakeOwn(named("ffn.value.weight"), found.values)) {
      return false;
    }
    const size_t experts = found.keys.size();
    if (experts < 2 || found.values.size() != experts || !SortByExpert(tensors_, found.keys) ||
        !SortByExpert(tensors_, found.values)) {
      return false;
    }
    for (size_t e = 0; e < experts; ++e) {
      renames_.emplace_back(found.keys[e], named(ExpertName(e, "ffn_key.weight").c_str()));
      renames_.emplace_back(found.values[e], named(ExpertName(e, "ffn_value.weight").c_str()));
    }
    return true;
  }

  std::vector<TensorView>& tensors_;
  std::set<std::string, std::less<>> names_;
  size_t width_ = 0;
  std::map<size_t, Candidates> layers_;
  std::vector<std::pair<size_t, std::string>> renames_;
  std::vector<MatchedTensor> matched_;
};

}  // namespace

std::vector<MatchedTensor> MatchExperts(std::vector<TensorView>& tensors) {
  constexpr std::string_view kMark = "blocks.0.att.time_maa_x";  // of RWKV-6
  if (std::ranges::find(tensors, kMark, &TensorView::name) == tensors.end()) return {};
  std::vector<TensorView> renamed = tensors;
  std::vector<MatchedTensor> matched = Matcher(renamed).Run();
  if (!matched.empty()) tensors = std::move(renamed);
  return matched;
}

}  // namespace linnet
