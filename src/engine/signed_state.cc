#include "engine/signed_state.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <string_view>
#include <utility>

#include "base/sha256.h"
#include "engine/state_store_blob.h"
#include "io/tensor_file.h"
#include "linnet/error.h"
#include "models/state_file.h"

namespace linnet {
namespace {

static_assert(std::endian::native == std::endian::little, "signed states are little-endian");

constexpr std::string_view kSignedMagic = "signed state";
constexpr uint32_t kSignedVersion = 1;
enum SignedFlags : uint32_t { kLossyFlag = 1, kTunedFlag = 2, kCompressedFlag = 4, kAllFlags = 7 };

struct SignedHead {
  char magic[12];
  uint32_t version;
  uint32_t flags;
  uint32_t reserved;  // 0
  uint64_t tokens;
  int64_t made;
  uint64_t state_bytes;  // before they were compressed
  Digest identity;
};
static_assert(sizeof(SignedHead) == 80);

Error BadSigned(const std::string& what) { return {ErrorKind::kBadState, "the state " + what}; }

SignedHead ReadSignedHead(std::span<const std::byte> bytes, std::span<const std::byte> key) {
  SignedHead head;
  if (bytes.size() < sizeof head + sizeof(Digest)) throw BadSigned("is cut off");
  std::memcpy(&head, bytes.data(), sizeof head);
  if (std::string_view(head.magic, sizeof head.magic) != kSignedMagic) {
    throw BadSigned("is no signed state, as return_state gives them");
  }
  const auto text = bytes.first(bytes.size() - sizeof(Digest));
  if (!SameDigest(bytes.last(sizeof(Digest)), HmacSha256(key, text))) {
    throw BadSigned("was changed, or another server's key has signed it");
  }
  if (head.version != kSignedVersion || head.reserved != 0 || head.flags > kAllFlags) {
    throw BadSigned(
        fmt::format("has version {}, this program reads {}", head.version, kSignedVersion));
  }
  return head;
}

StateFacts FactsOf(const SignedHead& head) {
  return {.identity = Hex(head.identity),
          .tokens = head.tokens,
          .made = head.made,
          .lossless = (head.flags & kLossyFlag) == 0,
          .tuned = (head.flags & kTunedFlag) != 0};
}

// f16 has more bits of precision, bf16 the range of RWKV-4's exponents.
SourceType HalfFor(const Snapshot& at) {
  constexpr float kLargestF16 = 65504;
  const auto fits = [](float x) { return std::abs(x) <= kLargestF16; };
  const auto values = at.state.values();
  const bool f16 = std::all_of(values.begin(), values.end(), fits) &&
                   std::all_of(at.logits.begin(), at.logits.end(), fits);
  return f16 ? SourceType::kF16 : SourceType::kBF16;
}

}  // namespace

std::vector<std::byte> SignState(const Snapshot& at, StateFacts facts, StateCoding coding,
                                 std::span<const std::byte> key) {
  const auto identity = ParseDigest(facts.identity);
  if (!identity) throw Error(ErrorKind::kBadInput, "the state has no execution identity");
  const bool half = coding == StateCoding::kHalf && at.state.past() == nullptr;
  const std::vector<std::byte> raw =
      SavedBytes(at.state, at.logits, half ? HalfFor(at) : SourceType::kF32);
  const std::vector<std::byte> packed = half ? std::vector<std::byte>() : CompressedFloats(raw);
  const std::span<const std::byte> payload = packed.empty() ? raw : packed;
  SignedHead head{};
  std::copy(kSignedMagic.begin(), kSignedMagic.end(), head.magic);
  head.version = kSignedVersion;
  if (half || !facts.lossless) head.flags |= kLossyFlag;
  if (facts.tuned) head.flags |= kTunedFlag;
  if (!packed.empty()) head.flags |= kCompressedFlag;
  head.tokens = std::max(facts.tokens, at.state.tokens());
  head.made = facts.made;
  head.state_bytes = raw.size();
  head.identity = *identity;
  std::vector<std::byte> bytes;
  bytes.reserve(sizeof head + payload.size() + sizeof(Digest));
  const auto add = [&](std::span<const std::byte> part) {
    const size_t at_byte = bytes.size();
    bytes.resize(at_byte + part.size());
    if (!part.empty()) std::memcpy(bytes.data() + at_byte, part.data(), part.size());
  };
  add(std::as_bytes(std::span(&head, 1)));
  add(payload);
  add(HmacSha256(key, bytes));
  return bytes;
}

StateFacts ReadSignedFacts(std::span<const std::byte> bytes, std::span<const std::byte> key) {
  return FactsOf(ReadSignedHead(bytes, key));
}

SignedState OpenSignedState(std::span<const std::byte> bytes, const StateShape& shape,
                            const std::string& identity, size_t vocab,
                            std::span<const std::byte> key) {
  const SignedHead head = ReadSignedHead(bytes, key);
  StateFacts facts = FactsOf(head);
  if (facts.identity != identity) {
    throw BadSigned(fmt::format(
        "was computed by another model, or with other formats or instructions: its execution "
        "identity begins with {}, this model's with {}",
        facts.identity.substr(0, 12), identity.substr(0, 12)));
  }
  const auto payload = bytes.subspan(sizeof head, bytes.size() - sizeof head - sizeof(Digest));
  if (head.state_bytes > MostStateBytes(shape, head.tokens, vocab)) throw BadSigned("is too large");
  std::vector<std::byte> raw;
  if ((head.flags & kCompressedFlag) != 0) raw = DecompressedFloats(payload, head.state_bytes);
  const TensorFile file = TensorFile::Parse(raw.empty() ? payload : raw, "the state");
  SignedState opened{{ReadState(file, shape), ReadLogits(file), facts.tokens}, facts};
  if (!opened.snapshot.logits.empty() && opened.snapshot.logits.size() != vocab) {
    throw BadSigned(
        fmt::format("has {} logits, expected {}", opened.snapshot.logits.size(), vocab));
  }
  return opened;
}

}  // namespace linnet
