#include "eval/template.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "linnet/error.h"

namespace linnet {
namespace {

const char* const kRow =
    R"j({"q": "What is  it? ", "n": 3, "f": 0.1, "none": null, "yes": true, "list": ["b", "A", "a", "c"], "choices": {"text": ["x y", "it's", "\"q\""], "label": ["A", "B", "C"]}, "answers": [{"aid": 1, "atext": "one"}, {"aid": 2, "atext": "zwei ß"}], "key": "B", "u": "İstanbul ΑΣ çOk", "deep": {"a": {"b": [1, 2.5, null, true]}}, "text": "a b  c d"})j";

struct TemplateCase {
  const char *text, *rendered;
};

// What Jinja 3.1.6 renders for this row, with lm-evaluation-harness's environment.
const std::vector<TemplateCase> kCases = {
    {R"j({{q}}|{{n}}|{{f}}|{{none}}|{{yes}})j", R"j(What is  it? |3|0.1|None|True)j"},
    {R"j({{list}})j", R"j(['b', 'A', 'a', 'c'])j"},
    {R"j({{choices}})j", R"j({'text': ['x y', "it's", '"q"'], 'label': ['A', 'B', 'C']})j"},
    {R"j({{deep}})j", R"j({'a': {'b': [1, 2.5, None, True]}})j"},
    {R"j({{text.split(' ')[:-1]|join(' ')}})j", R"j(a b  c)j"},
    {R"j({{' '+text.split(' ')[-1]}})j", R"j( d)j"},
    {R"j({{choices.label.index(key)}})j", R"j(1)j"},
    {R"j({{answers|map(attribute='atext')|list}})j", R"j(['one', 'zwei ß'])j"},
    {R"j({{n - 1}})j", R"j(2)j"},
    {R"j({{ {'1': 0, '3': 1}[n|string] }})j", R"j(1)j"},
    {R"j({{{'1': 0, '3': 1}[n|string]}})j", R"j(1)j"},
    {R"j({{q.strip()[:-1]}} {{q.rstrip()}}.)j", R"j(What is  it What is  it?.)j"},
    {R"j({{u.lower()}} {{u.upper()}} {{u.capitalize()}} {{u[0].lower() ~ u[1:]}})j",
     R"j(i̇stanbul ας çok İSTANBUL ΑΣ ÇOK İstanbul ας çok i̇stanbul ΑΣ çOk)j"},
    {R"j({% if n > 2 and not none %}big{% elif n %}small{% else %}zero{% endif %})j", R"j(big)j"},
    {R"j({% for x in list if x != 'c' %}{{loop.index}}:{{x}}{{', ' if not loop.last}}{% endfor %})j",
     R"j(1:b, 2:A, 3:a)j"},
    {R"j({% for k, v in deep.items() %}{{k}}={{v}}{% endfor %})j",
     R"j(a={'b': [1, 2.5, None, True]})j"},
    {R"j({% set y = list|length %}{{y * 2}}
)j",
     R"j(8
)j"},
    {R"j({#- gone -#} kept)j", R"j(kept)j"},
    {R"j({{list|sort}} {{list|sort(case_sensitive=true)}} {{list|unique|list}} {{list|unique(case_sensitive=true)|list}})j",
     R"j(['A', 'a', 'b', 'c'] ['A', 'a', 'b', 'c'] ['b', 'A', 'c'] ['b', 'A', 'a', 'c'])j"},
    {R"j({{q|replace('is','was')|trim}})j", R"j(What was  it?)j"},
    {R"j({{q|regex_replace('[a-z]+', '<\\g<0>>') if false else q|regex_replace('\\s+', '_')}})j",
     R"j(What_is_it?_)j"},
    {R"j({{7 // 2}} {{-7 // 2}} {{-7 % 3}} {{7 / 2}} {{2 ** 3}} {{1 == 1.0}})j",
     R"j(331 3.5 8 True)j"},
    {R"j({{list[::-1]}} {{list[1:3]}} {{list[-1]}} {{text[2:]}} {{text[::2]}})j",
     R"j(['c', 'a', 'A', 'b'] ['A', 'a'] c b  c d ab  )j"},
    {R"j({{missing is defined}} {{q is defined}} {{missing|default('d')}} {{choices.nope is defined}})j",
     R"j(False True d False)j"},
    {R"j({{'a' in list}} {{'z' not in list}} {{1 < 2 < 3}} {{'%s'}})j", R"j(True True True %s)j"},
    {R"j({{ (q ~ n)|tojson }} {{list|join(', ')}} {{'abc'|first}} {{list|last}})j",
     R"j("What is  it? 3" b, A, a, c a c)j"},
    {R"j({{[q, n]|map('string')|list}})j", R"j(['What is  it? ', '3'])j"},
    {R"j(A {{- ' B ' -}} C)j", R"j(A B C)j"},
    {R"j({{ '{{' }} {{ '}}' }} {{"%}"}})j", R"j({{ }} %})j"},
    {R"j({{ list|map('upper')|join }})j", R"j(BAAC)j"},
    {R"j({{1e3}} {{1.0}} {{123456789012345678.0}} {{1e16}} {{0.00001}} {{1/3}})j",
     R"j(1000.0 1.0 1.2345678901234568e+17 1e+16 1e-05 0.3333333333333333)j"},
    {R"j({{ ['a\'b', 'c"d', 'e\'f"g', 'h\\i', 'tab\t', '\u00e9\u200b'] }})j",
     R"j(["a'b", 'c"d', 'e\'f"g', 'h\\i', 'tab\t', 'é\u200b'])j"},
    {R"j({{ text.replace(' ', '-', 1) }} {{ text.split() }} {{ text.count(' ') }} {{ text.find('zz') }} {{ text.startswith('a') }})j",
     R"j(a-b  c d ['a', 'b', 'c', 'd'] 4 -1 True)j"},
    {R"j({{ 'x' if n == 4 }}|{{ n if n == 3 else 'no' }})j", R"j(|3)j"},
    {R"j({{ not n == 3 }} {{ n is odd }} {{ 'abc' is string }} {{ q|length }} {{ '12'|int + 1 }} {{ 'x'|int }} {{ '1.5'|float }})j",
     R"j(False True True 13 13 0 1.5)j"},
    {R"j({{ 'hello world foo'|title }} {{'a,b'.split(',')}})j", R"j(Hello World Foo ['a', 'b'])j"},
    {R"j({{ ', '.join(list) }})j", R"j(b, A, a, c)j"},
    {R"j({{ list + ['z'] }} {{ 'ab' * 2 }})j", R"j(['b', 'A', 'a', 'c', 'z'] abab)j"},
    {R"j({% for x in [] %}a{% else %}none{% endfor %})j", R"j(none)j"},
};

