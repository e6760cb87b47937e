#include "eval/template.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <utility>

#include "eval/template_nodes.h"
#include "linnet/error.h"

namespace linnet {
namespace {

using Node = Template::Node;
using Op = TemplateOp;

// What no prompt comes near: nodes evaluated and turns of loops, and the weight of all values
// together.
constexpr size_t kSteps = 250'000, kWeight = size_t{1} << 21;

class Renderer {
 public:
  explicit Renderer(const TaskJson& row) : row_(row) {}

  void Run(const std::vector<Node>& nodes) {
    for (const Node& node : nodes) Run(node);
  }

  // Each value is weighed, since it can be much larger than its node: twice the last one.
  TaskJson Value(const Node& node) {
    CountStep();
    TaskJson value = Evaluated(node);
    weight_ += TemplateWeight(value);
    if (weight_ > kWeight) throw Error(ErrorKind::kBadInput, "the template's values are too large");
    return value;
  }

  std::string Take() { return std::move(out_); }

 private:
  // One for each open loop and its filter: the names that it sets, and which turn it is.
  struct Scope {
    std::map<std::string, TaskJson> names{};
    size_t turn = 0, turns = 0;  // turns is 0 where there is no `loop`
  };

  void CountStep() {
    if (++steps_ > kSteps) {
      throw Error(ErrorKind::kBadInput, "the template takes too many steps");
    }
  }

  TaskJson Evaluated(const Node& node) {
    switch (node.op) {
      case Op::kNothing:
        return nullptr;
      case Op::kLiteral:
        return node.value;
      case Op::kName:
        return Defined(node);
      case Op::kList: {
        TaskJson list = TaskJson::array();
        for (const Node& part : node.parts) list.push_back(Value(part));
        return list;
      }
      case Op::kDict: {
        TaskJson dict = TaskJson::object();
        for (size_t i = 0; i < node.parts.size(); i += 2) {
          dict[PythonString(Value(node.parts[i]))] = Value(node.parts[i + 1]);
        }
        return dict;
      }
      case Op::kAttribute:
        return Element(node, node.text);
      case Op::kIndex:
        return Element(node, Value(node.parts[1]));
      case Op::kSlice:
        return Slice(node);
      case Op::kMethod: {
        const TaskJson value = Value(node.parts[0]);
        return CallMethod(value, node.text, Arguments(node, 1));
      }
      case Op::kFunction:
        return CallFunction(node.text, Arguments(node, 0));
      case Op::kFilter:
        return Filter(node);
      case Op::kTest: {
        const std::optional<TaskJson> value = IfDefined(node.parts[0]);
        return CallTest(value ? &*value : nullptr, node.text, Arguments(node, 1));
      }
      case Op::kUnary: {
        const TaskJson value = Value(node.parts[0]);
        if (node.text == "not") return !IsTrue(value);
        return node.text == "-" ? CallOperator("-", 0, value) : value;
      }
      case Op::kBinary: {
        TaskJson left = Value(node.parts[0]);
        if (node.text == "and") return IsTrue(left) ? Value(node.parts[1]) : left;
        if (node.text == "or") return IsTrue(left) ? left : Value(node.parts[1]);
        return CallOperator(node.text, left, Value(node.parts[1]));
      }
      case Op::kCompare: {
        TaskJson left = Value(node.parts[0]);
        for (size_t i = 0; i < node.names.size(); ++i) {
          TaskJson right = Value(node.parts[i + 1]);
          if (!IsTrue(CallOperator(node.names[i], left, right))) return false;
          left = std::move(right);
        }
        return true;
      }
      case Op::kIf:
        if (IsTrue(Value(node.parts[0]))) return Value(node.parts[1]);
        return node.parts[2].op == Op::kNothing ? TaskJson("") : Value(node.parts[2]);
      default:
        throw Error(ErrorKind::kBadInput, "a statement where a value is expected");
    }
  }

