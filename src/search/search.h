// Search: brings the index of a folder up to date, and finds passages by their vectors.
#ifndef LINNET_SEARCH_SEARCH_H_
#define LINNET_SEARCH_SEARCH_H_

#include <cstddef>
#include <filesystem>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "engine/embedder.h"
#include "search/search_index.h"

namespace linnet {

inline constexpr uint64_t kMostSearchBytes = uint64_t{16} << 20;  // of a file; others are left out

struct SearchUpdate {
  size_t files = 0;     // in the folder
  size_t texts = 0;     // of them, those that are texts
  size_t read = 0;      // files that were read, because they are new or changed
  size_t embedded = 0;  // passages
  size_t dropped = 0;   // files that are gone
};

struct SearchOptions {
  size_t rows = 512;  // as in EmbedRun
  // Bytes that were read, of those of new and changed files; what it throws ends the call, and what
  // was done is kept.
  std::function<void(uint64_t done, uint64_t total)> progress{};
};

// Reads the files that are new or changed. A file is a text if it is UTF-8 without the byte 0.
// Throws Error as FilesBelow and SearchIndex do; a file that cannot be read is left out.
SearchUpdate UpdateIndex(SearchIndex& index, const std::filesystem::path& folder,
                         const Embedder& embedder, Workspace& workspace,
                         const SearchOptions& options = {});

// The passages of the index that are nearest to the query.
std::vector<SearchHit> Search(SearchIndex& index, std::string_view query, const Embedder& embedder,
                              Workspace& workspace, size_t top);

// The text of a hit; empty if the file has changed since.
std::string TextOf(const std::filesystem::path& folder, const SearchHit& hit);

}  // namespace linnet

#endif  // LINNET_SEARCH_SEARCH_H_
