#include "models/gradient.h"

#include <fmt/format.h>

#include <vector>

#include "base/arena.h"
#include "linnet/error.h"
#include "linnet/state.h"
#include "models/schema.h"

namespace linnet {

double AddGradient(const Network& network, std::span<const int32_t> tokens, bool l2wrap,
                   ThreadPool& pool) {
  if (tokens.size() < 2) {
    throw Error(ErrorKind::kBadInput, "a gradient needs at least two tokens");
  }
  const Config& c = network.config();
  for (const int32_t id : tokens) {
    if (id < 0 || static_cast<size_t>(id) >= c.vocab) {
      throw Error(
          ErrorKind::kBadInput,
          fmt::format("token {} is outside the vocabulary, expected 0 to {}", id, c.vocab - 1));
    }
  }
  const auto inputs = tokens.first(tokens.size() - 1);
  State state(StateShapeOf(c));
  network.Start(state.values().data());
  std::vector<float> state_grad(network.start_learns() ? state.values().size() : 0);
  const Segment segment{0, inputs.size(), state.values().data(),
                        state_grad.empty() ? nullptr : state_grad.data()};
  Arena arena;
  Tape tape;
  Pass p{.arena = arena,
         .pool = pool,
         .segments = {&segment, 1},
         .strides = network.strides(),
         .exact = true,
         .tape = &tape};
  const double scale = 1.0 / static_cast<double>(inputs.size());
  double loss = 0;
  network.Loss(p, network.Run(p, inputs), tokens.subspan(1), {l2wrap, scale}, {&loss, 1});
  tape.Backward();
  if (network.start_learns()) network.AddStartGradients(p);
  return loss * scale;
}

}  // namespace linnet
