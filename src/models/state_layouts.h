// Converts states to and from the layouts of other programs.
#ifndef LINNET_MODELS_STATE_LAYOUTS_H_
#define LINNET_MODELS_STATE_LAYOUTS_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "linnet/state.h"

namespace linnet {

// Per layer, and S is one [N, N] matrix a head:
enum class StateLayout : uint8_t {
  // ChatRWKV's list: safetensors `state.000` …: att_x, aa, bb, pp, ffn_x (v4) or
  // att_x, S, ffn_x, with S as [key][value] in v5 and v6, [value][key] in v7. The only one that
  // stores rows per token; token ids may be I32 or I64.
  kReference,
  // rwkv.cpp's buffer, raw f32: ffn_x, att_x, aa, bb, pp or ffn_x, att_x, S, with S as in the
  // reference.
  kRwkvCpp,
  // web-rwkv's and Ai00's tensor, safetensors `state`: [1, 1, 5L, C] with rows att_x, aa, bb, pp,
  // ffn_x (v4), or [1, L, N + 2, C] with rows att_x, S's N keys (each a value of every head: column
  // h N + value), ffn_x.
  kWebRwkv,
  // BlinkDL's tuned initial state: `blocks.N.att.time_state`, S only, as [value][key] in every
  // generation (v4 has none). Shifts start at zero, and no rows per token are kept yet: a state
  // that has some is refused.
  kTimeState,
  // The state files of RWKV-Runner (1.9.11): it writes none, and reads tuned states as kTimeState
  // from files of PyTorch whose name ends in .pth, with nothing else in them.
  kRwkvRunner,
};

// "reference", "rwkv.cpp", "web-rwkv", "time_state", "rwkv-runner".
std::optional<StateLayout> ParseStateLayout(std::string_view name);

// The file appears only when complete. Throws Error: kIo, kBadState if the layout cannot store this
// state, kBadInput for a name that its program does not open.
void ExportState(const State& state, StateLayout layout, const std::filesystem::path& path);

// The bytes of that file; those of kTimeState are safetensors. Throws Error kBadState.
std::vector<std::byte> ExportedState(const State& state, StateLayout layout);

// Whether the layout stores S only.
bool IsTuned(StateLayout layout);

// Reads a file written by ExportState or the other program, for a model of this shape; the state
// gets the model's hash. kWebRwkv also reads Ai00's converted tuned states:
// `blocks.N.att.time_state` as [key][value]. Throws Error: kIo, kBadState with the sizes found and
// expected.
State ImportState(const std::filesystem::path& path, StateLayout layout, const StateShape& model);
// The same of a file's bytes; `name` is for messages.
State ImportState(std::span<const std::byte> bytes, const std::string& name, StateLayout layout,
                  const StateShape& model);

// web-rwkv's tensor in memory, as Ai00's clients send it: the values in the order of the file, the
// shape from the fastest dimension to the slowest, [C, N + 2, L, 1] (v4: [C, 5L, 1, 1]).
struct WebRwkvTensor {
  std::vector<float> values{};
  std::array<size_t, 4> shape{};
};
// Throws Error kBadState if the layout cannot store this state.
WebRwkvTensor ToWebRwkv(const State& state);
// Throws Error kBadState with the sizes found and expected, or if a value is not finite.
State FromWebRwkv(const WebRwkvTensor& tensor, const StateShape& model);

}  // namespace linnet

#endif  // LINNET_MODELS_STATE_LAYOUTS_H_
