#include "server/json_fields.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <utility>

#include "server/openai_errors.h"
#include "text/utf8.h"

namespace linnet {
namespace {

// Counts before anything is built, so that a hostile body costs one pass over it.
void CheckShape(std::string_view body, const JsonLimits& limits) {
  size_t depth = 0, values = 0;
  bool quoted = false;
  for (size_t i = 0; i < body.size(); ++i) {
    const char c = body[i];
    if (quoted) {
      if (c == '\\') {
        ++i;
      } else if (c == '"') {
        quoted = false;
      }
      continue;
    }
    if (c == '"') {
      quoted = true;
    } else if (c == '{' || c == '[') {
      ++values;
      if (++depth > limits.depth) {
        throw RequestError(400,
                           fmt::format("the body is nested deeper than {} levels", limits.depth),
                           "", "too_deep");
      }
    } else if (c == '}' || c == ']') {
      depth -= depth > 0 ? 1 : 0;
    } else if (c == ',' || c == ':') {
      ++values;
    }
  }
  if (values > limits.values) {
    throw RequestError(413, fmt::format("the body has more than {} values", limits.values), "",
                       "too_large");
  }
}

// nlohmann's message after its own prefix, on one line: "at byte 7: syntax error while parsing …".
std::string ReasonOf(const nlohmann::json::exception& error) {
  std::string what = error.what();
  const size_t prefix = what.find("] ");
  if (prefix != std::string::npos) what.erase(0, prefix + 2);
  constexpr size_t kLongest = 300;  // it quotes the body
  if (what.size() > kLongest) what = what.substr(0, kLongest) + "…";
  std::replace_if(
      what.begin(), what.end(), [](unsigned char c) { return c < ' '; }, ' ');
  return ValidUtf8(what);
}

// What a client wrote, short enough for a message.
std::string Quoted(const std::string& text) {
  constexpr size_t kLongest = 40;
  return ValidUtf8(text.size() > kLongest ? text.substr(0, kLongest) + "…" : text);
}

template <class T>
std::string DumpAny(const T& value) {
  return value.dump(-1, ' ', false, T::error_handler_t::replace);
}

}  // namespace

Json ParseBody(std::string_view body, const JsonLimits& limits) {
  if (body.size() > limits.bytes) {
    throw RequestError(413, fmt::format("the body has more than {} bytes", limits.bytes), "",
                       "too_large");
  }
  CheckShape(body, limits);
  Json parsed;
  try {
    parsed = Json::parse(body);
  } catch (const Json::exception& error) {
    throw RequestError(400, "the body is not JSON in UTF-8: " + ReasonOf(error), "",
                       "invalid_json");
  }
  if (!parsed.is_object()) {
    throw RequestError(400, fmt::format("the body is {}, expected an object", parsed.type_name()),
                       "", "invalid_json");
  }
  return parsed;
}

std::string Dump(const Json& value) { return DumpAny(value); }
std::string Dump(const OrderedJson& value) { return DumpAny(value); }

Fields::Fields(const Json& object, std::string where) : object_(object), where_(std::move(where)) {
  if (object.is_object()) return;
  throw RequestError(400,
                     fmt::format("{} is {}, expected an object", where_.empty() ? "body" : where_,
                                 object.type_name()),
                     where_, "invalid_type");
}

std::string Fields::NameOf(const char* name) const {
  return where_.empty() ? name : fmt::format("{}.{}", where_, name);
}

std::string Fields::NameOf(const char* name, size_t index) const {
  return fmt::format("{}[{}]", NameOf(name), index);
}

void Fields::Refuse(const char* name, const std::string& wanted) const {
  const Json* value = Find(name);
  std::string found = "missing";
  if (value != nullptr) {
    found = value->is_number() ? Dump(*value) : std::string("of type ") + value->type_name();
  }
  throw RequestError(400, fmt::format("{} is {}, expected {}", NameOf(name), found, wanted),
                     NameOf(name),
                     value == nullptr ? "missing_required_parameter" : "invalid_value");
}

const Json* Fields::Find(const char* name) const {
  const auto found = object_.find(name);
  return found == object_.end() || found->is_null() ? nullptr : &*found;
}

std::optional<std::string> Fields::String(const char* name) const {
  const Json* value = Find(name);
  if (value == nullptr) return std::nullopt;
  if (!value->is_string()) Refuse(name, "a string");
  return value->get<std::string>();
}

std::string Fields::RequiredString(const char* name) const {
  if (!Has(name)) Refuse(name, "a string");
  return *String(name);
}

std::optional<bool> Fields::Bool(const char* name) const {
  const Json* value = Find(name);
  if (value == nullptr) return std::nullopt;
  if (!value->is_boolean()) Refuse(name, "true or false");
  return value->get<bool>();
}

std::optional<double> Fields::Number(const char* name, double least, double most) const {
  const Json* value = Find(name);
  if (value == nullptr) return std::nullopt;
  const double number = value->is_number() ? value->get<double>() : NAN;
  if (!(number >= least && number <= most)) {
    Refuse(name, fmt::format("a number from {} to {}", least, most));
  }
  return number;
}

std::optional<int64_t> Fields::Integer(const char* name, int64_t least, int64_t most) const {
  const Json* value = Find(name);
  if (value == nullptr) return std::nullopt;
  const auto refuse = [&] { Refuse(name, fmt::format("an integer from {} to {}", least, most)); };
  if (value->is_number_unsigned()) {
    const uint64_t number = value->get<uint64_t>();
    if (number > static_cast<uint64_t>(INT64_MAX)) refuse();
  } else if (!value->is_number_integer()) {
    // Some clients write 1.0 for 1.
    const double number = value->is_number_float() ? value->get<double>() : NAN;
    if (!(std::abs(number) < 9e15 && number == std::floor(number))) refuse();
  }
  const auto number = value->get<int64_t>();
  if (number < least || number > most) refuse();
  return number;
}

std::optional<Fields> Fields::Object(const char* name) const {
  const Json* value = Find(name);
  if (value == nullptr) return std::nullopt;
  return Fields(*value, NameOf(name));
}

const Json* Fields::List(const char* name, size_t most) const {
  const Json* value = Find(name);
  if (value == nullptr) return nullptr;
  if (!value->is_array() || value->size() > most) {
    if (value->is_array()) {
      throw RequestError(
          400,
          fmt::format("{} has {} entries, expected at most {}", NameOf(name), value->size(), most),
          NameOf(name), "array_above_max_length");
    }
    Refuse(name, "a list");
  }
  return value;
}

std::vector<std::string> Fields::Strings(const char* name, size_t most) const {
  const Json* value = Find(name);
  if (value == nullptr) return {};
  if (value->is_string()) return {value->get<std::string>()};
  if (!value->is_array()) Refuse(name, "a string or a list of strings");
  List(name, most);
  std::vector<std::string> strings;
  strings.reserve(value->size());
  for (size_t i = 0; i < value->size(); ++i) {
    const Json& entry = (*value)[i];
    if (!entry.is_string()) {
      throw RequestError(
          400, fmt::format("{} is {}, expected a string", NameOf(name, i), entry.type_name()),
          NameOf(name, i), "invalid_type");
    }
    strings.push_back(entry.get<std::string>());
  }
  return strings;
}

std::optional<std::string> Fields::Word(const char* name,
                                        const std::vector<std::string>& words) const {
  std::optional<std::string> word = String(name);
  if (word && std::find(words.begin(), words.end(), *word) == words.end()) {
    throw RequestError(
        400,
        fmt::format("{} is '{}', expected {}", NameOf(name), Quoted(*word), fmt::join(words, ", ")),
        NameOf(name), "invalid_value");
  }
  return word;
}

}  // namespace linnet
