// ReadShardIndex: the file names and tensors of a model.safetensors.index.json.
#ifndef LINNET_IO_SHARD_INDEX_H_
#define LINNET_IO_SHARD_INDEX_H_

#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace linnet {

// The tensors of each file; files sorted by name. Each file is a plain name without a path, so it
// cannot point outside the index's folder.
using WeightMap = std::map<std::string, std::vector<std::string>>;

// Throws Error kBadModel, starting with `name`.
WeightMap ReadShardIndex(std::string_view text, const std::string& name);

}  // namespace linnet

#endif  // LINNET_IO_SHARD_INDEX_H_
