#include "train/data_builder.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <numeric>
#include <system_error>

#include "base/atomic_file.h"
#include "linnet/error.h"
#include "train/encode_all.h"
#include "train/shuffle.h"

namespace linnet {
namespace {

constexpr int32_t kEndOfText = 0;
constexpr uint64_t kDropAfter = uint64_t{1} << 24;  // tokens copied before memory is released
constexpr uint64_t kBlock = uint64_t{1} << 20;      // tokens copied at a time

void CopyDocument(const TokenData& from, uint64_t i, TokenDataWriter& to) {
  std::vector<int32_t> tokens;
  std::vector<uint8_t> learnt;
  const uint64_t end = from.Begin(i + 1);
  for (uint64_t at = from.Begin(i); at < end; at += tokens.size()) {
    tokens.resize(std::min(kBlock, end - at));
    learnt.resize(tokens.size());
    from.Read(at, tokens);
    for (size_t k = 0; k < learnt.size(); ++k) learnt[k] = from.Learnt(at + k) ? 1 : 0;
    to.Append(tokens, learnt);
    if (tokens.size() == kBlock) from.Drop();
  }
  to.EndDocument();
}

}  // namespace

DataBuilder::DataBuilder(const std::filesystem::path& name, const Tokenizer& tokenizer)
    : name_(name), spool_name_(name), tokenizer_(tokenizer) {
  // The message names the file that the user gave, not the temporary file.
  for (const auto& file : TokenFilesOf(name)) const AtomicFile trial(file);
  spool_name_ += fmt::format(".{}.in-order", getpid());
  spool_.emplace(spool_name_, tokenizer.size());
}

DataBuilder::~DataBuilder() {
  spool_.reset();
  for (const char* ending : {".bin", ".idx", ".mask"}) {
    std::error_code error;
    std::filesystem::remove(spool_name_.string() + ending, error);
  }
}

void DataBuilder::Put(std::span<const int32_t> tokens, bool learnt) {
  flags_.assign(tokens.size(), learnt ? 1 : 0);
  spool_->Append(tokens, flags_);
  tokens_ += tokens.size();
  if (learnt) learnt_ += tokens.size();
}

void DataBuilder::Add(const Document& document) {
  if (document.empty()) return;
  for (const DocumentPart& part : document) {
    EncodeAll(tokenizer_, part, [&](const std::vector<int32_t>& ids) { Put(ids, part.learnt); });
  }
  Put(std::span(&kEndOfText, 1), document.back().learnt);
  spool_->EndDocument();
  ++documents_;
}

void DataBuilder::Write(const DataOrder& order, const std::function<void(uint64_t)>& progress) {
  if (documents_ == 0) {
    throw Error(ErrorKind::kBadInput,
                fmt::format("{}: nothing to write, no input holds a document", name_.string()));
  }
  spool_->Commit();
  const TokenData spool(spool_name_, tokenizer_.size());
  TokenDataWriter writer(name_, tokenizer_.size());
  std::vector<uint64_t> places(documents_);
  std::iota(places.begin(), places.end(), uint64_t{0});
  uint64_t dropped = 0;
  for (uint64_t epoch = 0; epoch < order.epochs; ++epoch) {
    if (order.shuffle) Shuffle(std::span(places), MixSeeds(order.seed, epoch));
    for (const uint64_t place : places) {
      CopyDocument(spool, place, writer);
      if (writer.tokens() - dropped > kDropAfter) {
        spool.Drop();
        dropped = writer.tokens();
      }
      if (progress) progress(writer.documents());
    }
  }
  const VocabularyId vocabulary = IdOf(tokenizer_);
  writer.Commit(&vocabulary);
}

}  // namespace linnet
