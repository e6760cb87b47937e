#include "engine/state_store_index.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sqlite3.h>
#include <unistd.h>

#include <cmath>
#include <cstring>
#include <string>
#include <utility>

#include "linnet/error.h"

namespace linnet {
namespace {

namespace fs = std::filesystem;

constexpr int kSchemaVersion = 1;
constexpr int kApplication = 0x4c6e5343;  // "LnSC"

fs::path FileIn(const fs::path& folder) { return folder / "index.sqlite"; }

// The largest text of an entry: more would be gigabytes of tokens.
constexpr size_t kMostTokens = size_t{1} << 27;

}  // namespace

// A connection.
class SqliteDatabase {
 public:
  explicit SqliteDatabase(const fs::path& file) : name_(file.string()) {
    // The files that SQLite adds beside it get the same mode.
    const int fd = open(file.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd >= 0) close(fd);
    const int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX;
    const int code = sqlite3_open_v2(file.c_str(), &connection_, flags, nullptr);
    if (code != SQLITE_OK) {
      const Error error = ErrorOf(code);
      sqlite3_close(connection_);
      throw error;
    }
  }
  ~SqliteDatabase() { sqlite3_close(connection_); }
  SqliteDatabase(const SqliteDatabase&) = delete;
  SqliteDatabase& operator=(const SqliteDatabase&) = delete;

  void Run(const char* sql) {
    const int code = sqlite3_exec(connection_, sql, nullptr, nullptr, nullptr);
    if (code != SQLITE_OK) throw ErrorOf(code);
  }

  // body() in one transaction.
  template <class F>
  void Transaction(const F& body) {
    Run("BEGIN IMMEDIATE");
    try {
      body();
      Run("COMMIT");
    } catch (...) {
      sqlite3_exec(connection_, "ROLLBACK", nullptr, nullptr, nullptr);
      throw;
    }
  }

  sqlite3* get() { return connection_; }

  Error ErrorOf(int code) const {
    const int kind = code & 0xff;
    const bool damaged = kind == SQLITE_CORRUPT || kind == SQLITE_NOTADB || kind == SQLITE_ERROR ||
                         kind == SQLITE_SCHEMA || kind == SQLITE_MISMATCH ||
                         kind == SQLITE_CONSTRAINT || kind == SQLITE_FORMAT;
    return Error(damaged ? ErrorKind::kBadState : ErrorKind::kIo,
                 fmt::format("{}: {}", name_, sqlite3_errstr(code)));
  }
  Error Damaged(const std::string& what) const {
    return Error(ErrorKind::kBadState, name_ + ": " + what);
  }

 private:
  const std::string name_;
  sqlite3* connection_ = nullptr;
};

namespace {

// A prepared statement, for rows of numbers and bytes.
class Statement {
 public:
  Statement(SqliteDatabase& database, const char* sql) : database_(database) {
    const int code = sqlite3_prepare_v2(database.get(), sql, -1, &statement_, nullptr);
    if (code != SQLITE_OK) throw database.ErrorOf(code);
  }
  ~Statement() { sqlite3_finalize(statement_); }
  Statement(const Statement&) = delete;
  Statement& operator=(const Statement&) = delete;

  void Bind(int place, int64_t value) { sqlite3_bind_int64(statement_, place, value); }
  void Bind(int place, double value) { sqlite3_bind_double(statement_, place, value); }
  // Until the next Reset, the bytes must stay.
  void Bind(int place, std::span<const std::byte> bytes) {
    sqlite3_bind_blob64(statement_, place, bytes.data(), bytes.size(), SQLITE_STATIC);
  }
  // Whether there is a row.
  bool Step() {
    const int code = sqlite3_step(statement_);
    if (code == SQLITE_ROW) return true;
    if (code != SQLITE_DONE) throw database_.ErrorOf(code);
    return false;
  }
  void Execute() {
    Step();
    sqlite3_reset(statement_);
  }

  int64_t Number(int column) { return sqlite3_column_int64(statement_, column); }
  double Real(int column) { return sqlite3_column_double(statement_, column); }
  std::span<const std::byte> Bytes(int column) {
    const void* const data = sqlite3_column_blob(statement_, column);
    const int size = sqlite3_column_bytes(statement_, column);
    return {static_cast<const std::byte*>(data), data == nullptr ? 0 : static_cast<size_t>(size)};
  }

