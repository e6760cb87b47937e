#include "train/token_data.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <limits>
#include <string_view>

#include "base/check.h"
#include "linnet/error.h"

namespace linnet {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kMagic("MMIDIDX\0\0", 9);
constexpr uint64_t kVersion = 1;
constexpr size_t kHeader = kMagic.size() + 8 + 1 + 8 + 8;
constexpr uint64_t kMostTokens = uint64_t{1} << 48;  // so that no byte count overflows
constexpr uint64_t kLargestEntry = std::numeric_limits<int32_t>::max();

fs::path Ended(fs::path name, const char* ending) {
  name += ending;
  return name;
}

constexpr const char *kTokens = ".bin", *kIndex = ".idx", *kMask = ".mask",
                     *kVocabulary = ".vocab.json";

fs::path WithoutEnding(const fs::path& name) {
  const std::string text = name.string();
  for (const std::string_view ending : {kTokens, kIndex, kMask, kVocabulary}) {
    if (text.ends_with(ending)) return text.substr(0, text.size() - ending.size());
  }
  return name;
}

template <class T>
T Load(const std::byte* bytes) {
  T value;
  std::memcpy(&value, bytes, sizeof(T));
  return value;
}

int64_t TokenAt(const std::byte* bytes, TokenType type) {
  switch (type) {
    case TokenType::kU8:
      return Load<uint8_t>(bytes);
    case TokenType::kI8:
      return Load<int8_t>(bytes);
    case TokenType::kI16:
      return Load<int16_t>(bytes);
    case TokenType::kI32:
      return Load<int32_t>(bytes);
    case TokenType::kI64:
      return Load<int64_t>(bytes);
    case TokenType::kU16:
      return Load<uint16_t>(bytes);
  }
  return -1;
}

TokenType CheckedType(uint8_t code, const std::string& name) {
  if (code == 6 || code == 7) {
    throw Error(ErrorKind::kBadInput,
                fmt::format("{}: holds floats (type {}), expected tokens", name, code));
  }
  if (code == 0 || code > 8) {
    throw Error(ErrorKind::kBadInput,
                fmt::format("{}: type {} is not one of 1 to 5 and 8", name, code));
  }
  return static_cast<TokenType>(code);
}

}  // namespace

size_t SizeOf(TokenType type) {
  switch (type) {
    case TokenType::kU8:
    case TokenType::kI8:
      return 1;
    case TokenType::kI16:
    case TokenType::kU16:
      return 2;
    case TokenType::kI32:
      return 4;
    case TokenType::kI64:
      return 8;
  }
  return 1;
}

template <class T>
T TokenIndex::At(uint64_t list, uint64_t i) const {
  return Load<T>(bytes_.data() + list + i * sizeof(T));
}

TokenIndex::TokenIndex(std::span<const std::byte> bytes, const std::string& name) : bytes_(bytes) {
  const auto fail = [&](const std::string& what) {
    throw Error(ErrorKind::kBadInput, fmt::format("{}: {}", name, what));
  };
  if (bytes.size() < kHeader || std::memcmp(bytes.data(), kMagic.data(), kMagic.size()) != 0) {
    fail("not the index of a binidx data set");
  }
  const std::byte* at = bytes.data() + kMagic.size();
  const auto version = Load<uint64_t>(at);
  if (version != kVersion) fail(fmt::format("version {}, expected {}", version, kVersion));
  type_ = CheckedType(Load<uint8_t>(at + 8), name);
  entries_ = Load<uint64_t>(at + 9);
  const auto ends = Load<uint64_t>(at + 17);
  const uint64_t left = bytes.size() - kHeader;
  // Each is checked alone first, so that the sum cannot overflow.
  if (entries_ > left / 12 || ends > left / 8 || entries_ * 12 + ends * 8 != left) {
    fail(
        fmt::format("has {} bytes after its header, which says {} entries and {} ends of documents",
                    left, entries_, ends));
  }
  pointers_ = kHeader + entries_ * 4;
  ends_ = pointers_ + entries_ * 8;

  const uint64_t width = SizeOf(type_);
  for (uint64_t i = 0; i < entries_; ++i) {
    const auto size = At<int32_t>(kHeader, i);
    const auto pointer = At<int64_t>(pointers_, i);
    if (size < 0) fail(fmt::format("entry {} has {} tokens", i, size));
    if (static_cast<uint64_t>(pointer) != tokens_ * width) {
      fail(fmt::format("entry {} begins at byte {}, expected {}, behind the one before", i, pointer,
                       tokens_ * width));
    }
    tokens_ += static_cast<uint64_t>(size);
    if (tokens_ > kMostTokens) fail("says more tokens than any disk holds");
  }
  // Some programs do not write document ends.
  grouped_ = ends > 1;
  documents_ = grouped_ ? ends - 1 : entries_;
  for (uint64_t i = 0; grouped_ && i < ends; ++i) {
    const auto value = At<int64_t>(ends_, i);
    const int64_t least = i == 0 ? 0 : At<int64_t>(ends_, i - 1);
    const bool fits = i == 0         ? value == 0
                      : i + 1 < ends ? value >= least && static_cast<uint64_t>(value) <= entries_
                                     : static_cast<uint64_t>(value) == entries_ && value >= least;
    if (!fits) fail(fmt::format("document {} ends at entry {} of {}", i, value, entries_));
  }
}

