// The tokenizer of a model file: its own vocabulary if it holds one, else what fits its size.
#ifndef LINNET_ENGINE_OWN_VOCABULARY_H_
#define LINNET_ENGINE_OWN_VOCABULARY_H_

#include <cstddef>
#include <filesystem>
#include <memory>

#include "io/gguf.h"
#include "linnet/tokenizer.h"

namespace linnet {

// GGUF files hold one. `home` as in Tokenizer::ForVocabulary, whose errors it throws.
std::shared_ptr<const Tokenizer> TokenizerOf(const std::filesystem::path& model, size_t vocab,
                                             const std::filesystem::path& home = {});

// What a GGUF file says of a tokenizer: `size` tokens, those without bytes as marks and padding.
GgufVocabulary GgufVocabularyOf(const Tokenizer& tokenizer, size_t size);

}  // namespace linnet

#endif  // LINNET_ENGINE_OWN_VOCABULARY_H_
