// The index of a state cache: the file as it is, and as its rows.
#include <unistd.h>

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <optional>
#include <string>

#include "base/scratch_folder.h"
#include "engine/state_store_index.h"
#include "fuzz_target.h"
#include "linnet/error.h"

LINNET_FUZZ_TARGET(state_index) {
  static const linnet::test::TemporaryFolder folder;
  folder.Write("index.sqlite", std::string(reinterpret_cast<const char*>(data), size));
  try {
    linnet::StateIndex index(folder.path());
    index.ForEach(linnet::Sha256Of("model"), [](uint64_t, std::optional<linnet::StoredEntry>) {});
    const uint64_t file = 1;
    index.Remove({&file, 1});
  } catch (const linnet::Error&) {
  }
  linnet::StateIndex::Delete(folder.path());
}
