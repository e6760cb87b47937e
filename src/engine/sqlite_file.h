// SqliteFile, SqliteStatement: the few calls of SQLite that the stores on disk make.
#ifndef LINNET_ENGINE_SQLITE_FILE_H_
#define LINNET_ENGINE_SQLITE_FILE_H_

#include <sqlite3.h>

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace linnet {

// What SQLite reported. The stores catch it; it is no Error because no caller can fix it.
struct SqliteFault {
  std::string what;
  int code = SQLITE_ERROR;  // SQLite's primary result code
  bool damaged = false;     // the file is not, or no longer, a database
};

// A connection. One thread at a time. Throws SqliteFault.
class SqliteFile {
 public:
  // Opens the file, or creates it; other users may not read it, nor the files that SQLite adds
  // beside it. An empty path: in memory. While another process has it locked, calls wait for
  // `wait_ms`.
  explicit SqliteFile(const std::filesystem::path& path, int wait_ms = 5000);
  ~SqliteFile() { sqlite3_close(db_); }
  SqliteFile(const SqliteFile&) = delete;
  SqliteFile& operator=(const SqliteFile&) = delete;

  // Removes the file and those beside it, whatever is in them.
  static void Delete(const std::filesystem::path& path) noexcept;

  // For files that others may have written: nothing in the schema runs, and pages are checked.
  void Distrust();
  // Statements, with semicolons between; their rows are dropped.
  void Run(const std::string& sql);
  // Sets up a journal that survives the end of the process at any point; a power cut may lose the
  // last writes, but leaves the file whole. What is deleted is overwritten.
  void KeepJournal();
  // KeepJournal; then whether the file is empty, so that tables are to be made and MarkSchema
  // called. One with another schema, its user_version, is damaged.
  bool NeedsTables(int schema);
  void MarkSchema(int schema);
  // The first number that the query gives, or 0.
  int64_t Number(const std::string& sql);
  // body() in one transaction.
  template <class F>
  void Transaction(const F& body) {
    Run("BEGIN IMMEDIATE");
    try {
      body();
      Run("COMMIT");
    } catch (...) {
      RollBack();
      throw;
    }
  }
  // Ends a transaction that failed, also if SQLite ended it itself.
  void RollBack() noexcept { sqlite3_exec(db_, "ROLLBACK", nullptr, nullptr, nullptr); }

 private:
  friend class SqliteStatement;
  sqlite3* db_ = nullptr;
};

// Parameters are bound from the first on, and must live until the last Step. One thread at a time.
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
  SqliteStatement& BindReal(double number);
  bool Step();     // to the next row; false at the end
  void Execute();  // to the end; the parameters can then be bound again

  std::string Text(int column) const;
  std::span<const std::byte> Bytes(int column) const;  // until the next call of Step or Execute
  int64_t Number(int column) const { return sqlite3_column_int64(statement_, column); }
  double Real(int column) const { return sqlite3_column_double(statement_, column); }

 private:
  SqliteStatement& Bound(int code);

  sqlite3* db_;
  sqlite3_stmt* statement_ = nullptr;
  int bound_ = 0;
};

}  // namespace linnet

#endif  // LINNET_ENGINE_SQLITE_FILE_H_
