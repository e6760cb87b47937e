// SchemaDocument: a JSON schema as read, and what its references mean.
#ifndef LINNET_GRAMMAR_SCHEMA_DOCUMENT_H_
#define LINNET_GRAMMAR_SCHEMA_DOCUMENT_H_

#include <compare>
#include <cstdint>
#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "grammar/dfa.h"

namespace linnet {

// A schema within a document. `base` is the part of the document that "#" means there.
struct SchemaRef {
  const nlohmann::ordered_json* schema;
  const nlohmann::ordered_json* base;
  // Keywords that were replaced by one of their alternatives, and whether those that say that other
  // schemas hold too were replaced by these.
  bool any_of_done = false, one_of_done = false, expanded = false;

  auto operator<=>(const SchemaRef&) const = default;  // NOLINT(modernize-use-nullptr): its 0
};

// Schemas that a value must satisfy all at once.
using SchemaList = std::vector<SchemaRef>;

// Not thread-safe. Functions throw Error kBadInput "name: #/path: …".
class SchemaDocument {
 public:
  using Json = nlohmann::ordered_json;

  SchemaDocument(std::string_view text, const std::string& name);

  SchemaRef root() const { return {&json_, &json_}; }
  // A schema that is part of another.
  SchemaRef Inside(const SchemaRef& outer, const Json& schema) const;
  // What its $ref means.
  SchemaRef Target(const SchemaRef& from) const;
  // In drafts up to 7 keywords beside $ref have no meaning.
  bool ref_stands_alone() const { return ref_stands_alone_; }

  // Whether the pattern of `at`, a patternProperties, matches the name of a property. Throws if
  // dialects of regular expressions may disagree.
  bool NameMatches(const Json& at, const std::string& pattern, const std::string& name) const;

  // Counts work, of which the document allows so much that no schema takes long to compile.
  void Spend(size_t work) const;

  [[noreturn]] void Fail(const Json& at, const std::string& what) const;
  [[noreturn]] void FailAt(const Json& at, std::string_view keyword, const std::string& what) const;

  // Two schemas of no document.
  static const Json& True();
  static const Json& False();

 private:
  void FindIds();
  std::string PathOf(const Json& at) const;

  Json json_;
  const std::string& name_;
  bool ref_stands_alone_ = false;
  mutable size_t work_ = 0;
  mutable std::map<std::string, Dfa> names_matching_;  // by pattern
  std::map<std::string, const Json*, std::less<>> ids_;
  std::map<std::pair<const Json*, std::string>, const Json*> anchors_;  // within a base
};

}  // namespace linnet

#endif  // LINNET_GRAMMAR_SCHEMA_DOCUMENT_H_
