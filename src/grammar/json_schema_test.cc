#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <string>

#include "grammar/grammar.h"
#include "grammar/schema_check.h"
#include "grammar/schema_document.h"
#include "grammar/test_constraints.h"
#include "linnet/error.h"

namespace linnet {
namespace {

using Json = nlohmann::ordered_json;

std::string SchemaError(const std::string& schema) {
  try {
    Grammar::FromJsonSchema(schema, "s.json");
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kBadInput);
    return error.what();
  }
  return "";
}

struct SchemaCase {
  const char* schema;
  std::vector<std::string> matched, others;
};

const std::vector<SchemaCase>& Cases() {
  static const std::vector<SchemaCase> cases = {
      {R"(true)",
       {"{}", "[1,true,null,\"x\"]", "-1.5e3", "{\"a\": {\"a\": []}}"},
       {"", "{", "01", "[1,]"}},
      {R"({"type":"object"})", {"{}", "{\"a\":1}"}, {"[]"}},
      {R"({"type":["string","null"]})",
       {"null", "\"\\u00e9\\\"\""},
       {"1", "\"\n\"", "\"\\ud800\""}},
      {R"({"type":"string","nullable":true})", {"null", "\"x\""}, {"1"}},
      {R"({"type":"boolean"})", {"true", "false"}, {"null"}},
      {R"({"enum":["a",1,null,{"k":[true]}]})",
       {"\"a\"", "1", "null", "{\"k\":[true]}", "{ \"k\": [true]}"},
       {"\"b\"", "{}"}},
      {R"({"type":"integer","enum":["a",1,2.5,-3]})", {"1", "-3"}, {"\"a\"", "2.5"}},
      {R"({"const":"x\ny\"é"})", {R"("x\ny\"é")"}, {"\"x\""}},
      {R"({"type":"string","minLength":2,"maxLength":3})",
       {"\"ab\"", "\"é\\nx\""},
       {"\"a\"", "\"abcd\""}},
      {R"({"type":"string","pattern":"^[a-z]+$","maxLength":3})",
       {"\"abc\""},
       {"\"abcd\"", "\"A\"", "\"\""}},
      {R"({"type":"string","pattern":"a","format":"date"})", {}, {"\"2024-02-29\""}},
      {R"({"type":"string","format":"date"})",
       {"\"2024-02-29\"", "\"1900-02-28\""},
       {"\"2023-02-29\"", "\"1900-02-29\"", "\"2024-13-01\"", "\"0000-01-01\""}},
      {R"({"type":"string","format":"date-time"})",
       {"\"2024-12-31T23:59:59.5Z\"", "\"2024-12-31T00:00:00+01:30\""},
       {"\"2024-12-31\"", "\"2024-12-31T24:00:00Z\""}},
      {R"({"type":"string","format":"uuid"})",
       {"\"01234567-89ab-cdef-0123-456789abcdef\""},
       {"\"x\""}},
      {R"({"type":"string","format":"email"})", {"\"a.b@c.de\""}, {"\"a\"", "\"@c.de\""}},
      {R"({"type":"string","format":"ipv4"})", {"\"255.1.0.9\""}, {"\"256.1.0.9\"", "\"1.2.3\""}},
      {R"({"type":"string","format":"made-up"})", {"\"x\""}, {"1"}},
      {R"({"type":"array"})", {"[]", "[1, [2]]"}, {"{}"}},
      {R"({"items":{"type":"integer"},"minItems":1,"maxItems":3})",
       {"[1]", "[1,2, 3]"},
       {"[]", "[1,2,3,4]", "[\"a\"]"}},
      {R"({"type":"array","prefixItems":[{"type":"integer"},{"type":"string"}],"items":false})",
       {"[1,\"a\"]"},
       {"[1]", "[1,\"a\",2]"}},
      {R"({"type":"array","items":[{"type":"integer"}],"additionalItems":{"type":"null"}})",
       {"[1]", "[1,null]"},
       {"[]", "[1,1]"}},
      {R"({"type":"array","prefixItems":[{"type":"integer"}],"minItems":3})",
       {"[1,2,{}]"},
       {"[1,2]"}},
      {R"({"type":"array","items":{"enum":[1,2,"x",1.0]},"uniqueItems":true,"minItems":2})",
       {"[1,2]", "[1,2,\"x\"]", "[2,\"x\"]"},
       {"[1]", "[1,1]", "[1,2,\"x\",1]"}},
      {R"({"properties":{"a":{"type":"integer"},"b":{"type":"string"}},"required":["b"]})",
       {"{\"b\":\"\"}", "{\"a\":1,\"b\":\"x\"}", "{\n    \"a\": 1,\n    \"b\": \"x\"\n}"},
       {"{}", "{\"a\":1}", "{\"b\":\"\",\"c\":1}", "1"}},
      {R"({"type":"object","properties":{"a":{}},"required":["a","z"]})",
       {"{\"a\":1,\"z\":[]}"},
       {"{\"a\":1}"}},
      {R"({"type":"object","properties":{"ab":{"type":"null"},"a\"":{"type":"null"}},"additionalProperties":{"type":"integer"}})",
       {"{}", "{\"a\":1}", "{\"ab\":null,\"abc\":1, \"é\":2}", "{\"\":1}", "{\"a\\\"\":null}"},
       {"{\"ab\":1}", "{\"\\u0061b\":1}", "{\"a\\\"\":1}", "{\"x\":null}"}},
      {R"({"type":"object","additionalProperties":false})", {"{}"}, {"{\"a\":1}"}},
      {R"({"type":"object","properties":{"a":{},"b":{},"c":{}},"minProperties":2})",
       {"{\"a\":1,\"c\":1}", "{\"a\":1,\"b\":1,\"c\":1}"},
       {"{}", "{\"b\":1}"}},
      {R"({"type":"object","properties":{"a":{},"b":{},"c":{}},"maxProperties":1})",
       {"{}", "{\"b\":1}"},
       {"{\"a\":1,\"c\":1}"}},
      {R"({"type":"object","additionalProperties":{"type":"integer"},"minProperties":1,"maxProperties":2})",
       {"{\"a\":1}", "{\"a\":1,\"b\":2}"},
       {"{}", "{\"a\":1,\"b\":2,\"c\":3}"}},
      {R"({"type":"object","properties":{"x-1":{"type":"string"}},"patternProperties":{"^x-":{"maxLength":1,"type":["string","null"]},"^y":{"type":"integer"}},"additionalProperties":false})",
       {"{\"x-1\":\"a\"}", "{\"x-2\":null, \"y\":1}"},
       {"{\"x-1\":null}", "{\"x-1\":\"ab\"}", "{\"z\":1}"}},
      {R"({"anyOf":[{"type":"integer"},{"type":"string","maxLength":1}]})",
       {"1", "\"a\""},
       {"\"ab\"", "null"}},
      {R"({"type":"object","properties":{"a":{"type":"integer"},"b":{"type":"integer"}},"anyOf":[{"required":["a"]},{"required":["b"]}]})",
       {"{\"a\":1}", "{\"b\":1}", "{\"a\":1,\"b\":1}"},
       {"{}"}},
      {R"({"type":"object","properties":{"a":{"type":"integer"},"b":{"type":"integer"}},"oneOf":[{"required":["a"]},{"required":["b"]}]})",
       {"{\"a\":1}", "{\"b\":1}"},
       {"{}", "{\"a\":1,\"b\":1}"}},
      {R"({"oneOf":[{"properties":{"k":{"const":"x"},"v":{"type":"integer"}}},{"properties":{"k":{"const":"y"}}}]})",
       {"{\"k\":\"x\",\"v\":1}", "{\"k\":\"y\"}"},
       {"{}", "{\"v\":1}"}},
      {R"({"oneOf":[{"type":"integer","maximum":3},{"type":"integer","minimum":4},{"type":"array","maxItems":1,"items":{"type":"null"}},{"type":"array","minItems":2,"items":{"type":"null"}}]})",
       {"1", "9", "[]", "[null, null]"},
       {"1.5"}},
      {R"({"allOf":[{"type":"object","properties":{"a":{"type":"number"}}},{"properties":{"a":{"minimum":2,"maximum":9},"b":{"type":"null"}},"required":["a"]}]})",
       {"{\"a\":2.5}", "{\"a\":3,\"b\":null}"},
       {"{\"a\":1}", "{\"b\":null}"}},
      {R"({"allOf":[{"properties":{"a":{"type":"null"}},"additionalProperties":false},{"properties":{"a":{},"b":{}}}]})",
       {"{}", "{\"a\":null}"},
       {"{\"b\":1}"}},
      {R"({"$defs":{"n":{"type":"object","properties":{"next":{"$ref":"#/$defs/n"},"v":{"type":"integer"}},"required":["v"]}},"$ref":"#/$defs/n"})",
       {"{\"v\":1}", "{\"next\":{\"v\":2},\"v\":1}"},
       {"{\"next\":{},\"v\":1}"}},
      {R"({"definitions":{"a/b~":{"type":"null"}},"items":{"$ref":"#/definitions/a~1b~0"},"type":"array"})",
       {"[null]"},
       {"[1]"}},
      {R"({"$id":"https://x.y/s","$defs":{"a":{"$anchor":"here","type":"null"}},"type":"array","items":{"$ref":"https://x.y/s#here"}})",
       {"[null]"},
       {"[1]"}},
      {R"({"$schema":"http://json-schema.org/draft-07/schema#","definitions":{"a":{"type":"null"}},"$ref":"#/definitions/a","type":"string"})",
       {"null"},
       {"\"a\""}},
      {R"({"$defs":{"a":{"type":["null","string"]}},"$ref":"#/$defs/a","type":"string"})",
       {"\"a\""},
       {"null"}},
      {R"({"type":"number","minimum":3,"exclusiveMinimum":true})", {"3.5"}, {"3", "3.0"}},
      {R"({"type":"object","properties":{"a":{},"b":{}},"not":{"required":["a"]}})",
       {"{}", "{\"b\":1}"},
       {"{\"a\":1}"}},
      {R"({"type":"integer","multipleOf":1,"title":"x","$comment":"y","examples":[1]})",
       {"7"},
       {"1.5"}},
      {R"({"type":"string","uniqueItems":true,"contains":{}})", {"\"a\""}, {"[]"}},
  };
  return cases;
}

