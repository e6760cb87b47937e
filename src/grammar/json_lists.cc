#include "grammar/json_lists.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <tuple>

#include "grammar/dfa.h"
#include "grammar/regex.h"
#include "linnet/error.h"

namespace linnet {
namespace {

using Id = Rules::Id;

// Of a list whose parts are counted, times their number.
constexpr size_t kMostCounted = 20'000;

// A list of optional parts in a fixed order, in brackets: a node is the next part, whether one was
// written, and how many, as far as that matters.
class ListGraph {
 public:
  // Counts up to `cap`.
  ListGraph(JsonText& json, char open, char close, uint32_t cap, uint32_t least, uint32_t most)
      : json_(json), close_(close), cap_(cap), least_(least), most_(most) {
    edges_.push_back({0, json.Open(open), Node(0, false, 0)});
  }

  void AddPart(size_t index, Id part, bool required) {
    for (const bool written : {false, true}) {
      for (uint32_t count = written ? 1 : 0; count <= (written ? cap_ : 0); ++count) {
        // With a cap of 0 nothing is counted.
        AddPartAt(index, part, required, written, count);
      }
      if (written && cap_ == 0) AddPartAt(index, part, required, true, 0);
    }
  }

  // Any number of others after `index` parts. `counted`: each counts; else only the first does.
  void AddOthers(size_t index, Id part, bool counted) {
    for (const auto& [place, node] : std::map(nodes_)) {
      const auto [at, written, count] = place;
      if (at != index || count >= most_) continue;
      const Id comma = written ? json_.Comma() : json_.rules().Empty();
      edges_.push_back(
          {node, json_.rules().Sequence({comma, part}), Node(index + 1, true, Next(count))});
    }
    const Id more = json_.rules().Sequence({json_.Comma(), part});
    for (uint32_t count = 0; count <= cap_; ++count) {
      if (!nodes_.contains({index + 1, true, count}) || count >= most_) continue;
      const uint32_t node = Node(index + 1, true, count);
      edges_.push_back({node, more, Node(index + 1, true, counted ? Next(count) : count)});
    }
  }

  Id Build(size_t index) {
    for (const auto& [place, node] : std::map(nodes_)) {
      const auto [at, written, count] = place;
      if (at < index || count < least_ || count > most_) continue;
      edges_.push_back(
          {node, written ? json_.Close(close_) : json_.rules().Bytes({&close_, 1}), 1});
    }
    return json_.rules().Graph(next_, std::move(edges_));
  }

 private:
  using Place = std::tuple<size_t, bool, uint32_t>;

  uint32_t Next(uint32_t count) const { return std::min(count + 1, cap_); }

  uint32_t Node(size_t index, bool written, uint32_t count) {
    const auto [at, fresh] = nodes_.emplace(Place(index, written, count), next_);
    if (fresh && ++next_ > kMostCounted) {
      throw Error(
          ErrorKind::kBadInput,
          fmt::format("counting the parts of a list needs more than {} states", kMostCounted));
    }
    return at->second;
  }

  void AddPartAt(size_t index, Id part, bool required, bool written, uint32_t count) {
    const auto at = nodes_.find({index, written, count});
    if (at == nodes_.end()) return;
    const uint32_t from = at->second;
    if (!required) edges_.push_back({from, json_.rules().Empty(), Node(index + 1, written, count)});
    if (count >= most_) return;
    // One place before the part itself, so that it is there once for both.
    const auto [before, fresh] = before_.emplace(std::pair(index, Next(count)), next_);
    if (fresh) {
      ++next_;
      edges_.push_back({before->second, part, Node(index + 1, true, Next(count))});
    }
    edges_.push_back({from, written ? json_.Comma() : json_.rules().Empty(), before->second});
  }

