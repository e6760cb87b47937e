// What a file is and contains: the facts that inspect shows.
#ifndef LINNET_CLI_FILE_FACTS_H_
#define LINNET_CLI_FILE_FACTS_H_

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string>

#include "models/detect.h"
#include "models/names.h"

namespace linnet::cli {

// Facts that a kind of file does not have stay empty, and are null in JSON.
struct Facts {
  FileKind kind = FileKind::kUnknown;
  std::optional<std::string> generation;
  std::optional<std::string> purpose;  // unless it is text
  std::optional<size_t> layers, width, heads, head_size, ffn, vocab, experts;
  std::map<std::string, size_t> ranks;
  size_t vocabulary = 0;         // bytes of the vocabulary in the file; 0: none
  std::optional<size_t> tokens;  // of which a state keeps rows
  uint64_t parameters = 0;
  std::map<std::string, uint64_t> dtypes;  // number of parameters of each
  std::string identity;                    // if asked for
};

// `file` is its name in messages. Throws Error kBadModel for anything but a model, an adapter or a
// state, saying what it is.
Facts FactsOf(const Checkpoint& checkpoint, const std::string& file);

// All facts and tensors as one JSON object, without a line break.
std::string ToJson(const Checkpoint& checkpoint, const Facts& facts);

}  // namespace linnet::cli

#endif  // LINNET_CLI_FILE_FACTS_H_
