// The tokenizer of a model file: its own vocabulary if it holds one, else what fits its size.
#ifndef LINNET_ENGINE_OWN_VOCABULARY_H_
#define LINNET_ENGINE_OWN_VOCABULARY_H_

#include <cstddef>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "io/gguf.h"
#include "linnet/tokenizer.h"
#include "models/names.h"

namespace linnet {

// Of a model file that need not be opened for running. As TokenizerOf(Model) of tokenizer.h, whose
// errors it throws, and ConfigOf's.
std::shared_ptr<const Tokenizer> TokenizerOf(const Checkpoint& model,
                                             const std::filesystem::path& home = {});

// Throws Error kBadInput, which begins with `name`, if a tokenizer has ids that a model of `vocab`
// logits has not: they could be neither read nor written. Fewer are fine, as released models fill
// their logits up to a round number. Whatever pairs a tokenizer with a model comes through here.
void CheckFits(const Tokenizer& tokenizer, size_t vocab, const std::string& name);

// TokenizerNamed (tokenizer.h) for such a model.
std::shared_ptr<const Tokenizer> LoadTokenizer(const std::string& name, size_t vocab);

// A vocabulary as model files hold it (Checkpoint::stored_vocabulary), for a model of `vocab`
// logits; named as TokenizerNamed of tokenizer.h takes it. Empty for the World vocabulary of a GGUF
// file. Throws Error: what that throws; kBadInput if it has ids that the model has not.
std::vector<std::byte> StoredVocabulary(const std::string& name, size_t vocab);

// The vocabulary that a GGUF file holds, in the form of other model files; empty for other files,
// and where it is the World vocabulary, which needs none. Throws Error kBadInput if it is broken.
std::vector<std::byte> StoredVocabularyOf(const Checkpoint& model);

// What a GGUF file says of a tokenizer: `size` tokens, those without bytes as marks and padding.
GgufVocabulary GgufVocabularyOf(const Tokenizer& tokenizer, size_t size);

}  // namespace linnet

#endif  // LINNET_ENGINE_OWN_VOCABULARY_H_