TEST(JsonSchemaTest, EachKeywordMatchesWhatItSays) {
  for (const SchemaCase& test : Cases()) {
    if (test.matched.empty()) {
      EXPECT_EQ(SchemaError(test.schema), "s.json: no text matches");
      continue;
    }
    const auto grammar = Grammar::FromJsonSchema(test.schema, "s");
    for (const std::string& text : test.matched)
      EXPECT_TRUE(Matches(grammar, text)) << test.schema << '\n' << text;
    for (const std::string& text : test.others)
      EXPECT_FALSE(Matches(grammar, text)) << test.schema << '\n' << text;
  }
}

// The guarantee: what ends by itself parses and validates.
TEST(JsonSchemaTest, RandomTextsParseAndValidate) {
  std::mt19937 random(7);
  for (const SchemaCase& test : Cases()) {
    if (test.matched.empty()) continue;
    const auto grammar = Grammar::FromJsonSchema(test.schema, "s");
    const std::string name = "s";
    const SchemaDocument document(test.schema, name);
    const bool nullable = std::string_view(test.schema).find("nullable") != std::string_view::npos;
    for (int i = 0; i < 20; ++i) {
      const auto [ended, text] = RandomText(Constraint(grammar, TestTrie()), random, 0.3);
      if (!ended) continue;  // a long one
      ASSERT_TRUE(Json::accept(text)) << test.schema << '\n' << text;
      if (!nullable) {
        EXPECT_NE(CheckValue({document.root()}, Json::parse(text), document), Verdict::kNo)
            << test.schema << '\n'
            << text;
      }
    }
  }
}

