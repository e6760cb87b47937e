// Signed states: states that leave the server and come back, in a form that nobody else can make.
#ifndef LINNET_ENGINE_SIGNED_STATE_H_
#define LINNET_ENGINE_SIGNED_STATE_H_

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "engine/sequence.h"
#include "linnet/state.h"

namespace linnet {

// What is known of a state besides its values.
struct StateFacts {
  std::string identity{};  // Model::Identity of what computed it, 64 hex digits
  size_t tokens = 0;       // of the text that it is the state after; 0 if nobody knows
  int64_t made = 0;        // Unix time
  bool lossless = true;    // the bits that were computed
  bool tuned = false;      // an initial state: only S is set
};

struct SignedState {
  Snapshot snapshot;
  StateFacts facts;
};

// How floats are written.
enum class StateCoding : uint8_t {
  kLossless,  // all bits, compressed if that helps
  kHalf,      // rounded to 16 bits; a state with rows per token is kLossless all the same
};

// The bytes of a state with its logits, if it has any, and the signature: HMAC-SHA256 with `key`
// over everything. docs/http-api.md has the format. The state of kHalf has `facts.lossless` false.
// Throws Error kBadInput for an identity that is no digest; std::bad_alloc.
std::vector<std::byte> SignState(const Snapshot& at, StateFacts facts, StateCoding coding,
                                 std::span<const std::byte> key);

// The facts, if `key` has signed these bytes. Throws Error kBadState if not.
StateFacts ReadSignedFacts(std::span<const std::byte> bytes, std::span<const std::byte> key);

// The state, if `key` has signed these bytes, and if a model of this shape, identity and vocabulary
// computed it. Nothing is read before the signature was checked. Throws Error kBadState that says
// which of these is not so.
SignedState OpenSignedState(std::span<const std::byte> bytes, const StateShape& shape,
                            const std::string& identity, size_t vocab,
                            std::span<const std::byte> key);

}  // namespace linnet

#endif  // LINNET_ENGINE_SIGNED_STATE_H_
