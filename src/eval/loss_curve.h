// LossCurve: a model's loss by the position in a text, from many texts or a long one.
#ifndef LINNET_EVAL_LOSS_CURVE_H_
#define LINNET_EVAL_LOSS_CURVE_H_

#include <cstddef>
#include <vector>

namespace linnet {

// Means over ranges of positions that grow with them: eight for each doubling, so that a curve of
// any length has few points.
class LossCurve {
 public:
  struct Point {
    size_t begin = 0, end = 0;  // positions, the first token being 1
    double nats = 0;            // mean loss of the tokens there
    size_t tokens = 0;
  };

  // `position` is the number of tokens before this one, since the text's or chunk's start.
  void Add(size_t position, double nats);
  std::vector<Point> points() const;  // those with tokens, ascending

 private:
  struct Bucket {
    double nats = 0;
    size_t tokens = 0;
  };
  std::vector<Bucket> buckets_;
};

}  // namespace linnet

#endif  // LINNET_EVAL_LOSS_CURVE_H_
