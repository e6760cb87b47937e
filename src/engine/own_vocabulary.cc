#include "engine/own_vocabulary.h"

#include <fmt/format.h>

#include "base/mapped_file.h"
#include "text/escaped_tokens.h"

namespace linnet {

std::shared_ptr<const Tokenizer> TokenizerOf(const std::filesystem::path& model, size_t vocab,
                                             const std::filesystem::path& home) {
  if (IsGguf(model)) {
    const MappedFile map(model);
    const auto own = ReadGgufVocabulary({map.bytes(), model.string()});
    if (own.model == "rwkv" && own.tokens.size() == vocab) {
      return EscapedTokenizer(own.tokens, own.kinds, model.string());
    }
  }
  return Tokenizer::ForVocabulary(vocab, model, home);
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