TEST(TemplateTest, RendersAsJinja) {
  const TaskJson row = TaskJson::parse(kRow);
  for (const TemplateCase& one : kCases) {
    try {
      EXPECT_EQ(Template(one.text).Render(row), one.rendered) << one.text;
    } catch (const Error& error) {
      ADD_FAILURE() << one.text << ": " << error.what();
    }
  }
}

std::string FailureOf(const std::string& text, const TaskJson& row = TaskJson::object()) {
  try {
    Template(text).Render(row);
  } catch (const Error& error) {
    return error.what();
  }
  return "none";
}

TEST(TemplateTest, AMissingFieldIsAnErrorThatNamesThoseThereAre) {
  EXPECT_EQ(FailureOf("{{goal}}", {{"text", 1}, {"label", 2}}),
            "'goal' is not a field of the row, which has text, label");
  EXPECT_NE(FailureOf("{{a.b}}", {{"a", {{"c", 1}}}}).find("has no element 'b'"),
            std::string::npos);
}

TEST(TemplateTest, SaysWhereItCannotBeRead) {
  EXPECT_NE(FailureOf("one\n{{ 'open }}").find("line 2 of the template"), std::string::npos);
  EXPECT_NE(FailureOf("{{ a").find("without its end"), std::string::npos);
  EXPECT_NE(FailureOf("{% if a %}b").find("expected 'endif'"), std::string::npos);
  EXPECT_NE(FailureOf("{% endfor %}").find("endfor"), std::string::npos);
  EXPECT_NE(FailureOf("{% macro a() %}").find("macro"), std::string::npos);
  EXPECT_NE(FailureOf("{{ 1 + }}").find("expected a value at the end"), std::string::npos);
  EXPECT_NE(FailureOf("{{ [1 2] }}").find("expected ']'"), std::string::npos);
  EXPECT_NE(FailureOf("{{ 1 | nofilter }}").find("no filter 'nofilter'"), std::string::npos);
  EXPECT_NE(FailureOf("{{ 'a'.nomethod() }}").find("no method 'nomethod'"), std::string::npos);
  EXPECT_NE(FailureOf("{{ 1 / 0 }}").find("division by zero"), std::string::npos);
  EXPECT_NE(FailureOf("{{ 1 + 'a' }}").find("not possible"), std::string::npos);
}

