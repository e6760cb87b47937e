// The World vocabulary inside the binary, if this build has it.
#ifndef LINNET_TEXT_BUILTIN_VOCABULARY_H_
#define LINNET_TEXT_BUILTIN_VOCABULARY_H_

#include <string>

namespace linnet {

// The text of rwkv_vocab_v20230424.txt; empty if this build was made without it.
std::string BuiltinVocabulary();

}  // namespace linnet

#endif  // LINNET_TEXT_BUILTIN_VOCABULARY_H_
