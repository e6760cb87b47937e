// DataBuilder: writes documents as tokenized data, in random order.
#ifndef LINNET_TRAIN_DATA_BUILDER_H_
#define LINNET_TRAIN_DATA_BUILDER_H_

#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>

#include "linnet/tokenizer.h"
#include "train/documents.h"
#include "train/token_data.h"

namespace linnet {

struct DataOrder {
  bool shuffle = true;
  uint64_t seed = 1;
  uint64_t epochs = 1;  // passes over the documents, each in a new order
};

// Add documents, then Write them. Until then the tokens are in temporary files next to `name`,
// which the destructor removes. Uses about 20 bytes of memory per document.
class DataBuilder {
 public:
  // All members throw Error kIo. Keeps a reference to the tokenizer.
  DataBuilder(const std::filesystem::path& name, const Tokenizer& tokenizer);
  ~DataBuilder();
  DataBuilder(const DataBuilder&) = delete;
  DataBuilder& operator=(const DataBuilder&) = delete;

  // Encodes each part separately, so that learnt text begins and ends at a token boundary. Appends
  // token 0, the end of text, which is learnt if the last part is.
  void Add(const Document& document);

  // Writes NAME.bin, NAME.idx, NAME.mask and NAME.vocab.json as TokenDataWriter does. Calls
  // `progress` with the number of documents written. Throws Error kBadInput if there are none.
  void Write(const DataOrder& order, const std::function<void(uint64_t)>& progress = {});

  uint64_t documents() const { return documents_; }
  uint64_t tokens() const { return tokens_; }  // in one epoch
  uint64_t learnt() const { return learnt_; }  // of these, the learnt ones

 private:
  void Put(std::span<const int32_t> tokens, bool learnt);

  std::filesystem::path name_, spool_name_;
  const Tokenizer& tokenizer_;
  std::optional<TokenDataWriter> spool_;
  uint64_t documents_ = 0, tokens_ = 0, learnt_ = 0;
  std::vector<uint8_t> flags_;
};

}  // namespace linnet

#endif  // LINNET_TRAIN_DATA_BUILDER_H_
