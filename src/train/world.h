// World: the processes that train one model together; one of them alone if nothing is said.
#ifndef LINNET_TRAIN_WORLD_H_
#define LINNET_TRAIN_WORLD_H_

#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>

namespace linnet {

// Where each rank's part of a row of values begins; parts[size] is its end.
using Parts = std::span<const size_t>;

// Every rank calls the same functions in the same order; each waits for all. Sums are taken in
// halves over ranks (ops/sum_tree.h), so they do not depend on arrival. One thread at a time. All
// throw Error kIo if a rank is lost.
class World {
 public:
  virtual ~World() = default;
  virtual size_t rank() const { return 0; }
  virtual size_t size() const { return 1; }

  // Adds the values of all ranks; rank r has the sums of its own part afterwards, and what it
  // likes elsewhere.
  virtual void SumParts(std::span<float> values, Parts parts) {
    (void)values;
    (void)parts;
  }
  // Gives every rank the parts of all others.
  virtual void ShareParts(std::span<float> values, Parts parts) {
    (void)values;
    (void)parts;
  }
  virtual void ShareParts(std::span<double> values, Parts parts) {
    (void)values;
    (void)parts;
  }
  virtual double Sum(double value) { return value; }
  // Rank 0 gets the parts of all ranks in order through `take`, some values at a time; the others
  // give theirs.
  virtual void Gather(std::span<const float> own, Parts parts,
                      const std::function<void(std::span<const float>)>& take) {
    (void)parts;
    take(own);
  }
  // Rank 0's word for all.
  virtual int64_t FromFirst(int64_t value) { return value; }
};

}  // namespace linnet

#endif  // LINNET_TRAIN_WORLD_H_