uint64_t TokenIndex::Begin(uint64_t i) const {
  const uint64_t entry = grouped_ ? static_cast<uint64_t>(At<int64_t>(ends_, i)) : i;
  if (entry == entries_) return tokens_;
  return static_cast<uint64_t>(At<int64_t>(pointers_, entry)) / SizeOf(type_);
}

TokenData::TokenData(const fs::path& name, size_t vocab)
    : name_(WithoutEnding(name).string()),
      vocab_(vocab),
      tokens_(Ended(name_, kTokens)),
      entries_(Ended(name_, kIndex)),
      vocabulary_(ReadVocabularyId(Ended(name_, kVocabulary))) {
  index_.emplace(entries_.bytes(), name_ + kIndex);
  if (fs::exists(name_ + kMask)) mask_.emplace(name_ + kMask);
  const uint64_t wanted = index_->tokens() * SizeOf(index_->type());
  if (tokens_.bytes().size() != wanted) {
    throw Error(ErrorKind::kBadInput,
                fmt::format("{0}.bin: has {1} bytes, but {0}.idx says {2}; they do not belong "
                            "together, or a copy was cut short",
                            name_, tokens_.bytes().size(), wanted));
  }
  if (mask_ && mask_->bytes().size() != index_->tokens()) {
    throw Error(ErrorKind::kBadInput,
                fmt::format("{0}.mask: has {1} bytes, expected one for each of the {2} tokens of "
                            "{0}.bin",
                            name_, mask_->bytes().size(), index_->tokens()));
  }
  if (index_->tokens() == 0) {
    throw Error(ErrorKind::kBadInput, fmt::format("{}.bin: holds no tokens", name_));
  }
}

int32_t TokenData::Token(uint64_t at) const {
  const TokenType type = index_->type();
  const int64_t token = TokenAt(tokens_.bytes().data() + at * SizeOf(type), type);
  if (token < 0 || static_cast<uint64_t>(token) >= vocab_) {
    throw Error(ErrorKind::kBadInput,
                fmt::format("{}.bin: token {} has id {}, expected 0 to {}; was it made with "
                            "another vocabulary?",
                            name_, at, token, vocab_ - 1));
  }
  return static_cast<int32_t>(token);
}

void TokenData::Read(uint64_t begin, std::span<int32_t> tokens) const {
  LINNET_CHECK(begin + tokens.size() <= index_->tokens());
  for (size_t i = 0; i < tokens.size(); ++i) tokens[i] = Token(begin + i);
}

void TokenData::CheckIds() const {
  constexpr uint64_t kAll = uint64_t{1} << 26, kPieces = 1024, kPiece = kAll / kPieces;
  const uint64_t all = tokens(), pieces = all <= kAll ? 1 : kPieces;
  const uint64_t piece = all <= kAll ? all : kPiece;
  for (uint64_t i = 0; i < pieces; ++i) {
    const uint64_t begin = pieces == 1 ? 0 : (all - piece) / (pieces - 1) * i;
    for (uint64_t at = begin; at < begin + piece; ++at) Token(at);
  }
  Drop();
}

std::string TokenData::Hash() const {
  constexpr uint64_t kPieces = 256, kPiece = 1024;
  uint64_t hash = 0xcbf29ce484222325u, all = 0;  // FNV-1a
  const auto sample = [&](std::span<const std::byte> bytes) {
    all += bytes.size();
    hash = (hash ^ bytes.size()) * 0x100000001b3u;
    // All of a small file; of a large file, pieces spread over it.
    const uint64_t room = bytes.size() - std::min<uint64_t>(bytes.size(), kPiece);
    for (uint64_t i = 0; i < kPieces; ++i) {
      const uint64_t begin = bytes.size() <= kPieces * kPiece ? std::min(i * kPiece, bytes.size())
                                                              : room / (kPieces - 1) * i;
      for (const std::byte b : bytes.subspan(begin, std::min(kPiece, bytes.size() - begin))) {
        hash = (hash ^ static_cast<uint64_t>(b)) * 0x100000001b3u;
      }
    }
  };
  sample(tokens_.bytes());
  sample(entries_.bytes());
  if (mask_) sample(mask_->bytes());
  return fmt::format("{:016x}:{}", hash, all);
}

