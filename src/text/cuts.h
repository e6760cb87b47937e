// Cuts: which tokens stay in the running, and how likely each is.
#ifndef LINNET_TEXT_CUTS_H_
#define LINNET_TEXT_CUTS_H_

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "linnet/sampler.h"

namespace linnet {

// Tokens side by side, ids ascending: the first `size` of each row.
struct Candidates {
  std::vector<int32_t> id;
  std::vector<float> weight;  // a share of all weights; the likeliest token's is 1 at first
  size_t size = 0;
  // What they were weighed from, which must be there as long as it is asked for.
  const float* logits = nullptr;
  float largest = 0, temperature = 1;

  // How far below the largest the i-th is, at the temperature of the cuts.
  float logit(size_t i) const {
    return (logits[static_cast<size_t>(id[i])] - largest) / temperature;
  }
};

// The largest logit; -infinity if there is none. NaN does not count.
float Largest(std::span<const float> logits);
// The first id with that value.
int32_t ArgMax(std::span<const float> logits);

// All with a weight of `floor` or more times the sum over logits [V], ids
// ascending, after division by `temperature`. `largest` is Largest(logits),
// finite. Returns the sum of all weights, cut or not.
double Weigh(std::span<const float> logits, float largest, float temperature, double floor,
             Candidates& left);

// Each keeps the order of ids and at least one candidate.
// The fewest heaviest whose weights reach `mass`; ties of the last stay.
void CutMass(double mass, Candidates& left);
// The heaviest `count`; of ties the lowest ids.
void CutCount(size_t count, Candidates& left);
// Those of at least `floor` times the largest weight.
void CutShare(float floor, Candidates& left);
// Locally typical sampling (Meister et al., 2022): the fewest whose information
// content is nearest the entropy and whose share reaches `mass`; ties stay.
void CutTypical(double mass, Candidates& left);

// The distribution that options other than penalties and bias make of logits
// [V], with the temperature applied, not 0, and no mirostat.
void Distribution(const SamplerOptions& options, std::span<const float> logits, float largest,
                  Candidates& left);

struct Drawn {
  size_t at;   // among the candidates
  double sum;  // of all weights
};
// The candidate over which `share`, in [0, 1), of the weights comes to lie.
Drawn DrawAt(double share, const Candidates& from);

}  // namespace linnet

#endif  // LINNET_TEXT_CUTS_H_
