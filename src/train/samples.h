// SampleSource: training rows from tokenized documents.
#ifndef LINNET_TRAIN_SAMPLES_H_
#define LINNET_TRAIN_SAMPLES_H_

#include <cstddef>
#include <cstdint>
#include <memory>

#include "linnet/trainer.h"
#include "train/token_data.h"

namespace linnet {

// Rows by number, the same on every machine, so a resumed run only needs a counter. Safe to read
// from several threads. Keeps a reference to its TokenData.
class SampleSource {
 public:
  virtual ~SampleSource() = default;

  // Row index % rows_per_epoch() of epoch index / rows_per_epoch(). Throws Error kBadInput for an
  // id outside the vocabulary.
  virtual void Read(uint64_t index, SampleRow& row) const = 0;
  virtual uint64_t rows_per_epoch() const = 0;
};

// The largest prime p below tokens / ctx with p % 3 == 2, as in the reference trainer; 0 if there
// is none.
uint64_t MagicPrime(uint64_t tokens, uint64_t ctx);

// The slot of the reference's sample `ii`, starting at 1: (factor ii^3) mod prime, where the factor
// is the prime times the golden ratio.
uint64_t MagicPrimeSlot(uint64_t prime, uint64_t ii);

// RWKV-LM's order (train_temp/src/dataset.py): the data is one stream, cut into slots of ctx
// tokens; row i is MagicPrimeSlot(p, i + 1) with the magic prime p, every slot once in p rows. A
// row may cross documents, and the state is never reset inside it. Data too small for a magic prime
// is read slot by slot; the last one is padded with targets of -1.
std::unique_ptr<SampleSource> NewMagicPrimeSamples(const TokenData& data, size_t ctx);

// Packs whole documents into rows; the state is reset at the start of each. In each epoch every
// learnt token is a target exactly once, and rows_per_epoch() is minimal: only the last row of an
// epoch has unused targets. If the first token of a document is learnt, the document starts with
// input 0, the end of the previous text; if not (a prompt), it starts with that token. Documents
// that fit in a row are cut only if rows cannot be filled otherwise. Longer ones fill the remaining
// space and continue in another row from a fresh state, so each epoch cuts them at other places.
// The order of documents and rows depends on (seed, epoch). Caches the packing of the last
// requested epoch, about 60 bytes per document.
std::unique_ptr<SampleSource> NewPackedSamples(const TokenData& data, size_t ctx, uint64_t seed);

}  // namespace linnet

#endif  // LINNET_TRAIN_SAMPLES_H_
