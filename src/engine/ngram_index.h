// NgramIndex: finds where the last tokens of a text occurred before, in it or in another text.
#ifndef LINNET_ENGINE_NGRAM_INDEX_H_
#define LINNET_ENGINE_NGRAM_INDEX_H_

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <unordered_map>
#include <vector>

namespace linnet {

// A text of tokens, with the places of its n-grams of three and of two, which are found when they
// are first asked for: most texts of a crowd never ask. Of a text that is longer than it may be,
// the older half is forgotten. Not thread-safe.
class NgramIndex {
 public:
  explicit NgramIndex(size_t most_tokens = size_t{1} << 17) : most_(most_tokens) {}

  void Push(int32_t token);
  std::span<const int32_t> tokens() const { return tokens_; }

  // The place after the newest earlier occurrence of the last tokens of `text`, of three if there
  // is one, else of two: where this text went on. `text` may be tokens().
  std::optional<size_t> After(std::span<const int32_t> text);
  // The same with the first occurrence that ends at `from` or later, if there is one.
  std::optional<size_t> AfterFrom(std::span<const int32_t> text, size_t from);

 private:
  static constexpr size_t kLengths[] = {3, 2};
  using Places = std::unordered_map<uint64_t, std::vector<uint32_t>>;  // ascending

  const std::vector<uint32_t>* Find(std::span<const int32_t> text, size_t i) const;
  void IndexNew();

  size_t most_;
  std::vector<int32_t> tokens_;
  size_t indexed_ = 0;  // of them, those that places_ has
  Places places_[2];    // of kLengths: of each n-gram that a token follows, where that token is
};

}  // namespace linnet

#endif  // LINNET_ENGINE_NGRAM_INDEX_H_
