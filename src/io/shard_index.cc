#include "io/shard_index.h"

#include <fmt/format.h>

#include "io/json_walk.h"
#include "io/quoted.h"
#include "linnet/error.h"

namespace linnet {
namespace {

// An index lists each tensor: 100 bytes each for a few thousand tensors.
constexpr size_t kMaxIndex = size_t{32} << 20;

}  // namespace

WeightMap ReadShardIndex(std::string_view text, const std::string& name) {
  if (text.size() > kMaxIndex) {
    throw Error(ErrorKind::kBadModel, fmt::format("{}: an index of {} bytes, expected at most {}",
                                                  name, text.size(), kMaxIndex));
  }
  WeightMap shards;
  WalkJson(text, 8, name, [&](const JsonEvent& event) {
    if (event.path.size() != 2 || event.path[0] != "weight_map") return;
    const std::string file(event.text);
    // Shards are next to their index: a hostile index must not refer to other folders.
    if (event.kind != JsonEvent::Kind::kString || file.empty() || file == "." || file == ".." ||
        file.find_first_of(std::string_view("/\\\0", 3)) != std::string::npos) {
      throw Error(
          ErrorKind::kBadModel,
          fmt::format("{}: tensor {} is in {}, expected the name of a file beside the index", name,
                      Quoted(event.path[1]), Quoted(file)));
    }
    shards[file].push_back(event.path[1]);
  });
  if (shards.empty()) {
    throw Error(ErrorKind::kBadModel,
                fmt::format("{}: has no weight_map, expected the index of a sharded model; name "
                            "the checkpoint itself",
                            name));
  }
  return shards;
}

}  // namespace linnet