 private:
  SqliteDatabase& database_;
  sqlite3_stmt* statement_ = nullptr;
};

bool ReadDigest(std::span<const std::byte> bytes, Digest& digest) {
  if (bytes.size() != digest.size()) return false;
  std::memcpy(digest.data(), bytes.data(), digest.size());
  return true;
}

}  // namespace

// The write-ahead log with `synchronous=NORMAL` loses the last transactions when the power fails,
// and nothing when the process is killed; the database stays whole in both cases. What is lost is
// found again by the files. Exclusive, so that no memory is shared with other processes.
StateIndex::StateIndex(const fs::path& folder)
    : database_(std::make_unique<SqliteDatabase>(FileIn(folder))) {
  SqliteDatabase& db = *database_;
  sqlite3_db_config(db.get(), SQLITE_DBCONFIG_DEFENSIVE, 1, nullptr);
  db.Run("PRAGMA locking_mode=EXCLUSIVE");
  db.Run("PRAGMA trusted_schema=OFF; PRAGMA cell_size_check=ON; PRAGMA temp_store=MEMORY");
  db.Run("PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL; PRAGMA secure_delete=ON");
  db.Run("PRAGMA journal_size_limit=4194304");
  const auto number = [&](const char* sql) {
    Statement statement(db, sql);
    return statement.Step() ? statement.Number(0) : 0;
  };
  if (number("SELECT count(*) FROM sqlite_schema") == 0 && number("PRAGMA user_version") == 0) {
    db.Transaction([&] {
      db.Run(
          "CREATE TABLE entries (file INTEGER PRIMARY KEY, identity BLOB NOT NULL, owner BLOB NOT "
          "NULL, tokens BLOB NOT NULL, bytes INTEGER NOT NULL, used INTEGER NOT NULL, base REAL "
          "NOT NULL, work INTEGER NOT NULL) STRICT");
      db.Run(fmt::format("PRAGMA application_id={}; PRAGMA user_version={}", kApplication,
                         kSchemaVersion)
                 .c_str());
    });
    return;
  }
  const int64_t version = number("PRAGMA user_version");
  if (version != kSchemaVersion || number("PRAGMA application_id") != kApplication) {
    throw db.Damaged(fmt::format("an index of version {}, this program has {}; it is made anew",
                                 version, kSchemaVersion));
  }
}

StateIndex::~StateIndex() = default;

void StateIndex::Delete(const fs::path& folder) noexcept {
  for (const char* ending : {"", "-wal", "-shm", "-journal"}) {
    std::error_code ignored;
    fs::remove_all(fs::path(FileIn(folder).string() + ending), ignored);
  }
}

void StateIndex::ForEach(const Digest& identity, const Body& body) {
  Statement rows(
      *database_,
      "SELECT file, identity, owner, bytes, used, base, work, CASE WHEN identity = ?1 THEN tokens "
      "END FROM entries ORDER BY file");
  rows.Bind(1, identity);
  while (rows.Step()) {
    const auto file = static_cast<uint64_t>(rows.Number(0));
    const int64_t bytes = rows.Number(3), used = rows.Number(4), work = rows.Number(6);
    const double base = rows.Real(5);
    StoredEntry entry{
        {file, used, base, static_cast<uint64_t>(work)}, {}, static_cast<uint64_t>(bytes)};
    bool good = rows.Number(0) > 0 && ReadDigest(rows.Bytes(1), entry.key.identity) &&
                ReadDigest(rows.Bytes(2), entry.key.owner) && bytes > 0 && work >= 0 &&
                std::isfinite(base) && base >= 0;
    if (good && entry.key.identity == identity) {
      const auto tokens = rows.Bytes(7);
      good = !tokens.empty() && tokens.size() % sizeof(int32_t) == 0 &&
             tokens.size() / sizeof(int32_t) <= kMostTokens;
      if (good) {
        entry.key.tokens.resize(tokens.size() / sizeof(int32_t));
        std::memcpy(entry.key.tokens.data(), tokens.data(), tokens.size());
      }
    }
    body(file, good ? std::optional(std::move(entry)) : std::nullopt);
  }
}

void StateIndex::Add(std::span<const StoredEntry> entries) {
  database_->Transaction([&] {
    Statement add(*database_,
                  "INSERT OR REPLACE INTO entries (file, identity, owner, tokens, bytes, "
                  "used, base, work) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)");
    for (const StoredEntry& entry : entries) {
      add.Bind(1, static_cast<int64_t>(entry.use.file));
      add.Bind(2, entry.key.identity);
      add.Bind(3, entry.key.owner);
      add.Bind(4, std::as_bytes(std::span(entry.key.tokens)));
      add.Bind(5, static_cast<int64_t>(entry.bytes));
      add.Bind(6, entry.use.used);
      add.Bind(7, entry.use.base);
      add.Bind(8, static_cast<int64_t>(entry.use.work));
      add.Execute();
    }
  });
}

void StateIndex::Remove(std::span<const uint64_t> files) {
  database_->Transaction([&] {
    Statement remove(*database_, "DELETE FROM entries WHERE file = ?1");
    for (const uint64_t file : files) {
      remove.Bind(1, static_cast<int64_t>(file));
      remove.Execute();
    }
  });
}

void StateIndex::Update(std::span<const StoredUse> uses) {
  database_->Transaction([&] {
    Statement update(*database_,
                     "UPDATE entries SET used = ?2, base = ?3, work = ?4 WHERE file = ?1");
    for (const StoredUse& use : uses) {
      update.Bind(1, static_cast<int64_t>(use.file));
      update.Bind(2, use.used);
      update.Bind(3, use.base);
      update.Bind(4, static_cast<int64_t>(use.work));
      update.Execute();
    }
  });
}

}  // namespace linnet
