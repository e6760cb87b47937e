// DataBuilder: documents to tokenized data, in a random order.
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
  uint64_t epochs = 1;  // so many times, in another order each
};

// Add documents, then Write them. The tokens lie in files beside `name` meanwhile, which are gone
// with the builder; memory is some 20 bytes a document.
class DataBuilder {
 public:
  // Throws Error kIo, as all members do. Keeps a reference to the tokenizer.
  DataBuilder(const std::filesystem::path& name, const Tokenizer& tokenizer);
  ~DataBuilder();
  DataBuilder(const DataBuilder&) = delete;
  DataBuilder& operator=(const DataBuilder&) = delete;

  // Each part is encoded by itself, so that what is learnt begins and ends with a token; then comes
  // token 0, the end of text, learnt if the last part is.
  void Add(const Document& document);

  // Writes NAME.bin, NAME.idx, NAME.mask and NAME.vocab.json as TokenDataWriter does. `progress` is
  // told of documents written. Throws Error kBadInput if there are none.
  void Write(const DataOrder& order, const std::function<void(uint64_t)>& progress = {});

  uint64_t documents() const { return documents_; }
  uint64_t tokens() const { return tokens_; }  // of one epoch
  uint64_t learnt() const { return learnt_; }  // of these

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
