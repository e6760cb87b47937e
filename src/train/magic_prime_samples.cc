// The reference trainer's order of samples.
#include <algorithm>
#include <cmath>

#include "base/check.h"
#include "train/samples.h"

namespace linnet {
namespace {

bool IsPrime(uint64_t n) {
  if (n < 4) return n >= 2;
  if (n % 2 == 0 || n % 3 == 0) return false;
  for (uint64_t d = 5; d <= n / d; d += 6) {
    if (n % d == 0 || n % (d + 2) == 0) return false;
  }
  return true;
}

uint64_t MulMod(uint64_t a, uint64_t b, uint64_t p) {
  return static_cast<uint64_t>(static_cast<unsigned __int128>(a) * b % p);
}

class MagicPrimeSamples final : public SampleSource {
 public:
  MagicPrimeSamples(const TokenData& data, size_t ctx)
      : data_(data), ctx_(ctx), prime_(MagicPrime(data.tokens(), ctx)) {
    LINNET_CHECK(ctx > 0);
    // Count the slots with a target; a single token has none.
    slots_ = std::max<uint64_t>(1, (data.tokens() - 1 + ctx - 1) / ctx);
  }

  uint64_t rows_per_epoch() const override { return prime_ == 0 ? slots_ : prime_; }

  void Read(uint64_t index, SampleRow& row) const override {
    const uint64_t begin = Slot(index) * ctx_;
    const auto held = static_cast<size_t>(std::min<uint64_t>(ctx_ + 1, data_.tokens() - begin));
    row.starts.assign(1, 0);
    row.targets.assign(ctx_, -1);
    row.inputs.assign(ctx_, 0);
    data_.Read(begin, std::span(row.inputs).first(std::min(held, ctx_)));
    for (size_t i = 1; i < held; ++i) {
      if (data_.Learnt(begin + i)) row.targets[i - 1] = data_.Token(begin + i);
    }
  }

 private:
  uint64_t Slot(uint64_t index) const {
    return prime_ == 0 ? index % slots_ : MagicPrimeSlot(prime_, index % prime_ + 1);
  }

  const TokenData& data_;
  size_t ctx_;
  uint64_t prime_, slots_;
};

}  // namespace

uint64_t MagicPrime(uint64_t tokens, uint64_t ctx) {
  const uint64_t slots = tokens / ctx;
  for (uint64_t p = slots > 0 ? slots - 1 : 0; p >= 2; --p) {
    if (p % 3 == 2 && IsPrime(p)) return p;
  }
  return 0;
}

uint64_t MagicPrimeSlot(uint64_t prime, uint64_t ii) {
  // As in Python: IEEE doubles, truncated.
  const auto factor =
      static_cast<uint64_t>(static_cast<double>(prime) * ((std::sqrt(5.0) - 1) / 2));
  const uint64_t i = ii % prime;
  return MulMod(factor, MulMod(i, MulMod(i, i, prime), prime), prime);
}

std::unique_ptr<SampleSource> NewMagicPrimeSamples(const TokenData& data, size_t ctx) {
  return std::make_unique<MagicPrimeSamples>(data, ctx);
}

}  // namespace linnet
