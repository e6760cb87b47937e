#include "engine/state_store_index.h"

#include <fmt/format.h>

#include <cmath>
#include <cstring>
#include <string>
#include <utility>

#include "engine/sqlite_file.h"
#include "linnet/error.h"

namespace linnet {
namespace {

namespace fs = std::filesystem;

constexpr int kSchemaVersion = 1;
constexpr int kApplication = 0x4c6e5343;  // "LnSC"

fs::path FileIn(const fs::path& folder) { return folder / "index.sqlite"; }

// The largest text of an entry: more would be gigabytes of tokens.
constexpr size_t kMostTokens = size_t{1} << 27;

// Errors that an index which is as it should be cannot give: it is made anew.
bool IsDamage(const SqliteFault& fault) {
  switch (fault.code) {
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
    case SQLITE_ERROR:
    case SQLITE_SCHEMA:
    case SQLITE_MISMATCH:
    case SQLITE_CONSTRAINT:
    case SQLITE_FORMAT:
      return true;
    default:
      return false;
  }
}

bool ReadDigest(std::span<const std::byte> bytes, Digest& digest) {
  if (bytes.size() != digest.size()) return false;
  std::memcpy(digest.data(), bytes.data(), digest.size());
  return true;
}

}  // namespace

template <class F>
void StateIndex::Using(const F& body) {
  try {
    body();
  } catch (const SqliteFault& fault) {
    throw Error(IsDamage(fault) ? ErrorKind::kBadState : ErrorKind::kIo,
                fmt::format("{}: {}", path_.string(), fault.what));
  }
}

StateIndex::StateIndex(const fs::path& folder) : path_(FileIn(folder)) {
  Using([&] {
    // Another process that has it is an error at once.
    file_ = std::make_unique<SqliteFile>(path_, 0);
    Open(*file_);
  });
}

// Transactions that are lost when the power fails are found again by the files. Exclusive, so that
// no memory is shared with other processes.
void StateIndex::Open(SqliteFile& file) {
  file.Run("PRAGMA locking_mode = EXCLUSIVE");
  file.Distrust();
  file.KeepJournal();
  file.Run("PRAGMA journal_size_limit = 4194304");
  const int64_t version = file.Number("PRAGMA user_version");
  if (version == 0 && file.Number("SELECT count(*) FROM sqlite_schema") == 0) {
    file.Transaction([&] {
      file.Run(
          "CREATE TABLE entries (file INTEGER PRIMARY KEY, identity BLOB NOT NULL, owner BLOB NOT "
          "NULL, tokens BLOB NOT NULL, bytes INTEGER NOT NULL, used INTEGER NOT NULL, base REAL "
          "NOT NULL, work INTEGER NOT NULL) STRICT");
      file.Run(fmt::format("PRAGMA application_id = {}", kApplication));
      file.MarkSchema(kSchemaVersion);
    });
    return;
  }
  if (version != kSchemaVersion || file.Number("PRAGMA application_id") != kApplication) {
    throw SqliteFault{fmt::format("an index of version {}, this program has {}; it is made anew",
                                  version, kSchemaVersion),
                      SQLITE_MISMATCH, true};
  }
}

StateIndex::~StateIndex() = default;

void StateIndex::Delete(const fs::path& folder) noexcept { SqliteFile::Delete(FileIn(folder)); }

void StateIndex::ForEach(const Digest& identity, const Body& body) {
  Using([&] { ForEachRow(identity, body); });
}

void StateIndex::ForEachRow(const Digest& identity, const Body& body) {
  SqliteStatement rows(
      *file_,
      "SELECT file, identity, owner, bytes, used, base, work, CASE WHEN identity = ?1 THEN tokens "
      "END FROM entries ORDER BY file");
  rows.Bind(identity);
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

// The statement for each row, in one transaction.
template <class T, class F>
void StateIndex::Change(const char* sql, std::span<const T> rows, const F& bind) {
  Using([&] {
    file_->Transaction([&] {
      SqliteStatement statement(*file_, sql);
      for (const T& row : rows) {
        bind(statement, row);
        statement.Execute();
      }
    });
  });
}

void StateIndex::Add(std::span<const StoredEntry> entries) {
  Change(
      "INSERT OR REPLACE INTO entries (file, identity, owner, tokens, bytes, used, base, work) "
      "VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
      entries, [](SqliteStatement& add, const StoredEntry& entry) {
        add.Bind(static_cast<int64_t>(entry.use.file));
        add.Bind(entry.key.identity).Bind(entry.key.owner);
        add.Bind(std::as_bytes(std::span(entry.key.tokens)));
        add.Bind(static_cast<int64_t>(entry.bytes)).Bind(entry.use.used);
        add.BindReal(entry.use.base).Bind(static_cast<int64_t>(entry.use.work));
      });
}

void StateIndex::Remove(std::span<const uint64_t> files) {
  Change("DELETE FROM entries WHERE file = ?", files,
         [](SqliteStatement& remove, uint64_t file) { remove.Bind(static_cast<int64_t>(file)); });
}

void StateIndex::Update(std::span<const StoredUse> uses) {
  Change("UPDATE entries SET used = ?, base = ?, work = ? WHERE file = ?", uses,
         [](SqliteStatement& update, const StoredUse& use) {
           update.Bind(use.used).BindReal(use.base).Bind(static_cast<int64_t>(use.work));
           update.Bind(static_cast<int64_t>(use.file));
         });
}

}  // namespace linnet
