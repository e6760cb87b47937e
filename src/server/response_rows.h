// ResponseRows: the table of stored responses, or of kept chats, in one SQLite file or in memory.
#ifndef LINNET_SERVER_RESPONSE_ROWS_H_
#define LINNET_SERVER_RESPONSE_ROWS_H_

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "engine/sqlite_file.h"

namespace linnet {

struct ResponseRow {
  std::string owner, id, parent, conversation;
  std::string input, response;  // JSON texts
  int64_t used = 0;             // set by Read

  size_t bytes() const;
};

// How much may be kept, and from when on; times are microseconds since 1970.
struct ResponseLimits {
  uint64_t owner_bytes = 0, total_bytes = 0;
  int64_t oldest = 0;  // rows that were used before are gone
};

// Thread-safe. A reader waits for a writer only if the rows are in memory. A row whose bytes were
// damaged is as if it were not there; a file that is none of this schema, or damaged as a whole, is
// replaced by an empty one.
class ResponseRows {
 public:
  // Throws Error kIo if the folder cannot be made or nothing can be written there. An empty path:
  // in memory.
  explicit ResponseRows(const std::filesystem::path& folder,
                        const std::string& name = "responses.sqlite");

  // In place of a row of the same owner and id. Then deletes, the longest unused first, what is
  // more than the limits allow; but never this row. Returns `used` of the row, which is greater
  // than that of all others. Throws SqliteFault, with nothing changed.
  int64_t Write(const ResponseRow& row, int64_t now, const ResponseLimits& limits);
  // Nothing if the row was used before `oldest`.
  std::optional<ResponseRow> Read(const std::string& owner, const std::string& id, int64_t oldest);
  bool Erase(const std::string& owner, const std::string& id);
  // The id of the row that was written first latest; empty if there is none.
  std::string Latest(const std::string& owner, const std::string& conversation);
  struct Listed {
    std::string id, input;
    int64_t used = 0;
    uint64_t bytes = 0;
  };
  // The owner's rows, the latest used first.
  std::vector<Listed> List(const std::string& owner);
  // Marks the rows as used, the last one latest.
  void Touch(const std::string& owner, std::span<const std::string> ids, int64_t now);

  struct Size {
    uint64_t bytes = 0, rows = 0;
  };
  Size size() const;
  Size SizeOf(const std::string& owner) const;

 private:
  void Open();
  void Replace();
  void LoadSizes();
  void Forget(const ResponseRow& keep, const ResponseLimits& limits);
  bool DeleteOldest(const std::string& where, const ResponseRow& keep);
  bool Delete(const std::string& owner, const std::string& id);
  int64_t NextUse(int64_t now);
  template <class Function>
  void Reading(const Function& read);

  std::filesystem::path path_;                // empty: in memory
  std::unique_ptr<SqliteFile> write_, read_;  // read_ is null if in memory
  mutable std::mutex write_mutex_;            // of write_ and the next two
  std::map<std::string, Size> sizes_;         // by owner
  int64_t last_use_ = 0;
  std::mutex read_mutex_;  // of read_; taken after write_mutex_
};

}  // namespace linnet

#endif  // LINNET_SERVER_RESPONSE_ROWS_H_