TEST(JsonSchemaTest, WhatIsNotSupportedIsNamedWithItsPath) {
  EXPECT_EQ(SchemaError(R"({"properties":{"a":{"not":{"type":"null"}}}})"),
            "s.json: #/properties/a/not: is not supported");
  EXPECT_EQ(SchemaError(R"({"type":"array","items":{"type":"string"},"uniqueItems":true})"),
            "s.json: #/uniqueItems: is supported only for items that an enum lists");
  EXPECT_EQ(SchemaError(R"({"if":{"type":"null"},"then":{}})"), "s.json: #/if: is not supported");
  EXPECT_EQ(SchemaError(R"({"type":"number","multipleOf":0.5})"),
            "s.json: #/multipleOf: is not supported");
  EXPECT_EQ(SchemaError(R"x({"type":"string","pattern":"(?=a)"})x"),
            "s.json: #: pattern:1:1: lookahead is not supported");
  EXPECT_EQ(SchemaError(R"({"type":"string","format":"regex"})"),
            "s.json: #: format 'regex' is not supported");
  EXPECT_EQ(
      SchemaError(R"({"oneOf":[{"type":"number"},{"type":"integer"}]})"),
      "s.json: #/oneOf: alternatives 0 and 1 may hold at once, which is not supported; use anyOf");
  EXPECT_EQ(SchemaError(R"({"items":{"$ref":"https://other/schema"}})"),
            "s.json: #/items/$ref: 'https://other/schema' is not in this schema, and no others are "
            "loaded");
  EXPECT_EQ(SchemaError(R"({"$ref":"#/$defs/x"})"),
            "s.json: #/$ref: '#/$defs/x' leads to nothing in this schema");
  EXPECT_EQ(SchemaError(R"({"type":"strin"})"),
            "s.json: #/type: expected the name of a type, or a list of them");
  EXPECT_EQ(SchemaError(R"({"minLength":-1,"type":"string"})"),
            "s.json: #/minLength: expected a number that is not negative");
  EXPECT_EQ(SchemaError(R"({"items":3})"),
            "s.json: #/items: expected a schema: an object, true or false");
  EXPECT_EQ(SchemaError("{\n  \"a\": }"), "s.json:2:8: not valid JSON");
  EXPECT_EQ(SchemaError("[]"), "s.json: found array, expected a schema: an object, true or false");
  EXPECT_EQ(SchemaError(R"({"type":"integer","minimum":5,"maximum":3})"),
            "s.json: no text matches");
  EXPECT_EQ(SchemaError("false"), "s.json: no text matches");
  EXPECT_EQ(SchemaError(R"({"$ref":"#"})"), "");  // says nothing
  EXPECT_EQ(SchemaError(R"({"type":"object","properties":{"a":{"$ref":"#"}},"required":["a"]})"),
            "s.json: no text matches");
}

TEST(JsonSchemaTest, HostileSchemasAreRefusedOrEnd) {
  std::string deep = "{}";
  for (int i = 0; i < 500; ++i) deep = "{\"items\":" + deep + "}";
  EXPECT_NE(SchemaError(deep).find("nested too deeply"), std::string::npos);
  EXPECT_NE(SchemaError("{\"minimum\":1e999}").find("out of range"), std::string::npos);
  // Alternatives that combine: 2^40 lists of schemas.
  Json combined = {{"type", "object"}, {"allOf", Json::array()}};
  for (int i = 0; i < 40; ++i) {
    const Json a = {{"properties", {{"a" + std::to_string(i), true}}}};
    const Json b = {{"properties", {{"b" + std::to_string(i), true}}}};
    combined["allOf"].push_back({{"anyOf", {a, b}}});
  }
  EXPECT_NE(SchemaError(combined.dump()).find("too large"), std::string::npos);
  Json names = {{"type", "object"}};
  for (int i = 0; i < 3000; ++i) names["properties"]["p" + std::to_string(i)] = true;
  EXPECT_NE(SchemaError(names.dump()).find("more than 2000 keys"), std::string::npos);
  // A chain of references that a recursive function would follow to the end of its stack.
  Json chain = {{"$ref", "#/$defs/d0/x"}};
  for (int i = 0; i < 1500; ++i) {
    chain["$defs"]["d" + std::to_string(i)]["x"] = {
        {"type", "array"}, {"items", {{"$ref", "#/$defs/d" + std::to_string(i + 1) + "/x"}}}};
  }
  chain["$defs"]["d1500"]["x"] = {{"type", "null"}};
  EXPECT_EQ(SchemaError(chain.dump()), "");
  EXPECT_EQ(SchemaError(R"({"type":"string","maxLength":1000000000})"), "");
  EXPECT_EQ(SchemaError(R"({"type":"array","items":{"type":"string"},"maxItems":1000000})"), "");
  EXPECT_EQ(
      SchemaError(
          R"({"$defs":{"a":{"$ref":"#/$defs/b"},"b":{"$ref":"#/$defs/a"}},"$ref":"#/$defs/a"})"),
      "");
}

TEST(JsonSchemaTest, BlanksAreBounded) {
  const auto grammar = Grammar::AnyJson();
  EXPECT_TRUE(Matches(grammar, "{\n  \"a\": [\n    1,\n    2\n  ]\n}"));
  EXPECT_FALSE(Matches(grammar, " {}"));
  EXPECT_FALSE(Matches(grammar, "{} "));
  EXPECT_FALSE(Matches(grammar, "{  }"));
  EXPECT_FALSE(Matches(grammar, "{\"a\":\n\n1}"));
  EXPECT_FALSE(Matches(grammar, "{\"a\":\n" + std::string(21, ' ') + "1}"));
}

}  // namespace
}  // namespace linnet
