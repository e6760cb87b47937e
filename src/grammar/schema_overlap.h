// Whether alternatives of a JSON schema exclude one another, as oneOf wants.
#ifndef LINNET_GRAMMAR_SCHEMA_OVERLAP_H_
#define LINNET_GRAMMAR_SCHEMA_OVERLAP_H_

#include <cstddef>
#include <set>
#include <string>

#include "grammar/schema_document.h"
#include "grammar/schema_facts.h"

namespace linnet {

// The types of values that are generated. Where no type is given, the keywords tell which is meant.
uint8_t GeneratedTypes(const SchemaFacts& facts);

// Whether objects get properties beside those that are listed.
bool GeneratesOthers(const SchemaFacts& facts);

// The first schema of the list with anyOf or oneOf that is not replaced yet.
struct SchemaChoice {
  size_t at;  // in the list
  const char* keyword;
};
bool FindChoice(const SchemaList& schemas, SchemaChoice& choice);
// The list with one of the alternatives in its place.
SchemaList Chosen(const SchemaList& schemas, const SchemaChoice& choice, size_t alternative,
                  const SchemaDocument& document);

// Properties that objects must always, or never, get so that they differ from others.
struct Separation {
  std::set<std::string> required, forbidden;
};

// Whether no value that is generated for `a` satisfies `b`; false if that is not known. What must
// then be generated is added to the separation.
bool Excludes(const SchemaList& a, const SchemaList& b, const SchemaDocument& document,
              Separation& separation);

}  // namespace linnet

#endif  // LINNET_GRAMMAR_SCHEMA_OVERLAP_H_
