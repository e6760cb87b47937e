#include "engine/sqlite_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <system_error>

namespace linnet {
namespace {

SqliteFault FaultOf(sqlite3* db) {
  if (db == nullptr) return {"no memory", SQLITE_NOMEM};
  const int code = sqlite3_errcode(db) & 0xff;
  return {sqlite3_errmsg(db), code, code == SQLITE_CORRUPT || code == SQLITE_NOTADB};
}

}  // namespace

SqliteFile::SqliteFile(const std::filesystem::path& path, int wait_ms) {
  if (!path.empty()) {
    // SQLite gives the files beside it the same mode.
    const int fd = open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, S_IRUSR | S_IWUSR);
    if (fd >= 0) {
      fchmod(fd, S_IRUSR | S_IWUSR);
      close(fd);
    }
  }
  const std::string name = path.empty() ? ":memory:" : path.string();
  const int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX;
  if (sqlite3_open_v2(name.c_str(), &db_, flags, nullptr) != SQLITE_OK) {
    const SqliteFault fault = FaultOf(db_);
    sqlite3_close(db_);
    throw fault;
  }
  sqlite3_busy_timeout(db_, wait_ms);
}

void SqliteFile::Delete(const std::filesystem::path& path) noexcept {
  for (const char* ending : {"", "-wal", "-shm", "-journal"}) {
    std::error_code ignored;
    std::filesystem::remove_all(path.string() + ending, ignored);
  }
}

void SqliteFile::Distrust() {
  sqlite3_db_config(db_, SQLITE_DBCONFIG_DEFENSIVE, 1, nullptr);
  Run("PRAGMA trusted_schema = OFF; PRAGMA cell_size_check = ON; PRAGMA temp_store = MEMORY");
}

void SqliteFile::Run(const std::string& sql) {
  if (sqlite3_exec(db_, sql.c_str(), nullptr, nullptr, nullptr) != SQLITE_OK) throw FaultOf(db_);
}

void SqliteFile::KeepJournal() {
  Run("PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL; PRAGMA secure_delete = ON");
}

bool SqliteFile::NeedsTables(int schema) {
  KeepJournal();
  if (Number("PRAGMA user_version") == schema) return false;
  if (Number("SELECT count(*) FROM sqlite_schema") != 0) {
    throw SqliteFault{"a table of another schema", SQLITE_MISMATCH, true};
  }
  return true;
}

void SqliteFile::MarkSchema(int schema) { Run("PRAGMA user_version = " + std::to_string(schema)); }

int64_t SqliteFile::Number(const std::string& sql) {
  SqliteStatement statement(*this, sql);
  return statement.Step() ? statement.Number(0) : 0;
}

SqliteStatement::SqliteStatement(SqliteFile& file, const std::string& sql) : db_(file.db_) {
  if (sqlite3_prepare_v2(db_, sql.c_str(), -1, &statement_, nullptr) != SQLITE_OK) {
    throw FaultOf(db_);
  }
}

SqliteStatement& SqliteStatement::Bound(int code) {
  if (code != SQLITE_OK) throw FaultOf(db_);
  return *this;
}

SqliteStatement& SqliteStatement::Bind(std::string_view text) {
  // A null pointer would bind NULL.
  const char* data = text.data() == nullptr ? "" : text.data();
  return Bound(
      sqlite3_bind_text64(statement_, ++bound_, data, text.size(), SQLITE_STATIC, SQLITE_UTF8));
}

SqliteStatement& SqliteStatement::Bind(int64_t number) {
  return Bound(sqlite3_bind_int64(statement_, ++bound_, number));
}

SqliteStatement& SqliteStatement::Bind(std::span<const std::byte> bytes) {
  return Bound(
      sqlite3_bind_blob64(statement_, ++bound_, bytes.data(), bytes.size(), SQLITE_STATIC));
}

SqliteStatement& SqliteStatement::BindReal(double number) {
  return Bound(sqlite3_bind_double(statement_, ++bound_, number));
}

bool SqliteStatement::Step() {
  const int code = sqlite3_step(statement_);
  if (code == SQLITE_ROW) return true;
  if (code != SQLITE_DONE) throw FaultOf(db_);
  return false;
}

void SqliteStatement::Execute() {
  while (Step()) {
  }
  sqlite3_reset(statement_);
  bound_ = 0;
}

std::string SqliteStatement::Text(int column) const {
  const auto* text = reinterpret_cast<const char*>(sqlite3_column_text(statement_, column));
  const auto size = static_cast<size_t>(sqlite3_column_bytes(statement_, column));
  return text == nullptr ? std::string() : std::string(text, size);
}

std::span<const std::byte> SqliteStatement::Bytes(int column) const {
  const auto* bytes = static_cast<const std::byte*>(sqlite3_column_blob(statement_, column));
  const auto size = static_cast<size_t>(sqlite3_column_bytes(statement_, column));
  return {bytes, bytes == nullptr ? 0 : size};
}

}  // namespace linnet
