#include "mask_walks/json_differences.h"

namespace linnet {
namespace {

bool Blank(char c) { return c == ' ' || c == '\n' || c == '\t' || c == '\r'; }
bool Digit(char c) { return c >= '0' && c <= '9'; }

}  // namespace

uint32_t JsonPlace::Read(std::string_view bytes) {
  uint32_t features = kAny;
  for (const char c : bytes) features |= ReadByte(c);
  return features;
}

uint32_t JsonPlace::InString(char c) {
  const uint32_t here = name_ ? kInName : kInValue;
  if (in_ == In::kEscape) {
    in_ = c == 'u' ? In::kCode : In::kString;
    code_ = 0;
    return here | (c == '/' ? kSlashEscape : 0u) | (c == 'u' ? kCode : 0u);
  }
  if (in_ == In::kCode) {
    if (code_ == 0) surrogate_ = c == 'd' || c == 'D';
    const bool second = surrogate_ && code_ == 1 && !(c >= '0' && c <= '7');
    if (++code_ == 4) in_ = In::kString;
    return here | kCode | (second ? kSurrogate : 0u);
  }
  if (c == '\\') {
    in_ = In::kEscape;
    return here;
  }
  if (c == '"') in_ = In::kNothing;
  return here | (c == 0x7F ? kDelete : 0u);
}

uint32_t JsonPlace::InNumber(char c) {
  uint32_t features = 0;
  if (c == '.' || c == 'e' || c == 'E') part_ = c == '.' ? '.' : 'e';
  if (c >= '1' && c <= '9' && part_ != 'e') minus_zero_ = false;
  if (minus_zero_ && whole_ + uint32_t{c == '0'} > 0) features |= kMinusZero;
  if (Digit(c)) {
    uint32_t& digits = part_ == '.' ? fraction_ : part_ == 'e' ? exponent_ : whole_;
    ++digits;
    if (part_ == '.' && c == '0') features |= kFractionZero;
  }
  if (whole_ > 18 || fraction_ > 15 || exponent_ > 2) {
    features |= kLongNumber;
  }
  if (whole_ > 9 || fraction_ > 6 || part_ == 'e') features |= kMoreDigits;
  return features;
}

uint32_t JsonPlace::ReadByte(char c) {
  if (in_ == In::kString || in_ == In::kEscape || in_ == In::kCode) return InString(c);
  uint32_t features = 0;
  if (in_ == In::kNumber) {
    if (Digit(c) || c == '.' || c == 'e' || c == 'E' || c == '+' || c == '-') return InNumber(c);
    in_ = In::kNothing;
    last_ = '0';
    if (minus_zero_ && whole_ > 0) features |= kMinusZero;
  }
  if (Blank(c)) return features | (last_ == ',' || last_ == ':' ? 0u : uint32_t{kBlankInBrackets});
  const bool in_object = !open_.empty() && open_.back() == '{';
  const bool name = in_object && (last_ == '{' || last_ == ',');
  if (!name && (last_ == 0 || last_ == ':' || last_ == '[' || (last_ == ',' && !in_object))) {
    features |= kBegins;
  }
  if (c == '"') {
    in_ = In::kString;
    name_ = name;
    last_ = c;
    return features | (name_ ? kInName : kInValue);
  }
  if (Digit(c) || c == '-') {
    in_ = In::kNumber;
    whole_ = fraction_ = exponent_ = 0;
    part_ = 0;
    minus_zero_ = c == '-';
    return features | InNumber(c);
  }
  if (c == '{' || c == '[') open_.push_back(c);
  if ((c == '}' || c == ']') && !open_.empty()) open_.pop_back();
  last_ = c;
  return features | (c == ',' && in_object ? uint32_t{kInName} : 0u);
}

std::span<const JsonDifference> JsonDifferences() {
  using Place = JsonPlace;
  static constexpr JsonDifference kAll[] = {
      {"blanks inside brackets", true, true, Place::kBlankInBrackets},
      {"the escape \\/", true, true, Place::kSlashEscape},
      {"the byte 7F as it is", true, true, Place::kDelete},
      {"surrogate pairs", false, true, Place::kSurrogate},
      {"numbers with more digits", false, true, Place::kLongNumber},
      {"numbers between bounds with more digits", false, false, Place::kMoreDigits},
      {"zeros after the digits of a bound", true, false, Place::kFractionZero},
      {"-0 between bounds", false, false, Place::kMinusZero},
      {"formats", false, false, Place::kInValue},
      {"patterns", false, false, Place::kInValue | Place::kInName},
      {"codes of characters that have an escape of their own", false, false, Place::kCode},
      {"types that keywords do not speak of", false, false, Place::kBegins},
      {"the order of properties of merged schemas", true, false, Place::kAny},
      {"the order of properties of merged schemas", false, false, Place::kAny},
      {"properties that are not listed", false, false, Place::kInName},
  };
  return kAll;
}

}  // namespace linnet
