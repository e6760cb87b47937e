// ApiKeys: who may call the server, from files that hold hashes of keys.
#ifndef LINNET_HTTP_API_KEYS_H_
#define LINNET_HTTP_API_KEYS_H_

#include <cstddef>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/sha256.h"

namespace linnet {

struct ApiKey {
  std::string name;
  Digest hash;
  bool admin = false;
  // nullopt: no limit.
  std::optional<size_t> requests_per_minute, tokens_per_minute, concurrent;
};

// Immutable and thread-safe once read.
class ApiKeys {
 public:
  // Adds the keys of a file, at most 10 000 lines: `NAME sha256:HEX [requests_per_minute=N]
  // [tokens_per_minute=N] [concurrent=N]`; `#` begins a comment line. The first line may be
  // `linnet-keys 1`, the version of the format. Throws Error kIo if it cannot be read, kBadInput
  // for a bad line (a plain key is told the line to write instead), a name or key that was there
  // before, or a file that everybody may write.
  void Read(const std::filesystem::path& file, bool admin);
  // The same of a text; `name` is for messages.
  void Parse(std::string_view text, const std::string& name, bool admin);

  // Compares the hash with all keys, in a time that does not depend on which is equal, if any. The
  // key stays where it is until the next Read.
  const ApiKey* Find(std::string_view key) const;
  bool empty() const { return keys_.empty(); }
  size_t size() const { return keys_.size(); }

 private:
  std::vector<ApiKey> keys_;
};

// The line of a key file for a new key: `NAME sha256:HEX`.
std::string ApiKeyLine(std::string_view name, std::string_view key);

}  // namespace linnet

#endif  // LINNET_HTTP_API_KEYS_H_