  void Run(const Node& node) {
    CountStep();
    switch (node.op) {
      case Op::kText:
        Append(node.text);
        return;
      case Op::kOutput:
        Append(PythonString(Value(node.parts[0])));
        return;
      case Op::kIfBlock:
        for (size_t i = 0; i < node.parts.size(); ++i) {
          if (IsTrue(Value(node.parts[i]))) return Run(node.bodies[i]);
        }
        if (node.bodies.size() > node.parts.size()) Run(node.bodies.back());
        return;
      case Op::kFor:
        return Loop(node);
      case Op::kSet:
        return Assign(node.names, Value(node.parts[0]));
      default:
        throw Error(ErrorKind::kBadInput, "a value where a statement is expected");
    }
  }

  void Loop(const Node& node) {
    TaskJson items = TaskJson::array();
    const TaskJson values = Sequence(Value(node.parts[0]));
    for (const TaskJson& value : values) {
      if (node.parts[1].op != Op::kNothing) {
        scopes_.emplace_back();
        Assign(node.names, value);
        const bool wanted = IsTrue(Value(node.parts[1]));
        scopes_.pop_back();
        if (!wanted) continue;
      }
      items.push_back(value);
    }
    for (size_t i = 0; i < items.size(); ++i) {
      CountStep();
      scopes_.push_back({.turn = i, .turns = items.size()});
      Assign(node.names, items[i]);
      Run(node.bodies[0]);
      scopes_.pop_back();
    }
    if (items.empty()) Run(node.bodies[1]);
  }

  // What a loop goes over: elements, keys, characters.
  static TaskJson Sequence(const TaskJson& value) {
    if (value.is_structured() || value.is_string()) return TemplateList(value, "for");
    throw Error(ErrorKind::kBadInput, fmt::format("for: cannot go over {}", PythonRepr(value)));
  }

  void Assign(const std::vector<std::string>& names, const TaskJson& value) {
    if (scopes_.empty()) scopes_.emplace_back();
    if (names.size() == 1) {
      scopes_.back().names[names[0]] = value;
      return;
    }
    if (!value.is_array() || value.size() != names.size()) {
      throw Error(ErrorKind::kBadInput, fmt::format("{} cannot be divided among {} names",
                                                    PythonRepr(value), names.size()));
    }
    for (size_t i = 0; i < names.size(); ++i) scopes_.back().names[names[i]] = value[i];
  }

  std::optional<TaskJson> Find(const std::string& name) const {
    for (auto scope = scopes_.rbegin(); scope != scopes_.rend(); ++scope) {
      if (const auto it = scope->names.find(name); it != scope->names.end()) return it->second;
      if (scope->turns > 0 && name == "loop") return LoopOf(*scope);
    }
    const auto it = row_.find(name);
    return it == row_.end() ? std::nullopt : std::optional<TaskJson>(*it);
  }

  static TaskJson LoopOf(const Scope& scope) {
    const size_t i = scope.turn, size = scope.turns;
    return {{"index", i + 1},           {"index0", i},    {"first", i == 0},
            {"last", i + 1 == size},    {"length", size}, {"revindex", size - i},
            {"revindex0", size - i - 1}};
  }

  TaskJson Defined(const Node& node) const {
    if (std::optional<TaskJson> value = Find(node.text)) return *std::move(value);
    std::string names;
    for (const auto& [key, value] : row_.items()) names += (names.empty() ? "" : ", ") + key;
    throw Error(ErrorKind::kBadInput,
                fmt::format("'{}' is not a field of the row, which has {}", node.text, names));
  }

  // The value of what `is defined` and `default` look at.
  std::optional<TaskJson> IfDefined(const Node& node) {
    if (node.op == Op::kName) return Find(node.text);
    if (node.op == Op::kAttribute || node.op == Op::kIndex) {
      const std::optional<TaskJson> of = IfDefined(node.parts[0]);
      if (!of) return std::nullopt;
      return ElementOf(*of, node.op == Op::kIndex ? Value(node.parts[1]) : TaskJson(node.text));
    }
    return Value(node);
  }

