// Cuts: which tokens stay in the running, and how likely each is.
#ifndef LINNET_TEXT_CANDIDATES_H_
#define LINNET_TEXT_CANDIDATES_H_

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "linnet/sampler.h"

namespace linnet {

// Tokens side by side, ids ascending: the first `size` of each row. Ranks are `masked` at first:
// token i stands at i, `id` is yet to be written, and those with a weight under `least` are out
// though they stand there still.
struct Candidates {
  std::vector<int32_t> id;
  std::vector<float> weight;  // a share of all weights; the likeliest token's is 1 at first
  size_t size = 0;
  bool masked = false;
  float least = 0;  // while ranks are masked; more than 0
  double sum = 0;   // of all weights, cut or not
  // What they were weighed from, which must be there as long as it is asked for.
  const float* logits = nullptr;
  float largest = 0, temperature = 1;

  int32_t token(size_t i) const { return masked ? static_cast<int32_t>(i) : id[i]; }
};

// The largest logit; -infinity if there is none. NaN does not count.
float Largest(std::span<const float> logits);
// The first id with that value.
int32_t ArgMax(std::span<const float> logits);

// All with a weight of `floor` or more times the sum over logits [V], after division by
// `temperature`; ranks stay masked. `largest` is Largest(logits), finite. The logits may be
// left.weight [V], whose place the weights then take, if none of what follows asks for logits:
// NeedsLogits tells.
void Weigh(std::span<const float> logits, float largest, float temperature, double floor,
           Candidates& left);
// Closes the ranks, if they are masked.
void Compact(Candidates& left);

// Each keeps the order of ids and at least one candidate.
// The fewest heaviest whose weights reach `mass`; ties of the last stay. Ranks stay masked where
// that is faster, which changes nothing else.
void FilterTopP(double mass, Candidates& left);
// The heaviest `count`; of ties the lowest ids.
void FilterTopK(size_t count, Candidates& left);
// Those of at least `floor` times the largest weight. Open ranks stay so.
void FilterMinP(float floor, Candidates& left);
// Locally typical sampling (Meister et al., 2022): the fewest whose information
// content is nearest the entropy and whose share reaches `mass`; ties stay.
void FilterTypical(double mass, Candidates& left);

// The distribution that options other than penalties and bias make of logits
// [V], with the temperature applied, not 0, and no mirostat. Ranks may be masked.
void Distribution(const SamplerOptions& options, std::span<const float> logits, float largest,
                  Candidates& left);
// Whether it looks at logits once more after it weighed them.
bool NeedsLogits(const SamplerOptions& options);

struct Drawn {
  size_t at;   // among the candidates
  double sum;  // of all weights
};
// The candidate over which `share`, in [0, 1), of the weights comes to lie.
Drawn DrawAt(double share, const Candidates& from);

}  // namespace linnet

#endif  // LINNET_TEXT_CANDIDATES_H_
