// JSON bodies of requests: parsed within limits, and read field by field with errors that name the
// field.
#ifndef LINNET_SERVER_JSON_FIELDS_H_
#define LINNET_SERVER_JSON_FIELDS_H_

#include <cstddef>
#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace linnet {

using Json = nlohmann::json;
// Keeps the order in which the fields of an answer are written.
using OrderedJson = nlohmann::ordered_json;

struct JsonLimits {
  size_t bytes = size_t{512} << 20;  // the transport's limit comes first
  size_t depth = 64;
  size_t values = 4'000'000;  // numbers, strings, lists and so on, which take more memory than text
};

// A JSON object in strict UTF-8. Throws RequestError: 413 if it is too long, else 400.
Json ParseBody(std::string_view body, const JsonLimits& limits = {});

// Text of a value: one line, invalid UTF-8 replaced.
std::string Dump(const Json& value);
std::string Dump(const OrderedJson& value);

// Reads an object. A field that is absent and one that is null are the same. A field of the wrong
// type or out of its range throws RequestError 400 naming `where` and the field. Keeps a reference
// to the object.
class Fields {
 public:
  explicit Fields(const Json& object, std::string where = "");  // throws if it is not an object

  const Json* Find(const char* name) const;  // null if absent
  bool Has(const char* name) const { return Find(name) != nullptr; }

  std::optional<std::string> String(const char* name) const;
  std::string RequiredString(const char* name) const;
  std::optional<bool> Bool(const char* name) const;
  bool Bool(const char* name, bool otherwise) const { return Bool(name).value_or(otherwise); }
  std::optional<double> Number(const char* name, double least, double most) const;
  std::optional<int64_t> Integer(const char* name, int64_t least, int64_t most) const;
  std::optional<Fields> Object(const char* name) const;
  // A list; null if absent.
  const Json* List(const char* name, size_t most) const;
  // A string, or a list of at most `most` strings; empty if absent.
  std::vector<std::string> Strings(const char* name, size_t most) const;
  // One of these words.
  std::optional<std::string> Word(const char* name, const std::vector<std::string>& words) const;

  // `messages[1].role`: the name of a field as errors give it.
  std::string NameOf(const char* name) const;
  std::string NameOf(const char* name, size_t index) const;

  const Json& json() const { return object_; }

 private:
  [[noreturn]] void Refuse(const char* name, const std::string& wanted) const;

  const Json& object_;
  std::string where_;
};

}  // namespace linnet

#endif  // LINNET_SERVER_JSON_FIELDS_H_