  TaskJson Element(const Node& node, const TaskJson& key) {
    const TaskJson of = Value(node.parts[0]);
    if (std::optional<TaskJson> element = ElementOf(of, key)) return *std::move(element);
    throw Error(ErrorKind::kBadInput,
                fmt::format("{} has no element {}", PythonRepr(of).substr(0, 80), PythonRepr(key)));
  }

  TaskJson Slice(const Node& node) {
    const TaskJson of = Value(node.parts[0]);
    const TaskJson begin = Value(node.parts[1]), end = Value(node.parts[2]);
    const TaskJson step = Value(node.parts[3]);
    if (of.is_string()) {
      const std::u32string characters = ToCharacters(of.get_ref<const std::string&>());
      std::u32string part;
      for (const size_t i : SliceOf(characters.size(), begin, end, step)) part += characters[i];
      return FromCharacters(part);
    }
    if (!of.is_array()) {
      throw Error(ErrorKind::kBadInput,
                  fmt::format("{} has no slices", PythonRepr(of).substr(0, 80)));
    }
    TaskJson part = TaskJson::array();
    for (const size_t i : SliceOf(of.size(), begin, end, step)) part.push_back(of[i]);
    return part;
  }

  TaskJson Filter(const Node& node) {
    if (node.text == "default" || node.text == "d") {
      const std::optional<TaskJson> value = IfDefined(node.parts[0]);
      const TemplateArguments given = Arguments(node, 1);
      const bool empty_too = IsTrue(given.At(1, "boolean"));
      if (value && (!empty_too || IsTrue(*value))) return *value;
      return given.Has(0, "default_value") ? given.At(0, "default_value") : TaskJson("");
    }
    const TaskJson value = Value(node.parts[0]);
    return CallFilter(value, node.text, Arguments(node, 1));
  }

  TemplateArguments Arguments(const Node& node, size_t from) {
    TemplateArguments given;
    const size_t named = node.parts.size() - node.names.size();
    for (size_t i = from; i < node.parts.size(); ++i) {
      if (i < named)
        given.values.push_back(Value(node.parts[i]));
      else
        given.named.emplace_back(node.names[i - named], Value(node.parts[i]));
    }
    return given;
  }

  void Append(std::string_view text) {
    if (out_.size() + text.size() > kLongestText) {
      throw Error(ErrorKind::kBadInput, "the template makes too long a text");
    }
    out_ += text;
  }

  const TaskJson& row_;
  std::vector<Scope> scopes_;
  std::string out_;
  size_t steps_ = 0, weight_ = 0;
};

bool IsLiteral(const Node& node) {
  switch (node.op) {
    case Op::kLiteral:
      return true;
    case Op::kList:
    case Op::kDict:
      return std::all_of(node.parts.begin(), node.parts.end(), IsLiteral);
    case Op::kUnary:
      return node.text != "not" && node.parts[0].op == Op::kLiteral &&
             node.parts[0].value.is_number();
    default:
      return false;
  }
}

}  // namespace

Template::Template(std::string_view text) : root_(std::make_unique<Node>(ParseTemplate(text))) {}
Template::~Template() = default;
Template::Template(Template&&) noexcept = default;
Template& Template::operator=(Template&&) noexcept = default;

std::string Template::Render(const TaskJson& row) const {
  Renderer renderer(row);
  renderer.Run(root_->bodies[0]);
  return renderer.Take();
}

TaskJson ParsePythonValue(std::string_view text) {
  const Node node = ParseExpression(text);
  if (!IsLiteral(node)) {
    throw Error(ErrorKind::kBadInput,
                fmt::format("found {}, expected a list, text or number in Python's notation",
                            PythonRepr(std::string(text.substr(0, 80)))));
  }
  const TaskJson nothing = TaskJson::object();
  return Renderer(nothing).Value(node);
}

}  // namespace linnet