  JsonText& json_;
  const char close_;
  const uint32_t cap_, least_, most_;
  std::map<Place, uint32_t> nodes_;
  std::map<std::pair<size_t, uint32_t>, uint32_t> before_;
  std::vector<Rules::Edge> edges_;
  uint32_t next_ = 2;
};

// How far a list must be counted in which `sure` parts are always there, of at most `possible`.
uint32_t CountUpTo(uint32_t least, uint32_t most, size_t sure, size_t possible) {
  if (most < possible) return most;
  return least > sure ? least : 0;
}

// Names of properties, without quotes, as a JSON string writes them.
Dfa NamesIn(const std::vector<std::string>& names) {
  return Dfa::Of([&](Rules& rules) {
    std::vector<Id> parts;
    parts.reserve(names.size());
    for (const std::string& name : names) {
      const std::string quoted = JsonText::Spelled(name);
      parts.push_back(rules.Bytes(std::string_view(quoted).substr(1, quoted.size() - 2)));
    }
    return rules.Choice(std::move(parts));
  });
}

Dfa NamesMatching(const std::string& pattern) {
  return Dfa::Of([&](Rules& rules) {
    return AddRegex(pattern, "pattern", RegexPlace::kAnywhere, Spelling::kJson, rules);
  });
}

// Printable ASCII, for which all dialects of regular expressions agree on what does not match.
Dfa PlainNames() {
  return Dfa::Of([](Rules& rules) {
    return rules.Repeat(AddChars(CharSet(0x20, 0x7E), Spelling::kJson, rules), 0, Rules::kNoLimit);
  });
}

// The properties that are not named one by one.
Id Others(const ObjectParts& parts, JsonText& json) {
  Rules& rules = json.rules();
  if (parts.patterns.empty()) return json.Member(json.NotOneOf(parts.names), *parts.others);
  const Dfa named = NamesIn(parts.names);
  std::vector<Dfa> matching;
  matching.reserve(parts.patterns.size());
  for (const auto& pattern : parts.patterns) matching.push_back(NamesMatching(pattern.names));
  // Names that match several patterns are left out.
  std::vector<Id> members;
  for (size_t i = 0; i < matching.size(); ++i) {
    Dfa own = matching[i].Minus(named);
    if (matching.size() > 1) own = own.And(PlainNames());
    for (size_t j = 0; j < matching.size(); ++j) {
      if (j != i) own = own.Minus(matching[j]);
    }
    members.push_back(json.Member(json.Quoted(own.AddTo(rules)), parts.patterns[i].value));
  }
  if (parts.others) {
    Dfa rest = PlainNames().Minus(named);
    for (const Dfa& one : matching) rest = rest.Minus(one);
    members.push_back(json.Member(json.Quoted(rest.AddTo(rules)), *parts.others));
  }
  return rules.Choice(std::move(members));
}

}  // namespace

Id AddArray(const ArrayParts& parts, JsonText& json) {
  Rules& rules = json.rules();
  if (parts.least > parts.most) return rules.Nothing();
  const auto first = static_cast<uint32_t>(std::min<size_t>(parts.first.size(), parts.most));
  std::vector<Id> list = {json.Open('[')};
  for (uint32_t i = 0; i < first; ++i) {
    if (i > 0) list.push_back(json.Comma());
    list.push_back(parts.first[i]);
  }
  const uint32_t least = std::max(parts.least, first) - first;
  const uint32_t most = parts.most == Rules::kNoLimit ? parts.most : parts.most - first;
  if (parts.rest && most > 0) {
    const Id more = rules.Sequence({json.Comma(), *parts.rest});
    if (first > 0) {
      list.push_back(rules.Repeat(more, least, most));
    } else {
      const uint32_t others = most == Rules::kNoLimit ? most : most - 1;
      const Id items = rules.Sequence(
          {*parts.rest, rules.Repeat(more, std::max(least, 1u) - 1, others), json.Blank()});
      list.push_back(least == 0 ? rules.Optional(items) : items);
    }
  } else if (least > 0) {
    return rules.Nothing();
  }
  list.push_back(first > 0 ? json.Close(']') : rules.Bytes("]"));
  return rules.Sequence(std::move(list));
}

Id AddDistinct(const std::vector<Id>& items, uint32_t least, uint32_t most, JsonText& json) {
  if (least > most || least > items.size()) return json.rules().Nothing();
  ListGraph graph(json, '[', ']', CountUpTo(least, most, 0, items.size()), least, most);
  for (size_t i = 0; i < items.size(); ++i) graph.AddPart(i, items[i], false);
  return graph.Build(items.size());
}

Id AddObject(const ObjectParts& parts, JsonText& json) {
  const auto required = static_cast<size_t>(std::count_if(
      parts.properties.begin(), parts.properties.end(), [](const auto& p) { return p.required; }));
  const bool others = parts.others || !parts.patterns.empty();
  const uint32_t most = parts.most;
  const size_t possible = others ? Rules::kNoLimit : parts.properties.size();
  if (parts.least > most || required > most || parts.least > possible)
    return json.rules().Nothing();
  const uint32_t cap = CountUpTo(parts.least, most, required, possible);
  // What others repeat may be the same name, which counts once.
  const bool counted = most < possible;
  if (others && counted && parts.least > required + 1) {
    throw Error(ErrorKind::kBadInput,
                "minProperties and maxProperties together are not supported for properties that "
                "are not listed");
  }
  ListGraph graph(json, '{', '}', cap, cap == 0 ? 0 : std::min(parts.least, cap), most);
  for (size_t i = 0; i < parts.properties.size(); ++i) {
    graph.AddPart(i, parts.properties[i].member, parts.properties[i].required);
  }
  if (others) graph.AddOthers(parts.properties.size(), Others(parts, json), counted);
  return graph.Build(parts.properties.size());
}

}  // namespace linnet
