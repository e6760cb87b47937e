// States that leave the server: what comes back is what went out, or is refused.
#include "engine/signed_state.h"

#include <gtest/gtest.h>

#include <cmath>
#include <functional>

#include "base/sha256.h"
#include "engine/test_states.h"
#include "linnet/error.h"

namespace linnet {
namespace {

constexpr size_t kVocab = 11;

class SignedStateTest : public testing::TestWithParam<Generation> {
 protected:
  Snapshot At(bool logits) const {
    const test::TextTokens tokens = {1, 2, 3};
    Snapshot at{test::StateOf(shape_, "owner", tokens), {}, tokens.size()};
    for (size_t i = 0; logits && i < kVocab; ++i) at.logits.push_back(0.1f * static_cast<float>(i));
    return at;
  }
  std::vector<std::byte> Sign(const Snapshot& at, StateCoding coding = StateCoding::kLossless) {
    return SignState(at, {.identity = identity_, .tokens = 3, .made = 5}, coding, Key("secret"));
  }
  SignedState Open(std::span<const std::byte> bytes) {
    return OpenSignedState(bytes, shape_, identity_, kVocab, Key("secret"));
  }
  static std::span<const std::byte> Key(std::string_view text) {
    return std::as_bytes(std::span(text));
  }

  const StateShape shape_ = test::SmallShape(GetParam());
  const std::string identity_ = Hex(Sha256Of("an execution"));
};

TEST_P(SignedStateTest, ComesBackBitForBit) {
  for (const bool logits : {false, true}) {
    const Snapshot at = At(logits);
    const auto bytes = Sign(at);
    const SignedState back = Open(bytes);
    EXPECT_EQ(test::BytesOf(back.snapshot.state), test::BytesOf(at.state));
    EXPECT_EQ(back.snapshot.logits, at.logits);
    EXPECT_EQ(back.snapshot.tokens, 3u);
    EXPECT_TRUE(back.facts.lossless);
    EXPECT_FALSE(back.facts.tuned);
    EXPECT_EQ(back.facts.made, 5);
    EXPECT_EQ(ReadSignedFacts(bytes, Key("secret")).identity, identity_);
  }
}

TEST_P(SignedStateTest, HalfIsSmallerCloseAndSaysSo) {
  const Snapshot at = At(true);
  const auto bytes = Sign(at, StateCoding::kHalf);
  const SignedState back = Open(bytes);
  if (at.state.past() != nullptr) {  // rows per token keep all bits
    EXPECT_TRUE(back.facts.lossless);
    EXPECT_EQ(test::BytesOf(back.snapshot.state), test::BytesOf(at.state));
    return;
  }
  EXPECT_FALSE(back.facts.lossless);
  // The test's numbers are of a thousand values each, and a small state of them may pack better.
  if (at.state.bytes() > 4096) {
    EXPECT_LT(bytes.size(), Sign(at).size());
  }
  const auto values = at.state.values(), read = back.snapshot.state.values();
  for (size_t i = 0; i < values.size(); ++i) {
    EXPECT_NEAR(values[i], read[i], std::abs(values[i]) / 1024 + 1e-6f);
  }
  // What is lost stays lost.
  const auto again = SignState(back.snapshot, back.facts, StateCoding::kLossless, Key("secret"));
  EXPECT_FALSE(Open(again).facts.lossless);
}

TEST_P(SignedStateTest, AnyChangeOrOtherKeyOrModelIsRefused) {
  const auto bytes = Sign(At(true));
  const auto refused = [&](const std::function<void()>& open, const char* why) {
    try {
      open();
      ADD_FAILURE() << "accepted, expected: " << why;
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::kBadState);
      EXPECT_NE(std::string(error.what()).find(why), std::string::npos) << error.what();
    }
  };
  for (size_t at = 0; at < bytes.size(); at += at < 80 ? 1 : 97) {
    auto changed = bytes;
    changed[at] ^= std::byte{1};
    refused([&] { Open(changed); }, at < 12 ? "no signed state" : "changed");
  }
  for (const size_t size : {size_t{0}, size_t{79}, size_t{111}}) {
    refused([&] { Open(std::span(bytes).first(size)); }, "cut off");
  }
  refused([&] { Open(std::span(bytes).first(bytes.size() - 1)); }, "changed");
  refused([&] { OpenSignedState(bytes, shape_, identity_, kVocab, Key("other")); }, "changed");
  refused([&] { OpenSignedState(bytes, shape_, Hex(Sha256Of("x")), kVocab, Key("secret")); },
          "another model");
  refused([&] { OpenSignedState(bytes, shape_, identity_, kVocab + 1, Key("secret")); }, "logits");
}

INSTANTIATE_TEST_SUITE_P(Generations, SignedStateTest,
                         testing::Values(Generation::k7, Generation::k4, Generation::kGoldFinch),
                         [](const auto& param) { return test::NameOf(param.param); });

}  // namespace
}  // namespace linnet
