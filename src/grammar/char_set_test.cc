#include "grammar/char_set.h"

#include <gtest/gtest.h>

#include <random>
#include <set>

#include "grammar/grammar.h"
#include "grammar/test_constraints.h"
#include "text/utf8.h"

namespace linnet {
namespace {

TEST(CharSetTest, OperationsAreThoseOfSets) {
  std::mt19937 random(1);
  const auto near = [&] { return static_cast<char32_t>(0xD7F0 + random() % 0x820); };
  for (int round = 0; round < 50; ++round) {
    CharSet a, b;
    std::set<char32_t> in_a, in_b;
    for (int i = 0; i < 8; ++i) {
      const char32_t first = near(), last = first + static_cast<char32_t>(random() % 60);
      (i % 2 == 0 ? a : b).Add(first, last);
      for (char32_t c = first; c <= last; ++c) {
        if (c < 0xD800 || c > 0xDFFF) (i % 2 == 0 ? in_a : in_b).insert(c);
      }
    }
    const CharSet both = a.And(b), rest = a.Minus(b), outside = a.Complement();
    for (char32_t c = 0xD7E0; c < 0xE0A0; ++c) {
      const bool scalar = c < 0xD800 || c > 0xDFFF;
      EXPECT_EQ(a.Contains(c), in_a.contains(c));
      EXPECT_EQ(both.Contains(c), in_a.contains(c) && in_b.contains(c));
      EXPECT_EQ(rest.Contains(c), in_a.contains(c) && !in_b.contains(c));
      EXPECT_EQ(outside.Contains(c), scalar && !in_a.contains(c)) << uint32_t{c};
    }
    EXPECT_EQ(outside.Complement(), a);
  }
}

// The bytes of characters are read by states that are shared: no other bytes may pass.
TEST(CharSetTest, ClassesMatchTheBytesOfTheirCharactersOnly) {
  for (const char* const regex :
       {"[^a]", "[\\x{7F}-\\x{81}]", "[\\x{7FF}-\\x{800}\\x{FFFF}-\\x{10000}]",
        "[\\x{3}-\\x{10FFFE}]", "[ä-ö一-龥😀-😃]"}) {
    const auto grammar = Grammar::FromRegex(regex);
    const auto matches = [&](char32_t c) {
      std::string bytes;
      AppendUtf8(c, bytes);
      return Matches(grammar, bytes);
    };
    const std::string_view all = regex;
    for (const char32_t c :
         {0x0,     0x3,     0x61,    0x7E,    0x7F,    0x80,    0x81,     0x82,
          0xE3,    0xE4,    0xF6,    0xF7,    0x7FE,   0x7FF,   0x800,    0x801,
          0x4DFF,  0x4E00,  0x9FA5,  0x9FA6,  0xD7FF,  0xE000,  0xFFFE,   0xFFFF,
          0x10000, 0x10001, 0x1F5FF, 0x1F600, 0x1F603, 0x1F604, 0x10FFFE, 0x10FFFF}) {
      bool expected = false;
      if (all == "[^a]") expected = c != 'a';
      if (all == "[\\x{7F}-\\x{81}]") expected = c >= 0x7F && c <= 0x81;
      if (all.starts_with("[\\x{7FF}")) {
        expected = c == 0x7FF || c == 0x800 || c == 0xFFFF || c == 0x10000;
      }
      if (all.starts_with("[\\x{3}")) expected = c >= 3 && c <= 0x10FFFE;
      if (all.starts_with("[ä")) {
        expected = (c >= 0xE4 && c <= 0xF6) || (c >= 0x4E00 && c <= 0x9FA5) ||
                   (c >= 0x1F600 && c <= 0x1F603);
      }
      EXPECT_EQ(matches(c), expected) << regex << ' ' << std::hex << uint32_t{c};
    }
    // Longer forms, surrogates, what is past the end, lone bytes.
    for (const char* const bytes :
         {"\xC0\x80", "\xC1\xBF", "\xE0\x80\x80", "\xE0\x9F\xBF", "\xED\xA0\x80",
          "\xF0\x80\x80\x80", "\xF4\x90\x80\x80", "\xF5\x80\x80\x80", "\x80", "\xFF"}) {
      EXPECT_FALSE(Matches(grammar, bytes)) << regex;
    }
  }
}

}  // namespace
}  // namespace linnet
