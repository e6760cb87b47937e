// Where Linnet and llguidance mean to allow different JSON texts: docs/grammars.md names each.
#ifndef LINNET_TESTS_MASK_WALKS_JSON_DIFFERENCES_H_
#define LINNET_TESTS_MASK_WALKS_JSON_DIFFERENCES_H_

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

namespace linnet {

// A place in a JSON text, byte by byte, and what the bytes are.
class JsonPlace {
 public:
  enum Feature : uint32_t {
    kBlankInBrackets = 1,  // after an opening bracket or before a closing one
    kSlashEscape = 2,      // \/
    kSurrogate = 4,        // \ud8..\udf
    kDelete = 8,           // 0x7F as it is
    kLongNumber = 16,      // more digits than Linnet writes
    kCode = 32,            // \uXXXX
    kBegins = 64,          // the first byte of a value
    kInValue = 128,        // in a string that is a value, or its quotes
    kInName = 256,         // the same of a name, or the comma before it
    kMoreDigits = 512,     // of a number, than Linnet writes where there are bounds
    kMinusZero = 1024,     // a character of a number that is -0 so far, or what ends it
    kFractionZero = 2048,  // a digit 0 after the point
    kAny = 4096,           // all bytes
  };

  // Goes on, and returns the features of the bytes.
  uint32_t Read(std::string_view bytes);

 private:
  enum class In : uint8_t { kNothing, kString, kEscape, kCode, kNumber };
  uint32_t ReadByte(char c);
  uint32_t InString(char c);
  uint32_t InNumber(char c);

  std::vector<char> open_;  // brackets
  In in_ = In::kNothing;
  bool name_ = false;                                 // of a property
  char last_ = 0;                                     // outside of strings and numbers, no blank
  uint32_t code_ = 0;                                 // digits of an escape
  bool surrogate_ = false;                            // which begins with d
  uint32_t whole_ = 0, fraction_ = 0, exponent_ = 0;  // digits
  char part_ = 0;                                     // of a number
  bool minus_zero_ = false;                           // it is negative, and all digits are 0
};

struct JsonDifference {
  const char* name;
  bool ours;          // only Linnet allows it; or only llguidance
  bool always;        // or only where the case names it
  uint32_t features;  // one of which it has
};
std::span<const JsonDifference> JsonDifferences();

}  // namespace linnet

#endif  // LINNET_TESTS_MASK_WALKS_JSON_DIFFERENCES_H_
