#include <algorithm>
#include <new>
#include <vector>

#include "kernels/rows.h"
#include "ops/ops.h"

namespace linnet {
namespace {

// Where the rows of two inputs are in one: those of a sequence follow each other.
struct Places {
  std::vector<size_t> a, b;
  std::vector<TrainingSequence> sequences;
};

Places PlacesOf(const Pass& p, size_t rows) {
  Places places;
  places.a.resize(rows);
  places.b.resize(rows);
  places.sequences.assign(p.sequences.begin(), p.sequences.end());
  const TrainingSequence all{0, rows};
  for (const TrainingSequence& s : p.sequences.empty() ? std::span(&all, 1) : p.sequences) {
    for (size_t t = s.begin; t < s.begin + s.len; ++t) {
      places.a[t] = s.begin + t;
      places.b[t] = s.begin + t + s.len;
    }
  }
  for (TrainingSequence& s : places.sequences) {
    s.begin *= 2;
    s.len *= 2;
  }
  return places;
}

}  // namespace

std::array<Var, 2> LinearOfBoth(Pass& p, Var a, Var b, const LinearParam& w) {
  if (p.tape == nullptr) return {Linear(p, a, w), Linear(p, b, w)};
  const Places places = PlacesOf(p, a.rows());
  auto* sequences = p.arena.New<TrainingSequence>(places.sequences.size());
  std::copy(places.sequences.begin(), places.sequences.end(), sequences);
  Pass& both = *new (p.arena.New<Pass>(1)) Pass(p);
  both.sequences = {sequences, places.sequences.size()};
  const Var x = p.New(2 * a.rows(), a.cols());
  for (size_t t = 0; t < a.rows(); ++t) {
    std::copy_n(a.v.Row(t), a.cols(), x.v.Row(places.a[t]));
    std::copy_n(b.v.Row(t), b.cols(), x.v.Row(places.b[t]));
  }
  p.OnBackward([a, b, x, places] {
    x.InitGradient();
    for (const auto& [part, rows] : {std::pair(a, &places.a), std::pair(b, &places.b)}) {
      part.InitGradient();
      for (size_t t = 0; t < part.g.rows; ++t) {
        AddRow(part.g.Row(t), x.g.Row((*rows)[t]), part.cols(), part.g.Row(t));
      }
    }
  });
  const Var y = Linear(both, x, w);
  return {TakeRows(p, y, places.a), TakeRows(p, y, places.b)};
}

}  // namespace linnet
