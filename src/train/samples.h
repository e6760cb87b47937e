// SampleSource: rows to learn from, out of tokenized documents.
#ifndef LINNET_TRAIN_SAMPLES_H_
#define LINNET_TRAIN_SAMPLES_H_

#include <cstddef>
#include <cstdint>
#include <memory>

#include "linnet/trainer.h"
#include "train/token_data.h"

namespace linnet {

// Rows by number, the same ones on every machine; so a counter is all that a resumed run needs to
// go on. Any number of threads may read at once. Keeps a reference to its TokenData.
class SampleSource {
 public:
  virtual ~SampleSource() = default;

  // Epoch index / rows_per_epoch(), row index % rows_per_epoch() of it. Throws Error kBadInput on
  // an id outside the vocabulary.
  virtual void Read(uint64_t index, SampleRow& row) const = 0;
  virtual uint64_t rows_per_epoch() const = 0;
};

// The largest prime p below tokens / ctx with p % 3 == 2, as the reference trainer wants it; 0 if
// there is none.
uint64_t MagicPrime(uint64_t tokens, uint64_t ctx);

// The slot of the reference's sample `ii`, from 1 on: (factor ii^3) mod prime, its factor being the
// prime times the golden section.
uint64_t MagicPrimeSlot(uint64_t prime, uint64_t ii);

// RWKV-LM's order (train_temp/src/dataset.py): the data is one stream, cut into slots of ctx
// tokens; row i is MagicPrimeSlot(p, i + 1) with the magic prime p, every slot once in p rows. A
// row crosses documents and the state is never reset inside it. Data too small for a magic prime is
// read slot by slot, the last one filled up with targets of -1.
std::unique_ptr<SampleSource> NewMagicPrimeSamples(const TokenData& data, size_t ctx);

// Whole documents, several in a row, the state reset where each begins. In each epoch every token
// that is to be learnt is a target exactly once, and rows_per_epoch() is as small as it can be:
// only the last row an epoch has targets to spare. To learn its first token a document begins with
// the input 0, the end of the text before; if its first token is not learnt (a prompt), with that
// token. Documents that fit are cut only if rows cannot be filled otherwise; longer ones fill the
// rows that others leave room in, and go on in another row from a fresh state, so that they are cut
// elsewhere in each epoch. The order of documents and rows depends on (seed, epoch). Remembers
// where the documents of the last epoch asked for lie, in about 60 bytes a document.
std::unique_ptr<SampleSource> NewPackedSamples(const TokenData& data, size_t ctx, uint64_t seed);

}  // namespace linnet

#endif  // LINNET_TRAIN_SAMPLES_H_
