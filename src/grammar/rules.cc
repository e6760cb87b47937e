#include "grammar/rules.h"

#include <fmt/format.h>

#include <utility>

#include "linnet/error.h"

namespace linnet {
namespace {

constexpr size_t kMostExpressions = size_t{1} << 20;
constexpr uint32_t kManyRepeats = 1000;

}  // namespace

Rules::Rules() : expressions_{{.kind = Kind::kNothing}, {.kind = Kind::kEmpty}} {}

Rules::Id Rules::Add(const Expression& expression) {
  total_ += 1 + (expression.kind == Kind::kSequence || expression.kind == Kind::kChoice
                     ? parts_.back().size()
                     : 0);
  if (expression.kind == Kind::kGraph) total_ += edges_.back().size();
  if (expression.kind == Kind::kBytes) total_ += bytes_.back().size() / 16;
  if (total_ > kMostExpressions) {
    throw Error(ErrorKind::kBadInput,
                fmt::format("too large: more than {} expressions", kMostExpressions));
  }
  expressions_.push_back(expression);
  return static_cast<Id>(expressions_.size() - 1);
}

Rules::Id Rules::Bytes(std::string_view bytes) {
  if (bytes.empty()) return Empty();
  bytes_.emplace_back(bytes);
  return Add({.kind = Kind::kBytes, .index = static_cast<uint32_t>(bytes_.size() - 1)});
}

Rules::Id Rules::Byte(uint8_t low, uint8_t high) {
  return Add({.kind = Kind::kByte, .low = low, .high = high});
}

Rules::Id Rules::Chars(const CharSet& set) {
  if (set.empty()) return Nothing();
  const auto [at, fresh] = char_ids_.emplace(set, 0);
  if (fresh) {
    chars_.push_back(&at->first);
    total_ += set.ranges().size();
    at->second = Add({.kind = Kind::kChars, .index = static_cast<uint32_t>(chars_.size() - 1)});
  }
  return at->second;
}

Rules::Id Rules::Sequence(std::vector<Id> parts) {
  std::erase(parts, Empty());
  for (const Id part : parts) {
    if (part == Nothing()) return Nothing();
  }
  if (parts.empty()) return Empty();
  if (parts.size() == 1) return parts.front();
  parts_.push_back(std::move(parts));
  return Add({.kind = Kind::kSequence, .index = static_cast<uint32_t>(parts_.size() - 1)});
}

Rules::Id Rules::Choice(std::vector<Id> parts) {
  std::erase(parts, Nothing());
  if (parts.empty()) return Nothing();
  if (parts.size() == 1) return parts.front();
  parts_.push_back(std::move(parts));
  return Add({.kind = Kind::kChoice, .index = static_cast<uint32_t>(parts_.size() - 1)});
}

Rules::Id Rules::Repeat(Id part, uint32_t least, uint32_t most) {
  if (most == 0 || part == Empty()) return Empty();
  if (least == 1 && most == 1) return part;
  if (part == Nothing()) return least == 0 ? Empty() : Nothing();
  if (least > kManyRepeats || (most != kNoLimit && most > kManyRepeats)) {
    return RepeatInBlocks(part, least, most);
  }
  parts_.push_back({part});
  return Add({.kind = Kind::kRepeat,
              .least = least,
              .most = most,
              .index = static_cast<uint32_t>(parts_.size() - 1)});
}

// Many repetitions are those of blocks: a thousand times a thousand takes two thousand states.
Rules::Id Rules::RepeatInBlocks(Id part, uint32_t least, uint32_t most) {
  constexpr uint32_t kBlock = kManyRepeats;
  const uint32_t rule = NewRule();
  SetRule(rule, Repeat(part, kBlock, kBlock));
  const auto blocks = [&](uint32_t first, uint32_t last) {
    return Repeat(Rule(rule), first, last);
  };
  const auto times = [&](uint32_t count) {
    return Sequence(
        {blocks(count / kBlock, count / kBlock), Repeat(part, count % kBlock, count % kBlock)});
  };
  if (most == kNoLimit) return Sequence({times(least), Repeat(part, 0, kNoLimit)});
  // Up to `more` further ones: fewer blocks than fit and a part of one, or all that fit and the
  // rest.
  const uint32_t more = most - least, full = more / kBlock;
  if (full == 0) return Sequence({times(least), Repeat(part, 0, more)});
  return Sequence(
      {times(least), Choice({Sequence({blocks(0, full - 1), Repeat(part, 0, kBlock - 1)}),
                             Sequence({blocks(full, full), Repeat(part, 0, more % kBlock)})})});
}

Rules::Id Rules::Graph(uint32_t nodes, std::vector<Edge> edges) {
  edges_.push_back(std::move(edges));
  return Add(
      {.kind = Kind::kGraph, .index = static_cast<uint32_t>(edges_.size() - 1), .nodes = nodes});
}

uint32_t Rules::NewRule() {
  Add({.kind = Kind::kEmpty});  // counted
  bodies_.push_back(Nothing());
  return static_cast<uint32_t>(bodies_.size() - 1);
}

Rules::Id Rules::Rule(uint32_t rule) { return Add({.kind = Kind::kRule, .index = rule}); }

}  // namespace linnet
