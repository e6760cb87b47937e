#include "server/sqlite_file.h"

namespace linnet {
namespace {

[[noreturn]] void Fail(sqlite3* db) {
  if (db == nullptr) throw SqliteFault{"no memory"};
  const int code = sqlite3_errcode(db);
  throw SqliteFault{sqlite3_errmsg(db), code == SQLITE_CORRUPT || code == SQLITE_NOTADB};
}

}  // namespace

SqliteFile::SqliteFile(const std::string& path) {
  if (sqlite3_open(path.c_str(), &db_) != SQLITE_OK) {
    SqliteFault fault{db_ == nullptr ? "no memory" : sqlite3_errmsg(db_)};
    sqlite3_close(db_);
    throw fault;
  }
  sqlite3_busy_timeout(db_, 5000);
}

void SqliteFile::Run(const std::string& sql) {
  SqliteStatement statement(*this, sql);
  while (statement.Step()) {
  }
}

bool SqliteFile::NeedsTables(int schema) {
  Run("PRAGMA journal_mode = WAL");
  Run("PRAGMA synchronous = NORMAL");
  Run("PRAGMA secure_delete = ON");
  {
    SqliteStatement version(*this, "PRAGMA user_version");
    version.Step();
    if (version.Number(0) == schema) return false;
  }
  SqliteStatement tables(*this, "SELECT count(*) FROM sqlite_master");
  tables.Step();
  if (tables.Number(0) != 0) throw SqliteFault{"a table of another schema", true};
  return true;
}

void SqliteFile::MarkSchema(int schema) { Run("PRAGMA user_version = " + std::to_string(schema)); }

SqliteStatement::SqliteStatement(SqliteFile& file, const std::string& sql) : db_(file.db_) {
  if (sqlite3_prepare_v2(db_, sql.c_str(), -1, &statement_, nullptr) != SQLITE_OK) Fail(db_);
}

SqliteStatement& SqliteStatement::Bind(std::string_view text) {
  // A null pointer would bind NULL.
  const char* data = text.data() == nullptr ? "" : text.data();
  if (sqlite3_bind_text64(statement_, ++bound_, data, text.size(), SQLITE_STATIC, SQLITE_UTF8) !=
      SQLITE_OK) {
    Fail(db_);
  }
  return *this;
}

SqliteStatement& SqliteStatement::Bind(int64_t number) {
  if (sqlite3_bind_int64(statement_, ++bound_, number) != SQLITE_OK) Fail(db_);
  return *this;
}

SqliteStatement& SqliteStatement::Bind(std::span<const std::byte> bytes) {
  if (sqlite3_bind_blob64(statement_, ++bound_, bytes.data(), bytes.size(), SQLITE_STATIC) !=
      SQLITE_OK) {
    Fail(db_);
  }
  return *this;
}

bool SqliteStatement::Step() {
  const int code = sqlite3_step(statement_);
  if (code == SQLITE_ROW) return true;
  if (code != SQLITE_DONE) Fail(db_);
  return false;
}

std::string SqliteStatement::Text(int column) const {
  const auto* text = reinterpret_cast<const char*>(sqlite3_column_text(statement_, column));
  const auto size = static_cast<size_t>(sqlite3_column_bytes(statement_, column));
  return text == nullptr ? std::string() : std::string(text, size);
}

std::vector<std::byte> SqliteStatement::Bytes(int column) const {
  const auto* bytes = static_cast<const std::byte*>(sqlite3_column_blob(statement_, column));
  const auto size = static_cast<size_t>(sqlite3_column_bytes(statement_, column));
  return bytes == nullptr ? std::vector<std::byte>() : std::vector<std::byte>(bytes, bytes + size);
}

}  // namespace linnet
