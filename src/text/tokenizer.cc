#include "linnet/tokenizer.h"

#include <fmt/format.h>
#include <pwd.h>
#include <unistd.h>

#include <array>
#include <numeric>
#include <system_error>

#include "base/mapped_file.h"
#include "base/sha256.h"
#include "linnet/error.h"
#include "text/builtin_vocabulary.h"
#include "text/tokenizers.h"

namespace linnet {
namespace {

// Released 20B models keep the tokenizer's 50277 rows or pad them to 50304.
constexpr size_t kNeoxSmallest = 50277, kNeoxLargest = 50304;
// Fifty times the largest known file, so that a checkpoint given by mistake is not read.
constexpr size_t kLargestFile = size_t{128} << 20;

class BytesTokenizer final : public Tokenizer {
 public:
  BytesTokenizer() { std::iota(bytes_.begin(), bytes_.end(), '\0'); }
  std::vector<int32_t> Encode(std::string_view text) const override {
    std::vector<int32_t> ids;
    ids.reserve(text.size());
    for (const char c : text) ids.push_back(static_cast<uint8_t>(c));
    return ids;
  }
  std::string_view Bytes(int32_t id) const override {
    if (id < 0 || id > 255) return {};
    return {&bytes_[static_cast<size_t>(id)], 1};
  }
  size_t size() const override { return bytes_.size(); }
  const char* name() const override { return "bytes"; }

 private:
  std::array<char, 256> bytes_;
};

std::shared_ptr<const Tokenizer> BuiltinWorld() {
  const std::string text = BuiltinVocabulary();
  if (text.empty()) {
    throw Error(
        ErrorKind::kBadInput,
        "this build has no World vocabulary built in; it is rwkv_vocab_v20230424.txt of the Python "
        "package rwkv",
        Remedy::kGiveVocabulary);
  }
  return NewWorldTokenizer(ParseVocabulary(text, "built-in vocabulary"));
}

std::filesystem::path HomeFolder() {
  std::array<char, 16384> buffer;
  passwd entry;
  passwd* found = nullptr;
  if (getpwuid_r(getuid(), &entry, buffer.data(), buffer.size(), &found) != 0 || !found) return {};
  return found->pw_dir;
}

std::filesystem::path DataFolder(const std::filesystem::path& home) {
  return (home.empty() ? HomeFolder() : home) / ".local/share/linnet";
}

bool IsNeoxSize(size_t vocab) { return vocab >= kNeoxSmallest && vocab <= kNeoxLargest; }

}  // namespace

std::unique_ptr<const Tokenizer> NewBytesTokenizer() { return std::make_unique<BytesTokenizer>(); }

std::filesystem::path NeoxFileOf(size_t vocab, const std::filesystem::path& model,
                                 const std::filesystem::path& home) {
  if (!IsNeoxSize(vocab)) return {};
  const std::filesystem::path folder = model.parent_path();
  std::vector<std::filesystem::path> places;
  if (!model.empty()) places = {folder / "20B_tokenizer.json", folder / "tokenizer.json"};
  places.push_back(DataFolder(home) / "20B_tokenizer.json");
  std::error_code error;
  for (const auto& place : places) {
    if (std::filesystem::exists(place, error)) return place;
  }
  return {};
}

std::unique_ptr<const Tokenizer> ParseTokenizer(std::string_view content, const std::string& name) {
  if (content.size() > kLargestFile) {
    throw Error(ErrorKind::kBadInput,
                fmt::format("{}: {} bytes are too many for a vocabulary, expected at most {}", name,
                            content.size(), kLargestFile));
  }
  const size_t first = content.find_first_not_of(" \t\r\n");
  if (first == content.npos) throw Error(ErrorKind::kBadInput, name + ": the vocabulary is empty");
  if (content[first] == '{' && !IsJsonVocabulary(content)) return NewNeoxTokenizer(content, name);
  return NewWorldTokenizer(ParseVocabulary(content, name));
}

std::string Tokenizer::Decode(std::span<const int32_t> ids) const {
  std::string text;
  for (const int32_t id : ids) text += Bytes(id);
  return text;
}

// The longest match needs nothing but the tokens.
std::string Tokenizer::Digest() const {
  Sha256 hash;
  hash.Add(fmt::format("linnet tokenizer 1\n{} {}\n", name(), size()));
  for (size_t id = 0; id < size(); ++id) {
    const std::string_view bytes = Bytes(static_cast<int32_t>(id));
    hash.Add(fmt::format("{} ", bytes.size()));
    hash.Add(bytes);
  }
  return Hex(hash.Finish());
}

std::shared_ptr<const Tokenizer> Tokenizer::Load(const std::filesystem::path& path) {
  const MappedFile file(path);
  const auto bytes = file.bytes();
  return ParseTokenizer({reinterpret_cast<const char*>(bytes.data()), bytes.size()}, path.string());
}

std::shared_ptr<const Tokenizer> Tokenizer::ForVocabulary(size_t vocab,
                                                          const std::filesystem::path& model,
                                                          const std::filesystem::path& home) {
  if (vocab == 256) return NewBytesTokenizer();
  if (vocab == kWorldVocabulary) return BuiltinWorld();
  if (IsNeoxSize(vocab)) {
    const auto file = NeoxFileOf(vocab, model, home);
    if (!file.empty()) return Load(file);
    throw Error(ErrorKind::kBadInput,
                fmt::format("this model needs GPT-NeoX's 20B_tokenizer.json; put it beside the "
                            "model or into {}",
                            DataFolder(home).string()),
                Remedy::kGiveVocabulary);
  }
  throw Error(
      ErrorKind::kBadInput,
      fmt::format("{}no tokenizer is known for a vocabulary of {} (known: 256 bytes, {} to {} "
                  "GPT-NeoX 20B, {} World)",
                  model.empty() ? "" : model.string() + ": ", vocab, kNeoxSmallest, kNeoxLargest,
                  kWorldVocabulary),
      Remedy::kGiveVocabulary);
}

}  // namespace linnet
