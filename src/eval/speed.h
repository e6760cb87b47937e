// Speed: what a model does on this machine, beside what the machine could do.
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
  size_t prompt = 512;  // tokens of one pass; 0 leaves the phase out, also below
  size_t decode = 128;  // tokens one by one
  size_t batch = 32;    // sequences that decode together
  std::function<void(const char* phase)> progress{};
};

// The best of short probes with as many threads: reading memory as this CPU can, and multiply-adds
// on registers at the instruction-set level in force; those of bf16 and int8 are what products of
// such weights may use, so at least f32's.
struct MachineSpeed {
  double read_gb_s = 0, f32_gflops = 0, bf16_gflops = 0, int8_gops = 0;
};

// The arithmetic alone, in GFLOP/s: kF32, or kBF16 (at least f32's, in which such products run
// where that is quicker).
double MeasurePeak(DType format, size_t threads);

struct PhaseSpeed {
  size_t count = 0;  // tokens, or sequences of a batch
  double tokens_per_s = 0;
  double gflops = 0;  // prompt: without the head; batch: with it
  double gb_s = 0;    // decode: the matrices as stored, once a token
};

struct SpeedReport {
  MachineSpeed machine;
  PhaseSpeed prompt, decode, batch;
};

// What the measures will hold at once beside the model, about: the sequences' states and logits,
// and what the probes read. Bytes.
uint64_t MemoryFor(const Model& model, const SpeedOptions& options);

// Forward passes and arg-max, as generation does them; each phase after a
// warm-up, medians of several runs, those of decoding in pieces of some tokens.
// The machine's probes stand between them all, since such machines drift.
SpeedReport MeasureSpeed(const Model& model, const SpeedOptions& options);

}  // namespace linnet

#endif  // LINNET_EVAL_SPEED_H_
