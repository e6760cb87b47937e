// JsonText: expressions for JSON values, as a constrained answer may write them.
#ifndef LINNET_GRAMMAR_JSON_TEXT_H_
#define LINNET_GRAMMAR_JSON_TEXT_H_

#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "grammar/rules.h"

namespace linnet {

// Blanks are bounded: between parts there is nothing, a blank, or a new line with up to 20 blanks.
// There are none before and after a value. Keeps a reference to the rules. Not thread-safe.
class JsonText {
 public:
  using Id = Rules::Id;
  using Json = nlohmann::ordered_json;

  explicit JsonText(Rules& rules);

  Id Blank() const { return blank_; }
  // "[" or "{" and "}" or "]" with what is between them, and the separator of that.
  Id Open(char bracket) { return rules_.Sequence({rules_.Bytes({&bracket, 1}), blank_}); }
  Id Close(char bracket) { return rules_.Sequence({blank_, rules_.Bytes({&bracket, 1})}); }
  Id Comma() const { return comma_; }
  Id Member(Id key, Id value) { return rules_.Sequence({key, colon_, value}); }

  // Any string of so many characters, with any escapes.
  Id String(uint32_t least, uint32_t most);
  // A string whose characters an expression in Spelling::kJson describes.
  Id Quoted(Id characters) { return rules_.Sequence({quote_, characters, quote_}); }
  // That string, in that spelling.
  Id Exactly(std::string_view text) { return rules_.Bytes(Spelled(text)); }
  static std::string Spelled(std::string_view text);
  // Any string in that spelling but these.
  Id NotOneOf(const std::vector<std::string>& texts);

  Id Integer();
  Id Number();
  Id Boolean();
  Id Null() { return rules_.Bytes("null"); }
  Id AnyValue();
  Id AnyArray();
  Id AnyObject();
  // Exactly this value, but for blanks.
  Id Value(const Json& value);

  Rules& rules() { return rules_; }

 private:
  // Items of a list, any number of them, in brackets.
  Id List(char open, Id item, char close);

  Rules& rules_;
  Id blank_, comma_, colon_, quote_;
  std::map<CharSet, Id> spelled_;
  std::optional<uint32_t> any_, any_array_, any_object_;
};

}  // namespace linnet

#endif  // LINNET_GRAMMAR_JSON_TEXT_H_
