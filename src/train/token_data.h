// TokenData: tokenized documents on disk, in the reference trainers' format (Megatron's binidx).
#ifndef LINNET_TRAIN_TOKEN_DATA_H_
#define LINNET_TRAIN_TOKEN_DATA_H_

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/atomic_file.h"
#include "base/mapped_file.h"
#include "linnet/tokenizer.h"
#include "text/vocabulary_file.h"
#include "train/data_vocabulary.h"

namespace linnet {

// The type of the tokens in a .bin; the values are the codes of the format.
enum class TokenType : uint8_t { kU8 = 1, kI8 = 2, kI16 = 3, kI32 = 4, kI64 = 5, kU16 = 8 };
size_t SizeOf(TokenType type);

// NAME.idx: the position of each document in NAME.bin. A view of the file's bytes, little-endian
// without padding: "MMIDIDX\0\0", u64 version 1, u8 type, u64 entries, u64 length of
// the last list; then i32 sizes and i64 byte offsets of entries, and i64 entries before each
// document and after the last. The layout is Megatron-LM's (RWKV-LM: src/binidx.py).
class TokenIndex {
 public:
  // Checks every size and offset. Messages start with `name`. Throws Error kBadInput.
  TokenIndex(std::span<const std::byte> bytes, const std::string& name);

  TokenType type() const { return type_; }
  uint64_t tokens() const { return tokens_; }
  uint64_t documents() const { return documents_; }
  // The number of tokens before document i; for i = documents(), of all tokens.
  uint64_t Begin(uint64_t i) const;

 private:
  template <class T>
  T At(uint64_t list, uint64_t i) const;

  std::span<const std::byte> bytes_;
  TokenType type_ = TokenType::kU16;
  uint64_t entries_ = 0, documents_ = 0, tokens_ = 0;
  uint64_t pointers_ = 0, ends_ = 0;  // byte offsets of the lists
  bool grouped_ = true;               // if false, each entry is a document
};

// NAME.bin and NAME.idx; NAME.mask, if not all tokens are learnt, with one byte per token, 1 if the
// model is trained to predict it, else 0; and NAME.vocab.json, which identifies the vocabulary.
// Tokens are mapped, never read as a whole. Immutable and safe to read from several threads.
class TokenData {
 public:
  // `name` with or without one of the extensions. Ids must be below `vocab`. Throws Error kIo, and
  // kBadInput if the files are invalid, do not belong together, or contain no token.
  explicit TokenData(const std::filesystem::path& name, size_t vocab = size_t{kMaxTokenId} + 1);

  const std::string& name() const { return name_; }
  uint64_t tokens() const { return index_->tokens(); }
  uint64_t documents() const { return index_->documents(); }
  uint64_t Begin(uint64_t document) const { return index_->Begin(document); }
  TokenType type() const { return index_->type(); }
  bool masked() const { return mask_.has_value(); }

  // Reads the tokens from `begin` on; begin + tokens.size() <= tokens(). Throws Error kBadInput for
  // an id outside the vocabulary.
  void Read(uint64_t begin, std::span<int32_t> tokens) const;
  int32_t Token(uint64_t at) const;
  // Throws Error kBadInput if an id is outside the vocabulary. Checks all tokens, or, if there are
  // very many, a sample spread over them.
  void CheckIds() const;
  // 16 hex digits of a fixed sample of all files, and the number of bytes: the same for copies of
  // the files, and fast for files of any size.
  std::string Hash() const;
  // Releases the memory of the pages read so far; they are read again when needed.
  void Drop() const noexcept;
  // As recorded by the program that wrote the data; empty if it did not.
  const std::optional<VocabularyId>& vocabulary() const { return vocabulary_; }
  // Throws Error kBadInput if the tokens are known to use another vocabulary than this one, which
  // is that of the file `whose`.
  void CheckVocabulary(const Tokenizer& tokenizer, const std::string& whose) const;
  // Whether token `at` is to be learnt.
  bool Learnt(uint64_t at) const { return !mask_ || mask_->bytes()[at] != std::byte{0}; }

 private:
  std::string name_;
  size_t vocab_;
  MappedFile tokens_, entries_;
  std::optional<MappedFile> mask_;
  std::optional<TokenIndex> index_;
  std::optional<VocabularyId> vocabulary_;
};

// The files of data with this name, which may have one of their extensions or none.
std::vector<std::filesystem::path> TokenFilesOf(const std::filesystem::path& name);

// Whether a file belongs to tokenized data, by its content: an index, a .vocab.json, or tokens or a
// mask of the size given in the index of the same name. Throws Error if it does not.
bool IsTokenFile(const std::filesystem::path& file);

// Writes these files. Nothing appears under their names before Commit, which replaces existing
// files. Uses about 12 bytes of memory per document.
class TokenDataWriter {
 public:
  // Ids are below `vocab`; up to 65536 they take two bytes. All members throw Error kIo.
  TokenDataWriter(const std::filesystem::path& name, size_t vocab);

  // Appends to the current document. `learnt` is as long as `tokens`, each value 0 or 1.
  void Append(std::span<const int32_t> tokens, std::span<const uint8_t> learnt);
  void EndDocument();
  // With the vocabulary of the tokens, if it is known.
  void Commit(const VocabularyId* vocabulary = nullptr);

  // Counts of what was written so far.
  uint64_t documents() const { return ends_.size(); }
  uint64_t tokens() const { return tokens_; }

 private:
  std::filesystem::path name_;
  TokenType type_;
  AtomicFile bin_, mask_;
  bool masked_ = false;
  uint64_t tokens_ = 0, ended_ = 0;  // all, and those of finished documents
  std::vector<int32_t> sizes_;
  std::vector<int64_t> ends_;  // entries up to the end of each document
  std::vector<std::byte> bytes_;
};

}  // namespace linnet

#endif  // LINNET_TRAIN_TOKEN_DATA_H_
