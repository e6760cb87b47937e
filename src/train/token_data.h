// TokenData: tokenized documents on disk, as the reference trainers keep them (Megatron's binidx).
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

// How a .bin holds its tokens; the values are the codes of the format.
enum class TokenType : uint8_t { kU8 = 1, kI8 = 2, kI16 = 3, kI32 = 4, kI64 = 5, kU16 = 8 };
size_t SizeOf(TokenType type);

// NAME.idx: where each document lies among the tokens of NAME.bin. Views the bytes of the file,
// little-endian without padding: "MMIDIDX\0\0", u64 version 1, u8 type, u64 entries, u64 length of
// the last list; then i32 sizes and i64 byte offsets of entries, and i64 entries before each
// document and after the last. The layout is Megatron-LM's (RWKV-LM: src/binidx.py).
class TokenIndex {
 public:
  // Checks every size and offset. `name` begins messages. Throws Error kBadInput.
  TokenIndex(std::span<const std::byte> bytes, const std::string& name);

  TokenType type() const { return type_; }
  uint64_t tokens() const { return tokens_; }
  uint64_t documents() const { return documents_; }
  // The tokens before document i; for i = documents() all of them.
  uint64_t Begin(uint64_t i) const;

 private:
  template <class T>
  T At(uint64_t list, uint64_t i) const;

  std::span<const std::byte> bytes_;
  TokenType type_ = TokenType::kU16;
  uint64_t entries_ = 0, documents_ = 0, tokens_ = 0;
  uint64_t pointers_ = 0, ends_ = 0;  // byte offsets of the lists
  bool grouped_ = true;               // else each entry is a document
};

// NAME.bin, NAME.idx and, where not all is to be learnt, NAME.mask: one byte for each token of the
// .bin, 1 if the model is asked to foretell it, 0 if not; and NAME.vocab.json, whose tokens they
// are. Tokens are mapped, never read whole. Immutable: any number of threads may read at once.
class TokenData {
 public:
  // `name` with or without one of the endings. Ids must be below `vocab`. Throws Error: kIo, and
  // kBadInput if the files are not what they should be, do not belong together, or hold no token.
  explicit TokenData(const std::filesystem::path& name, size_t vocab = size_t{kMaxTokenId} + 1);

  const std::string& name() const { return name_; }
  uint64_t tokens() const { return index_->tokens(); }
  uint64_t documents() const { return index_->documents(); }
  uint64_t Begin(uint64_t document) const { return index_->Begin(document); }
  TokenType type() const { return index_->type(); }
  bool masked() const { return mask_.has_value(); }

  // The tokens from `begin` on; begin + tokens.size() <= tokens(). Throws Error kBadInput on an id
  // that is not in the vocabulary.
  void Read(uint64_t begin, std::span<int32_t> tokens) const;
  int32_t Token(uint64_t at) const;
  // Throws Error kBadInput if there is an id that is not in the vocabulary: among all tokens, or,
  // of very many, among a sample spread over them.
  void CheckIds() const;
  // 16 hex digits and the number of bytes, of a fixed sample of all files: the same for copies of
  // them, and quick for files of any size.
  std::string Hash() const;
  // Gives back the memory of what was read so far; it is read again when it is wanted.
  void Drop() const noexcept;
  // Of the program that made the data; nothing if it did not say.
  const std::optional<VocabularyId>& vocabulary() const { return vocabulary_; }
  // Throws Error kBadInput if the tokens are known to be of another vocabulary than this one, which
  // is that of `whose`, a file.
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

// The files that data of this name, given with one of their endings or without, are written to.
std::vector<std::filesystem::path> TokenFilesOf(const std::filesystem::path& name);

// Whether a file is one of those of tokenized data, by its content: an index, a .vocab.json, or
// tokens or a mask as long as the index beside it says. Throws Error if it is none.
bool IsTokenFile(const std::filesystem::path& file);

// Writes such files: nothing stands under their names before Commit, and what stood there before
// is replaced. About 12 bytes of memory a document.
class TokenDataWriter {
 public:
  // Ids are below `vocab`; up to 65536 they take two bytes. Throws Error kIo, as all members do.
  TokenDataWriter(const std::filesystem::path& name, size_t vocab);

  // More of the document that is being written. `learnt` is as long as `tokens`, 0 or 1 each.
  void Append(std::span<const int32_t> tokens, std::span<const uint8_t> learnt);
  void EndDocument();
  // With the vocabulary that the tokens are of, if it is known.
  void Commit(const VocabularyId* vocabulary = nullptr);

  // As written so far.
  uint64_t documents() const { return ends_.size(); }
  uint64_t tokens() const { return tokens_; }

 private:
  std::filesystem::path name_;
  TokenType type_;
  AtomicFile bin_, mask_;
  bool masked_ = false;
  uint64_t tokens_ = 0, ended_ = 0;  // all, and those of documents that are over
  std::vector<int32_t> sizes_;
  std::vector<int64_t> ends_;  // entries up to the end of each document
  std::vector<std::byte> bytes_;
};

}  // namespace linnet

#endif  // LINNET_TRAIN_TOKEN_DATA_H_
