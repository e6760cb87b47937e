#include "server/response_rows.h"

#include <fmt/format.h>

#include <algorithm>
#include <initializer_list>
#include <string_view>
#include <system_error>
#include <utility>

#include "base/fnv.h"
#include "linnet/error.h"

namespace linnet {
namespace {

constexpr int kSchema = 1;  // PRAGMA user_version; a file of another one is replaced

void CreateTables(SqliteFile& db) {
  if (!db.NeedsTables(kSchema)) return;
  db.Run(
      "CREATE TABLE responses (owner TEXT NOT NULL, id TEXT NOT NULL, parent TEXT NOT NULL, "
      "conversation TEXT NOT NULL, made INTEGER NOT NULL, used INTEGER NOT NULL, "
      "bytes INTEGER NOT NULL, digest INTEGER NOT NULL, input TEXT NOT NULL, "
      "response TEXT NOT NULL, PRIMARY KEY (owner, id))");
  db.Run("CREATE INDEX by_use ON responses (used, owner, bytes)");
  db.Run("CREATE INDEX by_owner ON responses (owner, used, bytes)");
  db.Run("CREATE INDEX by_conversation ON responses (owner, conversation, made)");
  db.MarkSchema(kSchema);
}

int64_t DigestOf(const ResponseRow& row) {
  Fnv fnv;
  for (const std::string* part :
       {&row.owner, &row.id, &row.parent, &row.conversation, &row.input, &row.response}) {
    const uint64_t size = part->size();
    fnv.Add(&size, sizeof size);
    fnv.Add(*part);
  }
  return static_cast<int64_t>(fnv.value());
}

}  // namespace

size_t ResponseRow::bytes() const {
  constexpr size_t kColumns = 128;  // the numbers and the entries of the indexes, roughly
  return owner.size() + id.size() + parent.size() + conversation.size() + input.size() +
         response.size() + kColumns;
}

ResponseRows::ResponseRows(const std::filesystem::path& folder, const std::string& name) {
  if (!folder.empty()) {
    std::error_code failed;
    const bool made = std::filesystem::create_directories(folder, failed);
    if (failed)
      throw Error(ErrorKind::kIo, fmt::format("{}: {}", folder.string(), failed.message()));
    if (made) std::filesystem::permissions(folder, std::filesystem::perms::owner_all, failed);
    path_ = folder / name;
  }
  try {
    try {
      Open();
    } catch (const SqliteFault& fault) {
      if (path_.empty() || !fault.damaged) throw;
      Replace();
    }
  } catch (const SqliteFault& fault) {
    throw Error(ErrorKind::kIo, fmt::format("{}: {}", path_.string(), fault.what));
  }
}

void ResponseRows::Open() {
  write_ = std::make_unique<SqliteFile>(path_);
  CreateTables(*write_);
  if (!path_.empty()) read_ = std::make_unique<SqliteFile>(path_);
  LoadSizes();
}

void ResponseRows::Replace() {
  write_.reset();
  read_.reset();
  SqliteFile::Delete(path_);
  Open();
}

void ResponseRows::LoadSizes() {
  sizes_.clear();
  SqliteStatement sizes(
      *write_, "SELECT owner, sum(bytes), count(*), max(used) FROM responses GROUP BY owner");
  while (sizes.Step()) {
    sizes_[sizes.Text(0)] = {static_cast<uint64_t>(sizes.Number(1)),
                             static_cast<uint64_t>(sizes.Number(2))};
    last_use_ = std::max(last_use_, sizes.Number(3));
  }
}

int64_t ResponseRows::NextUse(int64_t now) { return last_use_ = std::max(last_use_ + 1, now); }

int64_t ResponseRows::Write(const ResponseRow& row, int64_t now, const ResponseLimits& limits) {
  const std::lock_guard lock(write_mutex_);
  const int64_t used = NextUse(now);
  const auto sizes = sizes_;
  try {
    write_->Run("BEGIN IMMEDIATE");
    int64_t made = used;
    {
      SqliteStatement old(*write_, "SELECT made FROM responses WHERE owner = ? AND id = ?");
      if (old.Bind(row.owner).Bind(row.id).Step()) made = old.Number(0);
    }
    Delete(row.owner, row.id);
    {
      const auto bytes = static_cast<int64_t>(row.bytes());
      SqliteStatement insert(*write_,
                             "INSERT INTO responses VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)");
      insert.Bind(row.owner).Bind(row.id).Bind(row.parent).Bind(row.conversation).Bind(made);
      insert.Bind(used).Bind(bytes).Bind(DigestOf(row)).Bind(row.input).Bind(row.response).Step();
    }
    Size& size = sizes_[row.owner];
    size.bytes += row.bytes();
    ++size.rows;
    Forget(row, limits);
    write_->Run("COMMIT");
    return used;
  } catch (const SqliteFault& fault) {
    sizes_ = sizes;
    write_->RollBack();
    if (fault.damaged && !path_.empty()) {
      const std::lock_guard reading(read_mutex_);
      Replace();
    }
    throw;
  }
}

void ResponseRows::Forget(const ResponseRow& keep, const ResponseLimits& limits) {
  while (DeleteOldest(fmt::format("used < {}", limits.oldest), keep)) {
  }
  const Size& own = sizes_[keep.owner];
  while (own.bytes > limits.owner_bytes && DeleteOldest("owner = ?2", keep)) {
  }
  const auto total = [this] {
    uint64_t bytes = 0;
    for (const auto& [owner, size] : sizes_) bytes += size.bytes;
    return bytes;
  };
  while (total() > limits.total_bytes && DeleteOldest("1", keep)) {
  }
}

bool ResponseRows::DeleteOldest(const std::string& where, const ResponseRow& keep) {
  std::string owner, id;
  {
    SqliteStatement find(
        *write_, "SELECT owner, id FROM responses WHERE NOT (id = ?1 AND owner = ?2) AND " + where +
                     " ORDER BY used LIMIT 1");
    if (!find.Bind(keep.id).Bind(keep.owner).Step()) return false;
    owner = find.Text(0);
    id = find.Text(1);
  }
  return Delete(owner, id);
}

bool ResponseRows::Delete(const std::string& owner, const std::string& id) {
  SqliteStatement erase(*write_,
                        "DELETE FROM responses WHERE owner = ? AND id = ? RETURNING bytes");
  if (!erase.Bind(owner).Bind(id).Step()) return false;
  const auto bytes = static_cast<uint64_t>(erase.Number(0));
  erase.Step();
  const auto size = sizes_.find(owner);
  if (size == sizes_.end()) return true;
  size->second.bytes -= std::min(size->second.bytes, bytes);
  size->second.rows -= std::min<uint64_t>(size->second.rows, 1);
  return true;
}

bool ResponseRows::Erase(const std::string& owner, const std::string& id) {
  const std::lock_guard lock(write_mutex_);
  try {
    return Delete(owner, id);
  } catch (const SqliteFault&) {
    return false;
  }
}

// Calls `read` with the connection for reading. A fault of the file is like finding nothing.
template <class Function>
void ResponseRows::Reading(const Function& read) {
  // In memory there is one connection; and read_ is only changed by a holder of both.
  std::unique_lock writing(write_mutex_, std::defer_lock);
  std::unique_lock reading(read_mutex_, std::defer_lock);
  if (path_.empty()) {
    writing.lock();
  } else {
    reading.lock();
  }
  SqliteFile* db = path_.empty() ? write_.get() : read_.get();
  if (db == nullptr) return;
  try {
    read(*db);
  } catch (const SqliteFault&) {
  }
}

std::optional<ResponseRow> ResponseRows::Read(const std::string& owner, const std::string& id,
                                              int64_t oldest) {
  std::optional<ResponseRow> found;
  Reading([&](SqliteFile& db) {
    SqliteStatement find(
        db,
        "SELECT parent, conversation, input, response, digest, used FROM responses "
        "WHERE owner = ? AND id = ? AND used >= ?");
    if (!find.Bind(owner).Bind(id).Bind(oldest).Step()) return;
    ResponseRow row{owner,        id,           find.Text(0),  find.Text(1),
                    find.Text(2), find.Text(3), find.Number(5)};
    if (find.Number(4) == DigestOf(row)) found = std::move(row);
  });
  return found;
}

std::string ResponseRows::Latest(const std::string& owner, const std::string& conversation) {
  std::string id;
  Reading([&](SqliteFile& db) {
    SqliteStatement find(db,
                         "SELECT id FROM responses WHERE owner = ? AND conversation = ? "
                         "ORDER BY made DESC LIMIT 1");
    if (find.Bind(owner).Bind(conversation).Step()) id = find.Text(0);
  });
  return id;
}

std::vector<ResponseRows::Listed> ResponseRows::List(const std::string& owner) {
  std::vector<Listed> rows;
  Reading([&](SqliteFile& db) {
    SqliteStatement find(
        db, "SELECT id, input, used, bytes FROM responses WHERE owner = ? ORDER BY used DESC");
    find.Bind(owner);
    while (find.Step()) {
      rows.push_back(
          {find.Text(0), find.Text(1), find.Number(2), static_cast<uint64_t>(find.Number(3))});
    }
  });
  return rows;
}

void ResponseRows::Touch(const std::string& owner, std::span<const std::string> ids, int64_t now) {
  const std::lock_guard lock(write_mutex_);
  try {
    write_->Run("BEGIN IMMEDIATE");
    for (const std::string& id : ids) {
      SqliteStatement touch(*write_, "UPDATE responses SET used = ? WHERE owner = ? AND id = ?");
      touch.Bind(NextUse(now)).Bind(owner).Bind(id).Step();
    }
    write_->Run("COMMIT");
  } catch (const SqliteFault&) {
    write_->RollBack();
  }
}

ResponseRows::Size ResponseRows::SizeOf(const std::string& owner) const {
  const std::lock_guard lock(write_mutex_);
  const auto found = sizes_.find(owner);
  return found == sizes_.end() ? Size{} : found->second;
}

ResponseRows::Size ResponseRows::size() const {
  const std::lock_guard lock(write_mutex_);
  Size total;
  for (const auto& [owner, size] : sizes_) {
    total.bytes += size.bytes;
    total.rows += size.rows;
  }
  return total;
}

}  // namespace linnet
