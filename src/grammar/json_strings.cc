#include "grammar/json_strings.h"

#include <fmt/format.h>

#include <map>
#include <string>
#include <vector>

#include "grammar/dfa.h"
#include "grammar/regex.h"
#include "linnet/error.h"

namespace linnet {
namespace {

// RFC 3339, with years from 1 on, as Python reads dates, and without leap seconds.
constexpr std::string_view kDate =
    "((\\d{3}[1-9]|\\d{2}[1-9]0|\\d[1-9]00|[1-9]000)-"
    "((0[13578]|1[02])-(0[1-9]|[12]\\d|3[01])|(0[469]|11)-(0[1-9]|[12]\\d|30)|"
    "02-(0[1-9]|1\\d|2[0-8]))|"
    "(\\d\\d(0[48]|[2468][048]|[13579][26])|(0[48]|[2468][048]|[13579][26])00)-02-29)";
constexpr std::string_view kTime =
    "([01]\\d|2[0-3]):[0-5]\\d:[0-5]\\d(\\.\\d{1,6})?(Z|[+-]([01]\\d|2[0-3]):[0-5]\\d)";
constexpr std::string_view kName = "[a-z0-9]([a-z0-9-]{0,30}[a-z0-9])?";  // of a host
constexpr std::string_view kByte = "(25[0-5]|2[0-4]\\d|1\\d\\d|[1-9]?\\d)";
constexpr std::string_view kPathChars = "([A-Za-z0-9._~!$&'()*+,;=:@-]|%[0-9A-F]{2})";

// The regex of a format; empty if the format is none of JSON Schema's, and only annotates. Formats
// of which a part is left out are written so that any reader accepts them.
std::string RegexOfFormat(std::string_view format) {
  const std::string host = fmt::format("{0}(\\.{0}){{0,5}}", kName);
  const std::string path = fmt::format("(/{}*)*", kPathChars);
  const std::string query = fmt::format("(\\?({0}|[/?])*)?(#({0}|[/?])*)?", kPathChars);
  if (format == "date") return std::string(kDate);
  if (format == "time") return std::string(kTime);
  if (format == "date-time") return fmt::format("{}T{}", kDate, kTime);
  if (format == "duration") {
    return "P(\\d{1,4}W|\\d{1,4}Y(\\d{1,4}M(\\d{1,4}D)?)?|\\d{1,4}M(\\d{1,4}D)?|\\d{1,4}D"
           "|(\\d{1,4}D)?T(\\d{1,4}H(\\d{1,4}M(\\d{1,4}S)?)?|\\d{1,4}M(\\d{1,4}S)?|\\d{1,4}S))";
  }
  if (format == "uuid") return "[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}";
  if (format == "email" || format == "idn-email") {
    return fmt::format(
        "[A-Za-z0-9_+-]{{1,30}}(\\.[A-Za-z0-9_+-]{{1,16}}){{0,2}}@{0}(\\.{0}){{1,3}}", kName);
  }
  if (format == "hostname" || format == "idn-hostname") return host;
  if (format == "ipv4") return fmt::format("{0}(\\.{0}){{3}}", kByte);
  if (format == "ipv6") return "[0-9a-f]{1,4}(:[0-9a-f]{1,4}){7}";
  if (format == "uri" || format == "iri") {
    return fmt::format("[a-z][a-z0-9+-]{{0,20}}://{}(:\\d{{1,4}})?{}{}", host, path, query);
  }
  if (format == "uri-reference" || format == "iri-reference") {
    return fmt::format("([a-z][a-z0-9+-]{{0,20}}://{})?{}{}", host, path, query);
  }
  if (format == "json-pointer") return "(/([^/~\"\\\\\\x00-\\x1F]|~[01])*)*";
  return {};
}

}  // namespace

Rules::Id AddString(const SchemaFacts& facts, JsonText& json) {
  Rules& rules = json.rules();
  struct Part {
    std::string regex;
    RegexPlace place;
  };
  std::vector<Part> parts;
  for (const std::string& format : facts.formats) {
    if (format == "regex" || format == "relative-json-pointer" || format == "uri-template") {
      throw Error(ErrorKind::kBadInput, fmt::format("format '{}' is not supported", format));
    }
    std::string regex = RegexOfFormat(format);
    if (!regex.empty()) parts.push_back({std::move(regex), RegexPlace::kWhole});
  }
  for (const std::string& pattern : facts.patterns) {
    parts.push_back({pattern, RegexPlace::kAnywhere});
  }
  if (facts.min_length > facts.max_length) return rules.Nothing();
  if (parts.empty()) return json.String(facts.min_length, facts.max_length);
  const auto add = [](const Part& part, Rules& to) {
    return AddRegex(part.regex, "pattern", part.place, Spelling::kJson, to);
  };
  const bool any_length = facts.min_length == 0 && facts.max_length == SchemaFacts::kNoLimit;
  if (parts.size() == 1 && any_length) return json.Quoted(add(parts.front(), rules));
  // All hold at once.
  const auto dfa_of = [&](const Part& part) {
    return Dfa::Of([&](Rules& to) { return add(part, to); });
  };
  Dfa all = dfa_of(parts.front());
  for (size_t i = 1; i < parts.size(); ++i) all = all.And(dfa_of(parts[i]));
  if (!any_length) {
    all = all.And(Dfa::Of([&](Rules& to) {
      return to.Repeat(AddChars(CharSet::All(), Spelling::kJson, to), facts.min_length,
                       facts.max_length);
    }));
  }
  return json.Quoted(all.AddTo(rules));
}

}  // namespace linnet
