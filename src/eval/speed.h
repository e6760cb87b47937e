// Speed: a model's throughput on this machine, compared with the machine's peak.
#ifndef LINNET_EVAL_SPEED_H_
#define LINNET_EVAL_SPEED_H_

#include <cstddef>
#include <cstdint>
#include <functional>

#include "linnet/dtype.h"
#include "linnet/model.h"

namespace linnet {

struct SpeedOptions {
  size_t threads = 1;
  bool exact = false;
  size_t prompt = 512;  // tokens in one pass; 0 skips the phase, also below
  size_t decode = 128;  // tokens decoded one at a time
  size_t batch = 32;    // sequences decoded together
  size_t context = 0;   // tokens before those decoded one at a time
  std::function<void(const char* phase)> progress{};
};

// The best of short probes with the same number of threads: memory read bandwidth, and
// multiply-adds on registers at the active instruction-set level. The bf16 and int8 rates are what
// products with such weights can use, so at least the f32 rate.
struct MachineSpeed {
  double read_gb_s = 0, f32_gflops = 0, bf16_gflops = 0, int8_gops = 0;
};

// Arithmetic peak in GFLOP/s for kF32 or kBF16. For kBF16 at least the f32 peak, because such
// products run in f32 where that is faster.
double MeasurePeak(DType format, size_t threads);

// Measures it for about a second, on 128 MiB of memory per thread.
MachineSpeed MeasureMachine(size_t threads);

struct PhaseSpeed {
  size_t count = 0;  // tokens, or sequences in a batch
  double tokens_per_s = 0;
  double gflops = 0;  // prompt: without the head, with attention; batch: with the head
  // Decode: the matrices as stored, and the keys and values of the past, read once per token.
  double gb_s = 0;
};

struct SpeedReport {
  MachineSpeed machine;
  PhaseSpeed prompt, decode, batch;
};

// Approximate memory in bytes that the measurement needs besides the model: the sequences' states
// and logits, and the buffers of the probes.
uint64_t MemoryFor(const Model& model, const SpeedOptions& options);

// Runs forward passes and arg-max, as generation does. Each phase has a warm-up and reports the
// median of several runs; decoding runs are split into pieces of a few tokens. Machine probes run
// between all of them, because the speed of such machines drifts.
SpeedReport MeasureSpeed(const Model& model, const SpeedOptions& options);

}  // namespace linnet

#endif  // LINNET_EVAL_SPEED_H_
