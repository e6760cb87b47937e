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
