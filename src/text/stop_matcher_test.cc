#include <gtest/gtest.h>

#include <random>
#include <string>
#include <vector>

#include "linnet/sampler.h"

namespace linnet {
namespace {

struct Outcome {
  std::string text;
  bool stopped;
  bool operator==(const Outcome&) const = default;
};

// By definition: cut where the first stop string to end begins, the longest of
// those that end together.
Outcome Oracle(const std::vector<std::string>& stops, const std::string& text) {
  for (size_t end = 1; end <= text.size(); ++end) {
    size_t longest = 0;
    for (const std::string& stop : stops) {
      if (!stop.empty() && text.substr(0, end).ends_with(stop)) {
        longest = std::max(longest, stop.size());
      }
    }
    if (longest > 0) return {text.substr(0, end - longest), true};
  }
  return {text, false};
}

TEST(StopMatcherTest, HoweverTheTextIsCutTheSameComesOut) {
  std::mt19937 random(3);
  for (int round = 0; round < 20000; ++round) {
    const auto word = [&](size_t longest) {
      std::string out(random() % (longest + 1), 'a');
      for (char& c : out) c = "ab\n"[random() % 3];
      return out;
    };
    std::vector<std::string> stops;
    for (size_t i = random() % 4; i > 0; --i) stops.push_back(word(5));
    const std::string text = word(30);
    StopMatcher matcher(stops);
    std::string out;
    for (size_t at = 0; at < text.size();) {
      const size_t part = 1 + random() % 6;
      out += matcher.Push(text.substr(at, part));
      at += part;
      EXPECT_TRUE(text.starts_with(out)) << "nothing that comes out is taken back";
    }
    const bool stopped = matcher.stopped();
    out += matcher.Finish();
    ASSERT_EQ((Outcome{out, stopped}), Oracle(stops, text)) << text;
  }
}

TEST(StopMatcherTest, HoldsBackOnlyWhatMayStillBecomeAStop) {
  StopMatcher matcher({"\n\nUser:", "END"});
  EXPECT_EQ(matcher.Push("Hello"), "Hello");
  EXPECT_EQ(matcher.Push(" there\n"), " there");
  EXPECT_EQ(matcher.held(), 1u);
  EXPECT_EQ(matcher.Push("\n"), "");
  EXPECT_EQ(matcher.Push("\n"), "\n");  // the last two may begin a stop
  EXPECT_EQ(matcher.Push("Use"), "");
  EXPECT_EQ(matcher.Push("s"), "\n\nUses");
  EXPECT_EQ(matcher.held(), 0u);
  EXPECT_EQ(matcher.Push("\n\nUser: more"), "");
  EXPECT_TRUE(matcher.stopped());
  EXPECT_EQ(matcher.Push("nothing after"), "");
  EXPECT_EQ(matcher.Finish(), "");
}

TEST(StopMatcherTest, FinishGivesWhatWasHeldBack) {
  StopMatcher matcher({"wolf"});
  EXPECT_EQ(matcher.Push("a wo"), "a ");
  EXPECT_EQ(matcher.Finish(), "wo");
  EXPECT_FALSE(matcher.stopped());
  EXPECT_EQ(matcher.Push("lf"), "lf") << "the end was the end";
}

TEST(StopMatcherTest, WholeCharactersInWholeCharactersOut) {
  StopMatcher matcher({"é"});
  EXPECT_EQ(matcher.Push("aè"), "aè");  // shares its first byte with the stop
  EXPECT_EQ(matcher.Push("bé!"), "b");
  EXPECT_TRUE(matcher.stopped());
}

}  // namespace
}  // namespace linnet