void TokenData::Drop() const noexcept {
  for (const MappedFile* file : {&tokens_, &entries_}) MappedFile::Drop(file->bytes());
  if (mask_) MappedFile::Drop(mask_->bytes());
}

std::vector<fs::path> TokenFilesOf(const fs::path& name) {
  const fs::path bare = WithoutEnding(name);
  return {Ended(bare, kTokens), Ended(bare, kIndex), Ended(bare, kMask), Ended(bare, kVocabulary)};
}

bool IsTokenFile(const fs::path& file) {
  const fs::path bare = WithoutEnding(file);
  const std::string ending = file.string().substr(bare.string().size());
  if (ending == kVocabulary) return ReadVocabularyId(file).has_value();
  if (ending.empty()) return false;
  const MappedFile entries(Ended(bare, kIndex));
  const TokenIndex index(entries.bytes(), bare.string() + kIndex);
  if (ending == kIndex) return true;
  const size_t width = ending == kTokens ? SizeOf(index.type()) : 1;
  return fs::file_size(file) == index.tokens() * width;
}

void TokenData::CheckVocabulary(const Tokenizer& tokenizer, const std::string& whose) const {
  if (!vocabulary_) return;
  const VocabularyId given = IdOf(tokenizer);
  if (given == *vocabulary_) return;
  throw Error(
      ErrorKind::kBadInput,
      fmt::format("{}: its tokens are of another vocabulary ({} tokens, hash {}) than that "
                  "of {} ({} tokens, hash {}); build the data with the same one",
                  name_, vocabulary_->tokens, vocabulary_->hash, whose, given.tokens, given.hash));
}

TokenDataWriter::TokenDataWriter(const fs::path& name, size_t vocab)
    : name_(WithoutEnding(name)),
      type_(vocab <= 65536 ? TokenType::kU16 : TokenType::kI32),
      bin_(Ended(name_, kTokens)),
      mask_(Ended(name_, kMask)) {}

void TokenDataWriter::Append(std::span<const int32_t> tokens, std::span<const uint8_t> learnt) {
  LINNET_CHECK(learnt.size() == tokens.size());
  const size_t width = SizeOf(type_);
  bytes_.resize(tokens.size() * width);
  for (size_t i = 0; i < tokens.size(); ++i) {
    // All supported machines are little-endian: the first bytes are the low ones.
    std::memcpy(bytes_.data() + i * width, &tokens[i], width);
  }
  bin_.Write(bytes_);
  mask_.Write(std::as_bytes(learnt));
  masked_ = masked_ || std::find(learnt.begin(), learnt.end(), uint8_t{0}) != learnt.end();
  tokens_ += tokens.size();
}

void TokenDataWriter::EndDocument() {
  uint64_t left = tokens_ - ended_;
  do {
    const uint64_t size = std::min(left, kLargestEntry);
    sizes_.push_back(static_cast<int32_t>(size));
    left -= size;
  } while (left > 0);
  ends_.push_back(static_cast<int64_t>(sizes_.size()));
  ended_ = tokens_;
}

void TokenDataWriter::Commit(const VocabularyId* vocabulary) {
  LINNET_CHECK(ended_ == tokens_);
  const fs::path index = Ended(name_, kIndex), known = Ended(name_, kVocabulary);
  AtomicFile file(index);
  const auto put = [&](const auto& value) { file.Write(std::as_bytes(std::span(&value, 1))); };
  file.Write(kMagic);
  put(kVersion);
  put(static_cast<uint8_t>(type_));
  put(uint64_t{sizes_.size()});
  put(uint64_t{ends_.size() + 1});
  file.Write(std::as_bytes(std::span(sizes_)));
  int64_t pointer = 0;
  for (const int32_t size : sizes_) {
    put(pointer);
    pointer += static_cast<int64_t>(size) * static_cast<int64_t>(SizeOf(type_));
  }
  put(int64_t{0});
  file.Write(std::as_bytes(std::span(ends_)));

  // Without an index there is no data set, so old and new files are never mixed.
  std::error_code error;
  fs::remove(index, error);
  bin_.Commit();
  if (masked_) {
    mask_.Commit();
  } else {
    fs::remove(Ended(name_, kMask), error);
  }
  if (vocabulary != nullptr) {
    AtomicFile named(known);
    named.Write(FormatVocabularyId(*vocabulary));
    named.Commit();
  } else {
    fs::remove(known, error);
  }
  file.Commit();
}

}  // namespace linnet
