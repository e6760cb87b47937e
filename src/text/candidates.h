// Candidates: the tokens that top-p, top-k, min-p and typical sampling keep, and their weights.
#ifndef LINNET_TEXT_CANDIDATES_H_
#define LINNET_TEXT_CANDIDATES_H_

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "linnet/sampler.h"

namespace linnet {

// A list of tokens in ascending order of ids: the first `size` entries of `id` and `weight`.
//
// It starts `masked`: entry i is token i, `id` is not written yet, and tokens with a weight below
// `least` are excluded although their entries are still there. Compact removes these entries.
struct Candidates {
  std::vector<int32_t> id;
  std::vector<float> weight;  // unnormalized probabilities; the largest is 1 at first
  size_t size = 0;
  bool masked = false;
  float least = 0;  // more than 0 while masked
  double sum = 0;   // of all weights, including those of removed tokens
  // The logits that the weights were computed from; must stay valid while NeedsLogits.
  const float* logits = nullptr;
  float largest = 0, temperature = 1;

  int32_t token(size_t i) const { return masked ? static_cast<int32_t>(i) : id[i]; }
};

// The largest logit; -infinity if there is none. NaN does not count.
float Largest(std::span<const float> logits);
// The first id with the largest logit.
int32_t ArgMax(std::span<const float> logits);

// Computes the weights of logits [V] at `temperature` and keeps tokens whose weight is at least
// `floor` times their sum; the list is masked. `largest` is Largest(logits), finite. The logits may
// be left.weight [V] itself, which is overwritten, unless NeedsLogits.
void Weigh(std::span<const float> logits, float largest, float temperature, double floor,
           Candidates& left);
// Removes the entries of excluded tokens, if the list is masked.
void Compact(Candidates& left);

// Filters. Each keeps the order of ids and at least one token.
// Keeps the fewest tokens with the largest weights whose sum reaches `mass`, and ties with the
// last. The list may stay masked if that is faster; the tokens are the same.
void FilterTopP(double mass, Candidates& left);
// Keeps the `count` largest weights; among ties the lowest ids.
void FilterTopK(size_t count, Candidates& left);
// Keeps weights of at least `floor` times the largest. A masked list stays masked.
void FilterMinP(float floor, Candidates& left);
// Locally typical sampling (Meister et al., 2022): the fewest tokens whose information content is
// nearest to the entropy and whose probabilities sum to `mass`; ties stay.
void FilterTypical(double mass, Candidates& left);

// Computes the distribution from logits [V] with all options except penalties and bias. The
// temperature must not be 0, and mirostat must be off. The list may be masked.
void Distribution(const SamplerOptions& options, std::span<const float> logits, float largest,
                  Candidates& left);
// Whether Distribution reads the logits again after it computed the weights.
bool NeedsLogits(const SamplerOptions& options);

struct Drawn {
  size_t at;   // index into the list
  double sum;  // of all weights in it
};
// The first token at which the running sum of weights exceeds `share`, in [0, 1), of their sum.
Drawn DrawAt(double share, const Candidates& from);

}  // namespace linnet

#endif  // LINNET_TEXT_CANDIDATES_H_
