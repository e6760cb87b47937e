// ModelSize: how much memory a model takes in a format, from its sizes alone.
#ifndef LINNET_MODELS_MODEL_SIZE_H_
#define LINNET_MODELS_MODEL_SIZE_H_

#include <cstdint>

#include "linnet/config.h"
#include "linnet/dtype.h"
#include "models/names.h"
#include "models/packed.h"

namespace linnet {

struct ModelSize {
  uint64_t parameters = 0;
  // As ModelCost: all matrices with their scales, without the embedding; of the experts of a layer
  // one. Decoding a token reads so much.
  uint64_t matrix_bytes = 0;
  uint64_t table_bytes = 0;   // embeddings, which stay in the mapped file and are read row by row
  uint64_t vector_bytes = 0;  // as f32
  uint64_t state_bytes = 0;   // of one sequence, without rows of attention

  // Resident when all rows of the embedding have been read.
  uint64_t bytes() const { return matrix_bytes + table_bytes + vector_bytes; }
};

// Of a model whose file and matrices are in `format`: f32, f16 and bf16 as stored, int8 and nf4 as
// packed by `quantize` (low-rank factors in bf16, rows of embeddings in int8).
ModelSize SizeOf(const Config& config, DType format);

// Memory that opening a checkpoint takes: what stays, and with a packing that changes matrices also
// the largest tensor of the file, since one after the other is read and packed. Of each layer's
// experts only those in use are in memory; without a packing they are read from the file.
uint64_t MemoryToOpen(const Checkpoint& checkpoint, const Packing& packing);

}  // namespace linnet

#endif  // LINNET_MODELS_MODEL_SIZE_H_
