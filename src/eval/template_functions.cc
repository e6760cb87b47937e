// The operators, methods, filters and tests of Template.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <map>

#include "eval/python_regex.h"
#include "eval/template_nodes.h"
#include "linnet/error.h"

namespace linnet {
namespace {

constexpr size_t kMostElements = size_t{1} << 20;  // of a list that is made of a text or another
constexpr size_t kDeepest = 1000;                  // lists in lists

[[noreturn]] void Wrong(const std::string& what) { throw Error(ErrorKind::kBadInput, what); }

std::string Shown(const TaskJson& value) { return PythonRepr(value).substr(0, 80); }

const std::string& Text(const TaskJson& value, const std::string& who) {
  if (!value.is_string()) Wrong(fmt::format("{}: found {}, expected a text", who, Shown(value)));
  return value.get_ref<const std::string&>();
}

const TaskJson& List(const TaskJson& value, const std::string& who) {
  if (!value.is_array()) Wrong(fmt::format("{}: found {}, expected a list", who, Shown(value)));
  return value;
}

bool IsNumber(const TaskJson& value) { return value.is_number() || value.is_boolean(); }

double Real(const TaskJson& value) {
  return value.is_boolean() ? (value.get<bool>() ? 1 : 0) : value.get<double>();
}
int64_t Whole(const TaskJson& value) {
  return value.is_boolean() ? (value.get<bool>() ? 1 : 0) : value.get<int64_t>();
}

size_t Length(const TaskJson& value, const std::string& who) {
  if (value.is_string()) return CountCharacters(value.get_ref<const std::string&>());
  if (!value.is_array() && !value.is_object())
    Wrong(fmt::format("{}: {} has no length", who, Shown(value)));
  return value.size();
}

// Python's ==: 1 == 1.0 == True.
bool Same(const TaskJson& a, const TaskJson& b) {
  if (IsNumber(a) && IsNumber(b)) return Real(a) == Real(b);
  return a == b;
}

bool Less(const TaskJson& a, const TaskJson& b) {
  if (IsNumber(a) && IsNumber(b)) return Real(a) < Real(b);
  if (a.is_string() && b.is_string()) {
    return a.get_ref<const std::string&>() < b.get_ref<const std::string&>();
  }
  if (a.is_array() && b.is_array()) {
    return std::lexicographical_compare(a.begin(), a.end(), b.begin(), b.end(), Less);
  }
  Wrong(fmt::format("{} and {} cannot be compared", Shown(a), Shown(b)));
}

bool Contains(const TaskJson& all, const TaskJson& one) {
  if (all.is_string())
    return all.get_ref<const std::string&>().find(Text(one, "in")) != std::string::npos;
  if (all.is_object()) return one.is_string() && all.contains(one.get_ref<const std::string&>());
  List(all, "in");
  return std::any_of(all.begin(), all.end(), [&](const TaskJson& x) { return Same(x, one); });
}

TaskJson Arithmetic(const std::string& op, const TaskJson& a, const TaskJson& b) {
  const bool whole = !a.is_number_float() && !b.is_number_float();
  if ((op == "/" || op == "//" || op == "%") && Real(b) == 0) Wrong("division by zero");
  if (whole && op != "/") {
    const int64_t x = Whole(a), y = Whole(b);
    int64_t out = 0;
    bool large = false;
    if (op == "+") large = __builtin_add_overflow(x, y, &out);
    if (op == "-") large = __builtin_sub_overflow(x, y, &out);
    if (op == "*") large = __builtin_mul_overflow(x, y, &out);
    if (op == "//" || op == "%") {
      large = y == -1 && x == INT64_MIN;
      if (!large) {
        const int64_t rest = x % y, down = rest != 0 && (rest < 0) != (y < 0) ? 1 : 0;
        out = op == "//" ? x / y - down : rest + (down != 0 ? y : 0);
      }
    }
    if (op == "**") {
      if (y < 0) return std::pow(static_cast<double>(x), static_cast<double>(y));
      out = 1;
      for (int64_t i = 0; i < y && !large && out != 0 && !(i > 1 && (x == 1 || x == -1)); ++i) {
        large = __builtin_mul_overflow(out, x, &out);
      }
      if (x == -1) out = y % 2 == 0 ? 1 : -1;
    }
    if (large) Wrong(fmt::format("{} {} {} is too large", x, op, y));
    return out;
  }
  const double x = Real(a), y = Real(b);
  if (op == "+") return x + y;
  if (op == "-") return x - y;
  if (op == "*") return x * y;
  if (op == "/") return x / y;
  if (op == "//") return std::floor(x / y);
  if (op == "%") return x - std::floor(x / y) * y;
  return std::pow(x, y);
}

[[noreturn]] void TooLong(const std::string& who) {
  Wrong(fmt::format("{}: makes too long a text or list", who));
}

// "ab" * 3 and [a] * 3.
TaskJson Repeated(const TaskJson& value, int64_t times) {
  const auto count = static_cast<size_t>(std::max<int64_t>(times, 0));
  const size_t size =
      value.is_string() ? value.get_ref<const std::string&>().size() : TemplateWeight(value);
  if (count > 0 && size > kMostElements / count) TooLong("*");
  if (value.is_string()) {
    std::string out;
    for (size_t i = 0; i < count; ++i) out += value.get_ref<const std::string&>();
    return out;
  }
  TaskJson out = TaskJson::array();
  for (size_t i = 0; i < count; ++i) out.insert(out.end(), value.begin(), value.end());
  return out;
}

TaskJson Texts(const std::vector<std::string>& parts) {
  TaskJson out = TaskJson::array();
  for (const std::string& part : parts) out.push_back(part);
  return out;
}

std::string Joined(const TaskJson& list, const std::string& between, bool any) {
  std::string out;
  bool first = true;
  for (const TaskJson& part : TemplateList(list, "join")) {
    if (!first) out += between;
    first = false;
    out += any ? PythonString(part) : Text(part, "join");
    if (out.size() > kLongestText) TooLong("join");
  }
  return out;
}

size_t Most(const TemplateArguments& given, size_t place, std::string_view name) {
  const TaskJson& value = given.At(place, name);
  if (value.is_null() || !IsNumber(value) || Whole(value) < 0) return SIZE_MAX;
  return static_cast<size_t>(Whole(value));
}

std::string Title(const std::string& text) {
  std::string out, word;
  const auto end = [&] {
    out += PythonCapitalize(word);
    word.clear();
  };
  for (const char32_t c : ToCharacters(text)) {
    const std::string one = FromCharacters({&c, 1});
    const bool letter = PythonLower(one) != PythonUpper(one);
    if (!letter) end();
    (letter ? word : out) += one;
  }
  end();
  return out;
}

TaskJson TextMethod(const std::string& text, const std::string& name,
                    const TemplateArguments& given) {
  const auto argument = [&](size_t i) -> const std::string& { return Text(given.At(i), name); };
  const auto chars = [&] { return given.At(0).is_null() ? std::string() : argument(0); };
  if (name == "strip") return Strip(text, chars());
  if (name == "lstrip") return StripLeft(text, chars());
  if (name == "rstrip") return StripRight(text, chars());
  if (name == "lower" || name == "casefold") return PythonLower(text);
  if (name == "upper") return PythonUpper(text);
  if (name == "capitalize") return PythonCapitalize(text);
  if (name == "title") return Title(text);
  if (name == "split") {
    if (given.At(0, "sep").is_null()) return Texts(SplitAtBlanks(text));
    const std::string& separator = Text(given.At(0, "sep"), name);
    if (separator.empty()) Wrong("split: the separator is empty");
    return Texts(SplitAt(text, separator, Most(given, 1, "maxsplit")));
  }
  if (name == "splitlines") {
    std::vector<std::string> lines = SplitAt(ReplaceAll(text, "\r\n", "\n"), "\n");
    if (lines.back().empty()) lines.pop_back();
    return Texts(lines);
  }
  if (name == "replace") return ReplaceAll(text, argument(0), argument(1), Most(given, 2, "count"));
  if (name == "startswith") return text.starts_with(argument(0));
  if (name == "endswith") return text.ends_with(argument(0));
  if (name == "removeprefix")
    return text.starts_with(argument(0)) ? text.substr(argument(0).size()) : text;
  if (name == "removesuffix") {
    return text.ends_with(argument(0)) ? text.substr(0, text.size() - argument(0).size()) : text;
  }
  if (name == "find" || name == "index") {
    const size_t at = text.find(argument(0));
    if (at == std::string::npos) {
      if (name == "find") return -1;
      Wrong(fmt::format("index: {} is not in {}", Shown(given.At(0)), Shown(text)));
    }
    return CountCharacters(std::string_view(text).substr(0, at));
  }
  if (name == "count") {
    if (argument(0).empty()) return CountCharacters(text) + 1;
    return SplitAt(text, argument(0)).size() - 1;
  }
  if (name == "join") return Joined(given.At(0), text, false);
  if (name == "isdigit") {
    return !text.empty() && text.find_first_not_of("0123456789") == std::string::npos;
  }
  if (name == "isspace") return !text.empty() && StripLeft(text).empty();
  Wrong(fmt::format("a text has no method '{}'", name));
}

TaskJson Sorted(TaskJson list, bool case_sensitive, bool reverse, const TaskJson& attribute) {
  const auto key = [&](const TaskJson& value) {
    const TaskJson by = attribute.is_null() ? value : ElementOf(value, attribute).value_or(nullptr);
    return by.is_string() && !case_sensitive
               ? TaskJson(PythonLower(by.get_ref<const std::string&>()))
               : by;
  };
  std::vector<TaskJson> items(list.begin(), list.end());
  std::stable_sort(items.begin(), items.end(), [&](const TaskJson& a, const TaskJson& b) {
    return reverse ? Less(key(b), key(a)) : Less(key(a), key(b));
  });
  return items;
}

TaskJson Unique(const TaskJson& list, bool case_sensitive) {
  std::map<std::string, bool> seen;
  TaskJson out = TaskJson::array();
  for (const TaskJson& value : list) {
    const std::string text = PythonRepr(value);
    if (seen.emplace(case_sensitive ? text : PythonLower(text), true).second) out.push_back(value);
  }
  return out;
}

// tojson: JSON that is safe inside HTML, which is why Jinja writes some characters by number.
std::string SafeJson(const TaskJson& value) {
  std::string out;
  for (const char c : value.dump(-1, ' ', true, TaskJson::error_handler_t::replace)) {
    if (c == '<' || c == '>' || c == '&' || c == '\'')
      out += fmt::format("\\u{:04x}", static_cast<int>(c));
    else
      out += c;
  }
  return out;
}

TaskJson ToInteger(const TaskJson& value, const TaskJson& fallback) {
  if (value.is_boolean() || value.is_number_integer()) return Whole(value);
  const double real = value.is_number_float() ? value.get<double>()
                      : value.is_string()
                          ? std::strtod(value.get_ref<const std::string&>().c_str(), nullptr)
                          : NAN;
  if (value.is_string()) {
    const std::string text = Strip(value.get_ref<const std::string&>());
    char* end = nullptr;
    std::strtod(text.c_str(), &end);
    if (text.empty() || *end != 0) return fallback.is_null() ? TaskJson(0) : fallback;
  }
  if (!(std::abs(real) < 9e18)) return fallback.is_null() ? TaskJson(0) : fallback;
  return static_cast<int64_t>(real);
}

TaskJson Mapped(const TaskJson& list, const TemplateArguments& given) {
  TaskJson out = TaskJson::array();
  size_t weight = 0;
  const TaskJson& attribute = given.At(SIZE_MAX, "attribute");
  TemplateArguments rest;
  if (attribute.is_null()) {
    if (given.values.empty()) Wrong("map: needs the name of a filter or attribute");
    rest.values.assign(given.values.begin() + 1, given.values.end());
    rest.named = given.named;
  }
  for (const TaskJson& value : list) {
    if (attribute.is_null()) {
      out.push_back(CallFilter(value, Text(given.values[0], "map"), rest));
      weight += TemplateWeight(out.back());
      if (weight > kMostElements) TooLong("map");
      continue;
    }
    std::optional<TaskJson> element = value;
    for (const std::string& name : SplitAt(PythonString(attribute), ".")) {
      if (element) element = ElementOf(*element, name);
    }
    if (!element) element = given.At(SIZE_MAX, "default");
    if (element->is_null()) Wrong(fmt::format("map: {} has no {}", Shown(value), Shown(attribute)));
    out.push_back(*std::move(element));
  }
  return out;
}

}  // namespace

size_t TemplateWeight(const TaskJson& value, size_t depth) {
  if (value.is_string()) return 1 + value.get_ref<const std::string&>().size() / 32;
  if (depth > kDeepest) Wrong("a value is nested too deep");
  size_t weight = 1;
  if (value.is_structured()) {
    for (const TaskJson& part : value) weight += TemplateWeight(part, depth + 1);
  }
  return weight;
}

TaskJson TemplateList(const TaskJson& value, const std::string& who) {
  if (value.is_array()) return value;
  TaskJson out = TaskJson::array();
  if (value.is_object()) {
    for (const auto& [key, part] : value.items()) out.push_back(key);
    return out;
  }
  const std::u32string characters = ToCharacters(Text(value, who));
  if (characters.size() > kMostElements) TooLong(who);
  for (const char32_t c : characters) out.push_back(FromCharacters({&c, 1}));
  return out;
}

const TaskJson& TemplateArguments::At(size_t place, std::string_view name) const {
  static const TaskJson kNull;
  if (place < values.size()) return values[place];
  for (const auto& [key, value] : named) {
    if (key == name) return value;
  }
  return kNull;
}

bool TemplateArguments::Has(size_t place, std::string_view name) const {
  return place < values.size() || std::any_of(named.begin(), named.end(),
                                              [&](const auto& one) { return one.first == name; });
}

bool IsTrue(const TaskJson& value) {
  if (value.is_null()) return false;
  if (IsNumber(value)) return Real(value) != 0;
  return value.is_string() ? !value.get_ref<const std::string&>().empty() : !value.empty();
}

std::optional<TaskJson> ElementOf(const TaskJson& value, const TaskJson& key) {
  if (value.is_object()) {
    const auto it = value.find(PythonString(key));
    return it == value.end() ? std::nullopt : std::optional<TaskJson>(*it);
  }
  if (!key.is_number_integer() || (!value.is_array() && !value.is_string())) return std::nullopt;
  const auto size = static_cast<int64_t>(Length(value, "element"));
  int64_t at = key.get<int64_t>();
  if (at < 0) at += size;
  if (at < 0 || at >= size) return std::nullopt;
  if (value.is_array()) return value[static_cast<size_t>(at)];
  const std::u32string characters = ToCharacters(value.get_ref<const std::string&>());
  return FromCharacters(std::u32string_view(characters).substr(static_cast<size_t>(at), 1));
}

TaskJson CallOperator(const std::string& op, const TaskJson& left, const TaskJson& right) {
  if (op == "==") return Same(left, right);
  if (op == "!=") return !Same(left, right);
  if (op == "<") return Less(left, right);
  if (op == ">") return Less(right, left);
  if (op == "<=") return !Less(right, left);
  if (op == ">=") return !Less(left, right);
  if (op == "in") return Contains(right, left);
  if (op == "not in") return !Contains(right, left);
  if (op == "~") return PythonString(left) + PythonString(right);
  if (IsNumber(left) && IsNumber(right)) return Arithmetic(op, left, right);
  if (op == "+" && left.is_string() && right.is_string()) {
    return left.get_ref<const std::string&>() + right.get_ref<const std::string&>();
  }
  if (op == "+" && left.is_array() && right.is_array()) {
    TaskJson out = left;
    out.insert(out.end(), right.begin(), right.end());
    return out;
  }
  if (op == "*" && (left.is_string() || left.is_array()) && IsNumber(right)) {
    return Repeated(left, Whole(right));
  }
  Wrong(fmt::format("{} {} {} is not possible", Shown(left), op, Shown(right)));
}

TaskJson CallMethod(const TaskJson& value, const std::string& name,
                    const TemplateArguments& given) {
  if (value.is_string()) return TextMethod(value.get_ref<const std::string&>(), name, given);
  if (value.is_array()) {
    if (name == "index") {
      for (size_t i = 0; i < value.size(); ++i) {
        if (Same(value[i], given.At(0))) return i;
      }
      Wrong(fmt::format("index: {} is not in {}", Shown(given.At(0)), Shown(value)));
    }
    if (name == "count") {
      return std::count_if(value.begin(), value.end(),
                           [&](const TaskJson& x) { return Same(x, given.At(0)); });
    }
    Wrong(fmt::format("a list has no method '{}'", name));
  }
  if (value.is_object()) {
    if (name == "get") return ElementOf(value, given.At(0)).value_or(given.At(1));
    TaskJson out = TaskJson::array();
    for (const auto& [key, part] : value.items()) {
      if (name == "keys")
        out.push_back(key);
      else if (name == "values")
        out.push_back(part);
      else if (name == "items")
        out.push_back(TaskJson::array({key, part}));
      else
        Wrong(fmt::format("a dict has no method '{}'", name));
    }
    return out;
  }
  Wrong(fmt::format("{} has no method '{}'", Shown(value), name));
}

TaskJson CallFunction(const std::string& name, const TemplateArguments& given) {
  if (name == "range") {
    for (const TaskJson& value : given.values) {
      if (!value.is_number_integer())
        Wrong(fmt::format("range: found {}, expected an integer", Shown(value)));
    }
    if (given.values.empty()) Wrong("range: needs a number");
    const bool one = given.values.size() == 1;
    const int64_t begin = one ? 0 : given.values[0].get<int64_t>();
    const int64_t end = given.values[one ? 0 : 1].get<int64_t>();
    const int64_t step = given.values.size() > 2 ? given.values[2].get<int64_t>() : 1;
    constexpr double kFar = 1e12;
    const auto far = [](int64_t x) { return std::abs(static_cast<double>(x)) > kFar; };
    if (step == 0 || far(begin) || far(end) || far(step) ||
        std::abs(static_cast<double>(end - begin)) > 1e5) {
      Wrong("range: too long, or its step is 0");
    }
    TaskJson out = TaskJson::array();
    for (int64_t i = begin; step > 0 ? i < end : i > end; i += step) out.push_back(i);
    return out;
  }
  Wrong(fmt::format("there is no function '{}'", name));
}

TaskJson CallFilter(const TaskJson& value, const std::string& name,
                    const TemplateArguments& given) {
  const auto text = [&] { return PythonString(value); };
  if (name == "join")
    return Joined(value, given.Has(0, "d") ? PythonString(given.At(0, "d")) : "", true);
  if (name == "length" || name == "count") return Length(value, name);
  if (name == "list") return TemplateList(value, name);
  if (name == "string") return text();
  if (name == "trim")
    return Strip(text(), given.At(0, "chars").is_null() ? "" : Text(given.At(0, "chars"), name));
  if (name == "lower") return PythonLower(text());
  if (name == "upper") return PythonUpper(text());
  if (name == "capitalize") return PythonCapitalize(text());
  if (name == "title") return Title(text());
  if (name == "replace") {
    return ReplaceAll(text(), Text(given.At(0, "old"), name), Text(given.At(1, "new"), name),
                      Most(given, 2, "count"));
  }
  if (name == "regex_replace") {
    return PythonRegex(Text(given.At(0, "pattern"), name))
        .Replace(text(), given.Has(1, "repl") ? Text(given.At(1, "repl"), name) : "");
  }
  if (name == "int") return ToInteger(value, given.At(0, "default"));
  if (name == "float") return IsNumber(value) ? Real(value) : std::strtod(text().c_str(), nullptr);
  if (name == "abs")
    return IsNumber(value) && Real(value) < 0 ? CallOperator("-", 0, value) : value;
  if (name == "tojson") return SafeJson(value);
  if (name == "first" || name == "last") {
    const TaskJson list = TemplateList(value, name);
    if (list.empty()) Wrong(fmt::format("{}: the list is empty", name));
    return name == "first" ? list.front() : list.back();
  }
  if (name == "reverse") {
    TaskJson list = TemplateList(value, name);
    std::reverse(list.begin(), list.end());
    return value.is_string() ? TaskJson(Joined(list, "", true)) : list;
  }
  if (name == "sort") {
    return Sorted(TemplateList(value, name), IsTrue(given.At(1, "case_sensitive")),
                  IsTrue(given.At(0, "reverse")), given.At(2, "attribute"));
  }
  if (name == "unique")
    return Unique(TemplateList(value, name), IsTrue(given.At(0, "case_sensitive")));
  if (name == "map") return Mapped(TemplateList(value, name), given);
  Wrong(fmt::format("there is no filter '{}'", name));
}

bool CallTest(const TaskJson* value, const std::string& name, const TemplateArguments& given) {
  if (name == "defined") return value != nullptr;
  if (name == "undefined") return value == nullptr;
  if (value == nullptr) Wrong(fmt::format("is {}: the value is not defined", name));
  if (name == "none") return value->is_null();
  if (name == "string") return value->is_string();
  if (name == "number") return IsNumber(*value);
  if (name == "integer") return value->is_number_integer();
  if (name == "mapping") return value->is_object();
  if (name == "sequence" || name == "iterable") return value->is_structured() || value->is_string();
  if (name == "odd" || name == "even") {
    if (!value->is_number_integer())
      Wrong(fmt::format("is {}: found {}, expected an integer", name, Shown(*value)));
    return (value->get<int64_t>() % 2 != 0) == (name == "odd");
  }
  if (name == "equalto" || name == "eq") return Same(*value, given.At(0));
  if (name == "in") return Contains(given.At(0), *value);
  Wrong(fmt::format("there is no test '{}'", name));
}

}  // namespace linnet
