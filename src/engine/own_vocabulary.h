// The tokenizer of a model file: the vocabulary stored in it, else the one that fits its size.
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

// For a model file that is not opened for running. The same as TokenizerOf(Model) of tokenizer.h.
// Throws what that and ConfigOf throw.
std::shared_ptr<const Tokenizer> TokenizerOf(const Checkpoint& model,
                                             const std::filesystem::path& home = {});

// Throws Error kBadInput, beginning with `name`, if a tokenizer has ids beyond the `vocab` logits
// of the model: the model can neither read nor predict them. Fewer ids are accepted, since released
// models pad their logits to a round number. Every pairing of a tokenizer with a model is checked
// here.
void CheckFits(const Tokenizer& tokenizer, size_t vocab, const std::string& name);

// TokenizerNamed (tokenizer.h) for such a model.
std::shared_ptr<const Tokenizer> LoadTokenizer(const std::string& name, size_t vocab);

// A vocabulary in the form that model files store (Checkpoint::stored_vocabulary), for a model of
// `vocab` logits; `name` as in TokenizerNamed of tokenizer.h. Empty for the World vocabulary of a
// GGUF file. Throws Error: what TokenizerNamed throws; kBadInput if the vocabulary has ids beyond
// the model's logits.
std::vector<std::byte> StoredVocabulary(const std::string& name, size_t vocab);

// The vocabulary stored in a GGUF file, converted to the form of other model files. Empty for other
// files, and for the World vocabulary, which is not stored. Throws Error kBadInput if it is
// damaged.
std::vector<std::byte> StoredVocabularyOf(const Checkpoint& model);

// The tokenizer keys of a GGUF file: `size` tokens; those without bytes are control tokens and
// padding.
GgufVocabulary GgufVocabularyOf(const Tokenizer& tokenizer, size_t size);

}  // namespace linnet

#endif  // LINNET_ENGINE_OWN_VOCABULARY_H_
