// The index of linnet search: a file as it is.
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "base/scratch_folder.h"
#include "fuzz_target.h"
#include "linnet/error.h"
#include "search/search_index.h"

LINNET_FUZZ_TARGET(search_index) {
  static const linnet::test::TemporaryFolder folder;
  const linnet::SearchKey key{"/texts", "model", "mean"};
  constexpr size_t kWidth = 4;
  static const std::string name =
      linnet::SearchIndex(folder.path(), key, kWidth).path().filename().string();
  folder.Write(name, std::string(reinterpret_cast<const char*>(data), size));
  try {
    linnet::SearchIndex index(folder.path(), key, kWidth);
    index.Knows({.path = "a.txt"});
    const std::vector<float> query(kWidth, 0.5f);
    index.Nearest(query, 3);
    const linnet::SearchFile kept{.path = "a.txt", .bytes = 1};
    index.KeepOnly({&kept, 1});
  } catch (const linnet::Error&) {
  }
  for (const char* ending : {"", "-wal", "-shm", "-journal"}) {
    std::filesystem::remove(folder / (name + ending));
  }
}