// None of these may take long, much memory, or the stack.
TEST(TemplateTest, BoundsWorkAndDepth) {
  EXPECT_NE(FailureOf("{{" + std::string(100000, '(') + "}}").find("too deep"), std::string::npos);
  EXPECT_NE(FailureOf("{{" + std::string(100000, '-') + "1}}").find("too deep"), std::string::npos);
  EXPECT_NE(FailureOf("{{ 'aaaaaaaaaa' * 100000000000 }}").find("too long"), std::string::npos);
  EXPECT_NE(FailureOf("{{ range(1000000000000) }}").find("range"), std::string::npos);
  std::string blocks;
  for (int i = 0; i < 1000; ++i) blocks += "{% if 1 %}";
  EXPECT_NE(FailureOf(blocks).find("too deep"), std::string::npos);
  std::string loops, ends;
  for (int i = 0; i < 10; ++i) {
    loops += "{% for a" + std::to_string(i) + " in range(1000) %}";
    ends += "{% endfor %}";
  }
  EXPECT_NE(FailureOf(loops + "x" + ends).find("too many steps"), std::string::npos);
  // Values that grow faster than the nodes that make them.
  const auto repeated = [](const std::string& once, int times) {
    std::string all;
    for (int i = 0; i < times; ++i) all += once;
    return all;
  };
  const std::string large_text = "{% set m = 'a' * 100000 %}";
  EXPECT_NE(FailureOf("{% set x = 1 %}" + repeated("{% set x = [x, x] %}", 64)).find("too large"),
            std::string::npos);
  EXPECT_NE(FailureOf("{% set x = 1 %}" + repeated("{% set x = [x] %}", 5000)).find("too deep"),
            std::string::npos);
  EXPECT_NE(FailureOf("{% set x = 'ab' %}" + repeated("{% set x = x ~ x %}", 64)).find("too large"),
            std::string::npos);
  for (const char* large :
       {"m | replace('a', m)", "m | replace('', m)", "m | list | join(m)", "[m] * 1000000",
        "(m * 1) | list | map('replace', 'a', m) | list", "m | regex_replace('(?=(a+))', '\\\\1')",
        "m | regex_replace('a', m)"}) {
    EXPECT_NE(FailureOf(large_text + "{{ " + large + " }}").find("too long"), std::string::npos)
        << large;
  }
  EXPECT_NE(FailureOf("{% for a in range(100000) %}{{ range(100000) }}{% endfor %}").find("too l"),
            std::string::npos);
  EXPECT_NE(FailureOf("{{ 9223372036854775807 }}").find("too large"), std::string::npos);
  EXPECT_NE(FailureOf("{{ 10 ** 100 }}").find("too large"), std::string::npos);
}

TEST(TemplateTest, LiteralsReadBackWhatListsPrint) {
  const TaskJson row = TaskJson::parse(kRow);
  for (const char* name : {"list", "choices", "deep", "answers"}) {
    EXPECT_EQ(ParsePythonValue(PythonString(row[name])), row[name]);
  }
  EXPECT_EQ(ParsePythonValue("('a', 1, -2.5, None, True)"),
            TaskJson({"a", 1, -2.5, nullptr, true}));
  EXPECT_THROW(ParsePythonValue("a + 1"), Error);
  EXPECT_THROW(ParsePythonValue("range(3)"), Error);
}

}  // namespace
}  // namespace linnet
