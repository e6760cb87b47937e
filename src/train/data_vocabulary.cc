#include "train/data_vocabulary.h"

#include <fmt/format.h>

#include <fstream>
#include <nlohmann/json.hpp>
#include <string_view>

#include "base/fnv.h"
#include "linnet/error.h"

namespace linnet {
namespace {

constexpr uint64_t kVersion = 1;

void AddNumber(uint64_t number, Fnv& hash) {
  char bytes[sizeof(number)];  // little-endian on every machine
  for (size_t i = 0; i < sizeof(number); ++i) bytes[i] = static_cast<char>(number >> (8 * i));
  hash.Add(bytes, sizeof(bytes));
}

}  // namespace

VocabularyId IdOf(const Tokenizer& tokenizer) {
  Fnv hash;
  size_t tokens = 0;
  // Ids without bytes, such as the end of text and padding, differ between file formats of the
  // same vocabulary.
  for (size_t id = 0; id < tokenizer.size(); ++id) {
    const std::string_view bytes = tokenizer.Bytes(static_cast<int32_t>(id));
    if (bytes.empty()) continue;
    AddNumber(id, hash);
    AddNumber(bytes.size(), hash);
    hash.Add(bytes);
    tokens = id + 1;
  }
  return {fmt::format("{:016x}", hash.value()), tokens};
}

std::string FormatVocabularyId(const VocabularyId& id) {
  return nlohmann::ordered_json{{"version", kVersion}, {"hash", id.hash}, {"tokens", id.tokens}}
             .dump() +
         "\n";
}

std::optional<VocabularyId> ReadVocabularyId(const std::filesystem::path& file) {
  std::error_code error;
  if (!std::filesystem::exists(file, error)) return std::nullopt;
  std::ifstream in(file, std::ios::binary);
  const auto json = nlohmann::json::parse(in, nullptr, /*allow_exceptions=*/false);
  const auto has = [&](const char* key, auto test) {
    return json.is_object() && json.contains(key) && test(json[key]);
  };
  const auto is_count = [](const auto& value) { return value.is_number_unsigned(); };
  if (has("version", is_count) && json["version"].template get<uint64_t>() > kVersion) {
    throw Error(ErrorKind::kBadInput,
                fmt::format("{}: has version {}, expected {}; it is of a newer Linnet",
                            file.string(), json["version"].dump(), kVersion));
  }
  if (!has("version", is_count) || !has("tokens", is_count) ||
      !has("hash", [](const auto& value) { return value.is_string(); })) {
    throw Error(ErrorKind::kBadInput,
                fmt::format("{}: is damaged, expected {{\"version\":{},\"hash\":\"…\","
                            "\"tokens\":N}}; build the data again",
                            file.string(), kVersion));
  }
  return VocabularyId{json["hash"].template get<std::string>(),
                      json["tokens"].template get<size_t>()};
}

}  // namespace linnet
