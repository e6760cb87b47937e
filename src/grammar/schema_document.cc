#include "grammar/schema_document.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <utility>

#include "grammar/grammar_text.h"
#include "grammar/regex.h"
#include "linnet/error.h"

namespace linnet {
namespace {

using Json = nlohmann::ordered_json;

constexpr int kDeepestSchema = 200;
// Objects keep their order, so finding a key takes time that is linear in their size.
constexpr size_t kLongestSchema = size_t{2} << 20, kMostKeys = 2000;
constexpr size_t kMostSchemaWork = 300'000;

Json Parsed(std::string_view text, const std::string& name) {
  const GrammarText place(text, name);
  if (text.size() > kLongestSchema) place.Fail("the schema is too long");
  std::vector<size_t> keys(kDeepestSchema + 2);
  try {
    return Json::parse(text, [&](int depth, Json::parse_event_t event, Json&) {
      if (depth > kDeepestSchema) throw Error(ErrorKind::kBadInput, name + ": nested too deeply");
      if (event == Json::parse_event_t::object_start) keys[static_cast<size_t>(depth) + 1] = 0;
      if (event == Json::parse_event_t::key && ++keys[static_cast<size_t>(depth)] > kMostKeys) {
        throw Error(ErrorKind::kBadInput,
                    fmt::format("{}: an object has more than {} keys", name, kMostKeys));
      }
      return true;
    });
  } catch (const Json::parse_error& error) {
    place.FailAt(std::min(error.byte == 0 ? 0 : error.byte - 1, text.size()), "not valid JSON");
  } catch (const Json::exception&) {
    throw Error(ErrorKind::kBadInput, name + ": a number is out of range");
  }
}

const std::string* IdOf(const Json& schema) {
  if (!schema.is_object()) return nullptr;
  for (const char* const key : {"$id", "id"}) {
    const auto at = schema.find(key);
    if (at != schema.end() && at->is_string()) return at->get_ptr<const std::string*>();
  }
  return nullptr;
}

bool IsBase(const Json& schema) {
  const std::string* const id = IdOf(schema);
  return id != nullptr && !id->empty() && id->front() != '#';
}

std::string_view WithoutFragment(std::string_view uri) { return uri.substr(0, uri.find('#')); }

// A reference relative to the document that a URI names: its last segment is replaced.
std::string Joined(std::string_view base, std::string_view reference) {
  if (reference.find(':') != reference.npos) return std::string(reference);
  base = WithoutFragment(base);
  if (reference.starts_with('/')) {
    const size_t host = base.find("://");
    const size_t path = base.find('/', host == base.npos ? 0 : host + 3);
    return std::string(base.substr(0, path)) + std::string(reference);
  }
  const size_t slash = base.rfind('/');
  return std::string(slash == base.npos ? "" : base.substr(0, slash + 1)) + std::string(reference);
}

std::string Unescaped(std::string_view segment) {
  std::string out;
  for (size_t i = 0; i < segment.size(); ++i) {
    const auto hex = [&](size_t at) {
      return at < segment.size() && std::isxdigit(static_cast<uint8_t>(segment[at])) != 0;
    };
    if (segment[i] == '%' && hex(i + 1) && hex(i + 2)) {
      out += static_cast<char>(std::stoi(std::string(segment.substr(i + 1, 2)), nullptr, 16));
      i += 2;
    } else if (segment[i] == '~' && i + 1 < segment.size() &&
               (segment[i + 1] == '0' || segment[i + 1] == '1')) {
      out += segment[++i] == '0' ? '~' : '/';
    } else {
      out += segment[i];
    }
  }
  return out;
}

}  // namespace

const Json& SchemaDocument::True() {
  static const Json schema = true;
  return schema;
}

const Json& SchemaDocument::False() {
  static const Json schema = false;
  return schema;
}

SchemaDocument::SchemaDocument(std::string_view text, const std::string& name)
    : json_(Parsed(text, name)), name_(name) {
  if (!json_.is_object() && !json_.is_boolean()) {
    throw Error(ErrorKind::kBadInput, name + ": found " + json_.type_name() +
                                          ", expected a schema: an object, true or false");
  }
  if (json_.is_object() && json_.contains("$schema") && json_["$schema"].is_string()) {
    const auto& draft = json_["$schema"].get_ref<const std::string&>();
    for (const char* const old : {"draft-03", "draft-04", "draft-05", "draft-06", "draft-07"}) {
      ref_stands_alone_ |= draft.find(old) != draft.npos;
    }
  }
  FindIds();
}

void SchemaDocument::FindIds() {
  std::vector<SchemaRef> open = {root()};
  while (!open.empty()) {
    const auto [schema, base, any, one, expanded] = open.back();
    open.pop_back();
    if (schema->is_object()) {
      if (const std::string* const id = IdOf(*schema)) {
        if (IsBase(*schema)) {
          const std::string* const outer = IdOf(*base);
          ids_.emplace(WithoutFragment(*id), schema);
          if (outer != nullptr) {
            ids_.emplace(WithoutFragment(Joined(*outer, *id)), schema);
          }
        } else if (id->starts_with('#')) {
          anchors_.emplace(std::pair(base, id->substr(1)), schema);
        }
      }
      const auto anchor = schema->find("$anchor");
      if (anchor != schema->end() && anchor->is_string()) {
        anchors_.emplace(std::pair(base, anchor->get<std::string>()), schema);
      }
    }
    if (!schema->is_structured()) continue;
    for (const Json& part : *schema) {
      if (part.is_structured()) open.push_back(Inside({schema, base}, part));
    }
  }
}

SchemaRef SchemaDocument::Inside(const SchemaRef& outer, const Json& schema) const {
  return {&schema, IsBase(schema) ? &schema : outer.base};
}

SchemaRef SchemaDocument::Target(const SchemaRef& from) const {
  const Json& value = (*from.schema)["$ref"];
  if (!value.is_string()) FailAt(*from.schema, "$ref", "expected a string");
  const auto& reference = value.get_ref<const std::string&>();
  const auto refuse = [&](const char* why) {
    FailAt(*from.schema, "$ref", fmt::format("'{}' {}", reference.substr(0, 200), why));
  };
  const std::string_view uri = WithoutFragment(reference);
  const Json* base = from.base;
  if (!uri.empty()) {
    const std::string* const id = IdOf(*from.base);
    auto at = ids_.find(id == nullptr ? std::string(uri) : Joined(*id, uri));
    if (at == ids_.end()) at = ids_.find(uri);
    if (at == ids_.end()) refuse("is not in this schema, and no others are loaded");
    base = at->second;
  }
  std::string_view fragment = std::string_view(reference).substr(uri.size());
  if (fragment.starts_with('#')) fragment.remove_prefix(1);
  SchemaRef target = {base, base};
  if (fragment.empty()) return target;
  if (!fragment.starts_with('/')) {
    const auto at = anchors_.find(std::pair(base, std::string(fragment)));
    if (at == anchors_.end()) refuse("is no anchor in this schema");
    return {at->second, base};
  }
  while (!fragment.empty()) {
    fragment.remove_prefix(1);
    const std::string key = Unescaped(fragment.substr(0, fragment.find('/')));
    fragment.remove_prefix(std::min(fragment.find('/'), fragment.size()));
    const Json* next = nullptr;
    if (target.schema->is_object()) {
      const auto at = target.schema->find(key);
      if (at != target.schema->end()) next = &*at;
    } else if (target.schema->is_array() && !key.empty() && key.size() < 8 &&
               std::all_of(key.begin(), key.end(), [](char c) { return c >= '0' && c <= '9'; })) {
      const size_t index = std::stoul(key);
      if (index < target.schema->size()) next = &(*target.schema)[index];
    }
    if (next == nullptr) refuse("leads to nothing in this schema");
    target = Inside(target, *next);
  }
  return target;
}

bool SchemaDocument::NameMatches(const Json& at, const std::string& pattern,
                                 const std::string& name) const {
  for (const char c : name) {
    if (c < 0x20 || c == 0x7F) Fail(at, "names of properties beside it must be ASCII");
  }
  auto found = names_matching_.find(pattern);
  if (found == names_matching_.end()) {
    Spend(100);
    try {
      found = names_matching_
                  .emplace(pattern, Dfa::Of([&](Rules& rules) {
                             return AddRegex(pattern, "pattern", RegexPlace::kAnywhere,
                                             Spelling::kPlain, rules);
                           }))
                  .first;
    } catch (const Error& error) {
      Fail(at, error.what());
    }
  }
  return found->second.Contains(name);
}

void SchemaDocument::Spend(size_t work) const {
  work_ += work;
  if (work_ > kMostSchemaWork) {
    throw Error(ErrorKind::kBadInput, name_ + ": too large: its parts combine in too many ways");
  }
}

void SchemaDocument::Fail(const Json& at, const std::string& what) const {
  throw Error(ErrorKind::kBadInput, fmt::format("{}: {}: {}", name_, PathOf(at), what));
}

void SchemaDocument::FailAt(const Json& at, std::string_view keyword,
                            const std::string& what) const {
  throw Error(ErrorKind::kBadInput, fmt::format("{}: {}/{}: {}", name_, PathOf(at), keyword, what));
}

std::string SchemaDocument::PathOf(const Json& at) const {
  struct Part {
    const Json* json;
    std::string path;
  };
  std::vector<Part> open;
  open.push_back({&json_, "#"});
  while (!open.empty()) {
    const Part part = std::move(open.back());
    open.pop_back();
    if (part.json == &at) return part.path;
    if (!part.json->is_structured()) continue;
    size_t index = 0;
    for (auto i = part.json->begin(); i != part.json->end(); ++i, ++index) {
      const std::string key = part.json->is_object() ? i.key() : std::to_string(index);
      open.push_back({&*i, part.path.size() > 300 ? part.path : part.path + "/" + key});
    }
  }
  return "#";
}

}  // namespace linnet
