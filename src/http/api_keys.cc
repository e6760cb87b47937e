#include "http/api_keys.h"

#include <openssl/crypto.h>
#include <sys/stat.h>

#include <algorithm>
#include <charconv>
#include <fstream>
#include <iterator>

#include "linnet/error.h"

namespace linnet {
namespace {

constexpr size_t kMaxFileBytes = 4 << 20;
constexpr size_t kMaxKeys = 10'000;
constexpr std::string_view kVersionWord = "linnet-keys";
constexpr std::string_view kHashPrefix = "sha256:";

std::vector<std::string_view> Words(std::string_view line) {
  std::vector<std::string_view> words;
  for (size_t at = 0; at < line.size();) {
    const size_t begin = line.find_first_not_of(" \t\r", at);
    if (begin == std::string_view::npos) break;
    const size_t end = std::min(line.find_first_of(" \t\r", begin), line.size());
    words.push_back(line.substr(begin, end - begin));
    at = end;
  }
  return words;
}

bool IsKeyName(std::string_view name) {
  return !name.empty() && name.size() <= 64 && std::all_of(name.begin(), name.end(), [](char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '-' ||
           c == '_' || c == '.' || c == '@';
  });
}

}  // namespace

std::string ApiKeyLine(std::string_view name, std::string_view key) {
  return std::string(name) + " " + std::string(kHashPrefix) + Hex(Sha256Of(key));
}

void ApiKeys::Read(const std::filesystem::path& file, bool admin) {
  std::ifstream in(file, std::ios::binary);
  struct stat status;
  if (!in || stat(file.c_str(), &status) != 0) {
    throw Error(ErrorKind::kIo, file.string() + ": the key file cannot be read");
  }
  if (!S_ISREG(status.st_mode) && !S_ISFIFO(status.st_mode)) {
    throw Error(ErrorKind::kIo, file.string() + ": is no file of keys");
  }
  if ((status.st_mode & S_IWOTH) != 0) {
    throw Error(ErrorKind::kBadInput,
                file.string() + ": everybody may write this key file; run chmod o-w on it");
  }
  std::string text(kMaxFileBytes + 1, '\0');
  in.read(text.data(), static_cast<std::streamsize>(text.size()));
  text.resize(static_cast<size_t>(in.gcount()));
  if (in.bad()) throw Error(ErrorKind::kIo, file.string() + ": the key file cannot be read");
  if (text.size() > kMaxFileBytes) {
    throw Error(ErrorKind::kBadInput, file.string() + ": a key file has at most 4 MB");
  }
  Parse(text, file.string(), admin);
}

void ApiKeys::Parse(std::string_view text, const std::string& name, bool admin) {
  size_t number = 0;
  const size_t before = keys_.size();
  while (!text.empty()) {
    ++number;
    const size_t end = std::min(text.find('\n'), text.size());
    const std::vector<std::string_view> words = Words(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
    const auto bad = [&](const std::string& what) {
      return Error(ErrorKind::kBadInput, name + ":" + std::to_string(number) + ": " + what);
    };
    if (words.empty() || words[0].front() == '#') continue;
    if (words[0] == kVersionWord && number == 1) {
      if (words.size() != 2 || words[1] != "1") {
        throw bad("the format is not \"linnet-keys 1\", the one this version reads");
      }
      continue;
    }
    if (keys_.size() - before >= kMaxKeys) throw bad("more than 10000 keys");
    if (words.size() == 1 || !words[1].starts_with(kHashPrefix)) {
      // The key itself is not repeated: messages end in logs.
      const bool named = words.size() > 1 && IsKeyName(words[0]);
      throw bad("the key stands here as it is, which would betray it with the file; write \"" +
                ApiKeyLine(named ? words[0] : "NAME", words[named ? 1 : 0]) + "\" instead");
    }
    ApiKey key;
    key.name = words[0];
    key.admin = admin;
    if (!IsKeyName(key.name)) {
      throw bad("a key's name has 1 to 64 letters, digits and -_.@");
    }
    const auto hash = ParseDigest(words[1].substr(kHashPrefix.size()));
    if (!hash) throw bad("sha256: is not followed by 64 hex digits");
    key.hash = *hash;
    for (size_t i = 2; i < words.size(); ++i) {
      const size_t equal = words[i].find('=');
      const std::string_view what = words[i].substr(0, equal);
      std::optional<size_t>* const limit = what == "requests_per_minute" ? &key.requests_per_minute
                                           : what == "tokens_per_minute" ? &key.tokens_per_minute
                                           : what == "concurrent"        ? &key.concurrent
                                                                         : nullptr;
      if (limit == nullptr) {
        throw bad("\"" + std::string(what.substr(0, 40)) +
                  "\" is none of requests_per_minute, tokens_per_minute, concurrent");
      }
      const std::string_view value =
          equal == std::string_view::npos ? std::string_view() : words[i].substr(equal + 1);
      size_t amount = 0;
      const auto [rest, error] = std::from_chars(value.data(), value.data() + value.size(), amount);
      if (error != std::errc() || rest != value.data() + value.size() || amount == 0 ||
          amount > 1'000'000'000'000 || limit->has_value()) {
        throw bad(std::string(what) + " wants one number from 1 to 10^12");
      }
      *limit = amount;
    }
    for (const ApiKey& other : keys_) {
      if (other.name == key.name) throw bad("the name " + key.name + " was given before");
      if (other.hash == key.hash) throw bad("this key was given before, as " + other.name);
    }
    keys_.push_back(std::move(key));
  }
  if (keys_.size() == before) {
    throw Error(ErrorKind::kBadInput, name + ": holds no key, so nobody could use the server");
  }
}

const ApiKey* ApiKeys::Find(std::string_view key) const {
  const Digest hash = Sha256Of(key);
  const ApiKey* found = nullptr;
  for (const ApiKey& candidate : keys_) {
    if (CRYPTO_memcmp(hash.data(), candidate.hash.data(), hash.size()) == 0) found = &candidate;
  }
  return found;
}

}  // namespace linnet
