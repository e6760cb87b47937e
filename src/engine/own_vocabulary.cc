#include "engine/own_vocabulary.h"

#include <fmt/format.h>

#include "base/mapped_file.h"
#include "io/container.h"
#include "io/deflated_text.h"
#include "linnet/error.h"
#include "linnet/model.h"
#include "models/builtin_model.h"
#include "models/detect.h"
#include "models/model_of.h"
#include "text/escaped_tokens.h"
#include "text/tokenizers.h"
#include "text/vocabulary_file.h"

namespace linnet {

namespace {

// Errors are Error kBadInput; their messages begin with `name`.
std::shared_ptr<const Tokenizer> TokenizerFrom(const std::string& text, size_t vocab,
                                               const std::string& name) {
  std::shared_ptr<const Tokenizer> tokenizer = ParseTokenizer(text, name);
  CheckFits(*tokenizer, vocab, name);
  return tokenizer;
}

// The tokenizer of a GGUF file, for a model of `vocab` logits; null if the file has none.
std::shared_ptr<const Tokenizer> GgufTokenizer(const TensorFile& file, size_t vocab) {
  if (file.container() != Container::kGguf) return nullptr;
  const std::string name = file.path().string();
  const auto own = ReadGgufVocabulary({file.bytes(), name});
  if (own.model != "rwkv" || own.tokens.empty()) return nullptr;
  auto tokenizer = EscapedTokenizer(own.tokens, own.kinds, name);
  CheckFits(*tokenizer, vocab, name + ": its vocabulary");
  return tokenizer;
}

std::shared_ptr<const Tokenizer> TokenizerFor(const Checkpoint& model, size_t vocab,
                                              const std::filesystem::path& home) {
  const std::filesystem::path& path = model.file().path();
  const std::string text = model.Vocabulary();
  if (!text.empty()) return TokenizerFrom(text, vocab, path.string() + ": its vocabulary");
  if (auto own = GgufTokenizer(model.file(), vocab)) return own;
  auto tokenizer = Tokenizer::ForVocabulary(vocab, path, home);
  CheckFits(*tokenizer, vocab, path.string() + ": its tokenizer");
  return tokenizer;
}

// The tokenizer of a model that is used only for its vocabulary.
std::shared_ptr<const Tokenizer> HeldTokenizer(const Checkpoint& model) {
  const std::string text = model.Vocabulary(), path = model.file().path().string();
  if (!text.empty()) return ParseTokenizer(text, path + ": its vocabulary");
  if (auto own = GgufTokenizer(model.file(), ConfigOf(model).vocab)) return own;
  throw Error(ErrorKind::kBadInput,
              path + ": holds no vocabulary; name a model that does, or a vocabulary file");
}

}  // namespace

void CheckFits(const Tokenizer& tokenizer, size_t vocab, const std::string& name) {
  if (tokenizer.size() <= vocab) return;
  throw Error(ErrorKind::kBadInput,
              fmt::format("{}: has ids up to {}, the model up to {}; it is another model's", name,
                          tokenizer.size() - 1, vocab - 1));
}

std::shared_ptr<const Tokenizer> TokenizerNamed(const std::string& name) {
  return IsModelName(name) ? HeldTokenizer(CheckpointNamed(name)) : Tokenizer::Load(name);
}

std::shared_ptr<const Tokenizer> LoadTokenizer(const std::string& name, size_t vocab) {
  auto tokenizer = TokenizerNamed(name);
  CheckFits(*tokenizer, vocab, name);
  return tokenizer;
}

std::shared_ptr<const Tokenizer> TokenizerOf(const Model& model,
                                             const std::filesystem::path& home) {
  return TokenizerFor(CheckpointOf(model), model.config().vocab, home);
}

std::shared_ptr<const Tokenizer> TokenizerOf(const Checkpoint& model,
                                             const std::filesystem::path& home) {
  return TokenizerFor(model, ConfigOf(model).vocab, home);
}

std::vector<std::byte> StoredVocabulary(const std::string& name, size_t vocab) {
  if (IsModelName(name)) {
    const Checkpoint model = CheckpointNamed(name);
    CheckFits(*HeldTokenizer(model), vocab, name);
    const auto stored = model.stored_vocabulary();
    return stored.empty() ? StoredVocabularyOf(model)
                          : std::vector<std::byte>(stored.begin(), stored.end());
  }
  const MappedFile map(name);
  std::string text(AsText(map.bytes()));
  TokenizerFrom(text, vocab, name);
  if (IsJsonVocabulary(text)) text = FormatVocabulary(ParseVocabulary(text, name));
  if (text.size() > kMaxVocabularyBytes) {
    throw Error(ErrorKind::kBadInput, fmt::format("{}: has {} bytes, expected at most {}", name,
                                                  text.size(), kMaxVocabularyBytes));
  }
  return DeflateText(text);
}

std::vector<std::byte> StoredVocabularyOf(const Checkpoint& model) {
  const size_t vocab = ConfigOf(model).vocab;
  const auto own = GgufTokenizer(model.file(), vocab);
  if (own == nullptr) return {};
  const auto world = vocab == kWorldVocabulary ? Tokenizer::ForVocabulary(vocab) : nullptr;
  bool same = world != nullptr;
  std::vector<VocabularyEntry> entries;
  for (size_t i = 0; i < vocab; ++i) {
    const auto id = static_cast<int32_t>(i);
    const std::string_view bytes = own->Bytes(id);
    same = same && bytes == world->Bytes(id);
    if (!bytes.empty()) entries.push_back({id, std::string(bytes)});
  }
  return same ? std::vector<std::byte>() : DeflateText(FormatVocabulary(entries));
}

GgufVocabulary GgufVocabularyOf(const Tokenizer& tokenizer, size_t size) {
  GgufVocabulary out{.model = "rwkv", .tokens = {}, .kinds = {}};
  for (size_t id = 0; id < size; ++id) {
    const auto bytes = tokenizer.Bytes(static_cast<int32_t>(id));
    if (!bytes.empty()) {
      out.tokens.push_back(EscapeToken(bytes));
      out.kinds.push_back(kNormalToken);
    } else {
      out.tokens.push_back(id == 0 ? "<s>" : fmt::format("[PAD{}]", id));
      out.kinds.push_back(id == 0 ? kControlToken : kUnusedToken);
    }
  }
  return out;
}

}  // namespace linnet
