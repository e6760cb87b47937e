// SqliteFile, SqliteStatement: the few calls of SQLite that the stores of the server make.
#ifndef LINNET_SERVER_SQLITE_FILE_H_
#define LINNET_SERVER_SQLITE_FILE_H_

#include <sqlite3.h>

#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace linnet {

// What SQLite reported. The stores catch it; it is no Error because no caller can fix it.
struct SqliteFault {
  std::string what;
  bool damaged = false;  // the file is not, or no longer, a database
};

// A connection. Not thread-safe. Throws SqliteFault.
class SqliteFile {
 public:
  explicit SqliteFile(const std::string& path);
  ~SqliteFile() { sqlite3_close(db_); }
  SqliteFile(const SqliteFile&) = delete;
  SqliteFile& operator=(const SqliteFile&) = delete;

  void Run(const std::string& sql);
  // Sets up a journal that survives the end of the process at any point; a power cut may lose the
  // last writes. Returns whether the file is empty, so that tables are to be made and MarkSchema
  // called. One with another schema, its user_version, is damaged.
  bool NeedsTables(int schema);
  void MarkSchema(int schema);
  // Ends a transaction that failed, also if SQLite ended it itself.
  void RollBack() noexcept { sqlite3_exec(db_, "ROLLBACK", nullptr, nullptr, nullptr); }

 private:
  friend class SqliteStatement;
  sqlite3* db_ = nullptr;
};

// Parameters are bound from the first on, and must live until the last Step. Not thread-safe.
// Throws SqliteFault.
class SqliteStatement {
 public:
  SqliteStatement(SqliteFile& file, const std::string& sql);
  ~SqliteStatement() { sqlite3_finalize(statement_); }
  SqliteStatement(const SqliteStatement&) = delete;
  SqliteStatement& operator=(const SqliteStatement&) = delete;

  SqliteStatement& Bind(std::string_view text);
  SqliteStatement& Bind(int64_t number);
  SqliteStatement& Bind(std::span<const std::byte> bytes);
  bool Step();  // to the next row; false at the end

  std::string Text(int column) const;
  std::vector<std::byte> Bytes(int column) const;
  int64_t Number(int column) const { return sqlite3_column_int64(statement_, column); }

 private:
  sqlite3* db_;
  sqlite3_stmt* statement_ = nullptr;
  int bound_ = 0;
};

}  // namespace linnet

#endif  // LINNET_SERVER_SQLITE_FILE_H_
