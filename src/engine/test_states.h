// States, texts and a slow map for the tests of the state cache.
#ifndef LINNET_ENGINE_TEST_STATES_H_
#define LINNET_ENGINE_TEST_STATES_H_

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <map>
#include <optional>
#include <random>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/fnv.h"
#include "linnet/state.h"
#include "tensor/token_memory.h"

namespace linnet::test {

using TextTokens = std::vector<int32_t>;

// About a kilobyte, and some more for each token if it grows.
inline StateShape SmallShape(Generation generation = Generation::k7) {
  StateShape shape{.generation = generation,
                   .layers = 1,
                   .width = 8,
                   .heads = 1,
                   .head_size = 8,
                   .model_hash = "0123456789abcdef"};
  if (generation == Generation::kGoldFinch) {
    shape.layers = 2;
    shape.attention_from = 1;
    shape.cache = 4;
  }
  return shape;
}

// Of a test's parameter.
inline std::string NameOf(Generation generation) {
  std::string name = std::string("v") + Name(generation);
  std::erase_if(name, [](char c) { return c == '-' || c == '.'; });
  return name;
}

// A function of owner and text: what a model would compute.
inline State StateOf(const StateShape& shape, std::string_view owner,
                     std::span<const int32_t> tokens) {
  Fnv hash;
  hash.Add(owner);
  hash.Add(tokens.data(), tokens.size_bytes());
  std::mt19937_64 random(hash.value());
  State state(shape);
  for (float& x : state.values()) x = static_cast<float>(random() % 2000) / 999.0f - 1.0f;
  if (state.past() != nullptr) {
    state.past()->Append(tokens);
    TokenMemory& kept = state.past()->kept;
    for (size_t slot = 1; slot < kept.layout()->slots().size(); ++slot) {
      for (size_t t = 0; t < tokens.size(); ++t) {
        const float x = static_cast<float>(tokens[t]) + 0.25f * static_cast<float>(slot);
        for (size_t i = 0; i < kept.layout()->slots()[slot].width; ++i) {
          std::memcpy(kept.MutableRow(slot, t) + i * sizeof x, &x, sizeof x);
        }
      }
    }
  }
  return state;
}

// All that is saved of it.
inline std::string BytesOf(const State& state) {
  std::string all = state.identity() + "/" + state.shape().model_hash + "/";
  for (const StateTensor& t : state.ToReference()) {
    all.append(reinterpret_cast<const char*>(t.values.data()), t.values.size() * sizeof(float));
    all.append(reinterpret_cast<const char*>(t.ids.data()), t.ids.size() * sizeof(int32_t));
  }
  return all;
}

// Conversations that share beginnings: texts that go on, branch and begin anew.
class RandomTexts {
 public:
  explicit RandomTexts(uint64_t seed) : random_(seed) {}

  size_t Below(size_t n) { return random_() % n; }
  TextTokens Next() {
    TextTokens text;
    if (!texts_.empty() && Below(8) != 0) {
      const TextTokens& old = texts_[Below(texts_.size())];
      text.assign(old.begin(), old.begin() + static_cast<ptrdiff_t>(Below(old.size() + 1)));
    }
    const size_t more = 1 + Below(12);
    for (size_t i = 0; i < more; ++i) text.push_back(static_cast<int32_t>(Below(3)));
    texts_.push_back(text);
    if (texts_.size() > 200) texts_.erase(texts_.begin(), texts_.begin() + 100);
    return text;
  }
  std::string Owner() { return std::string(1, static_cast<char>('a' + Below(3))); }

 private:
  std::mt19937_64 random_;
  std::vector<TextTokens> texts_;
};

// What was kept, by a search of all prefixes.
class SlowCache {
 public:
  void Keep(const std::string& owner, const TextTokens& tokens) { kept_[{owner, tokens}] = true; }
  size_t Find(const std::string& owner, TextTokens tokens) const {
    while (!tokens.empty()) {
      tokens.pop_back();
      if (!tokens.empty() && kept_.count({owner, tokens}) != 0) return tokens.size();
    }
    return 0;
  }
  bool Has(const std::string& owner, const TextTokens& tokens) const {
    return kept_.count({owner, tokens}) != 0;
  }
  const std::map<std::pair<std::string, TextTokens>, bool>& all() const { return kept_; }

 private:
  std::map<std::pair<std::string, TextTokens>, bool> kept_;
};

}  // namespace linnet::test

#endif  // LINNET_ENGINE_TEST_STATES_H_
