#include "search/search_index.h"

#include <fmt/format.h>
#include <sys/stat.h>

#include <algorithm>
#include <chrono>
#include <cstring>
#include <set>
#include <system_error>
#include <utility>

#include "base/sha256.h"
#include "engine/sqlite_file.h"
#include "kernels/rows.h"
#include "linnet/error.h"

namespace linnet {
namespace {

namespace fs = std::filesystem;

constexpr int kSchema = 1;
constexpr int64_t kSecond = 1'000'000'000;

int64_t Nanoseconds(const timespec& time) { return int64_t{time.tv_sec} * kSecond + time.tv_nsec; }

int64_t NowInNanoseconds() {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(
             std::chrono::system_clock::now().time_since_epoch())
      .count();
}

[[noreturn]] void FailToRead(const fs::path& path, const std::error_code& error) {
  throw Error(ErrorKind::kIo,
              fmt::format("{}: cannot be read: {}", path.string(), error.message()));
}

}  // namespace

std::vector<SearchFile> FilesBelow(const fs::path& folder, uint64_t most_bytes) {
  std::error_code error;
  if (!fs::is_directory(folder, error)) {
    throw Error(ErrorKind::kIo, folder.string() + ": is no folder");
  }
  std::vector<SearchFile> files;
  fs::recursive_directory_iterator at(folder, fs::directory_options::skip_permission_denied, error);
  if (error) FailToRead(folder, error);
  for (const fs::recursive_directory_iterator end; at != end; at.increment(error)) {
    if (error) FailToRead(folder, error);
    if (at->path().filename().string().starts_with('.')) {
      at.disable_recursion_pending();
      continue;
    }
    struct stat status = {};
    if (lstat(at->path().c_str(), &status) != 0 || !S_ISREG(status.st_mode)) continue;
    const auto bytes = static_cast<uint64_t>(status.st_size);
    if (bytes == 0 || bytes > most_bytes) continue;
    files.push_back({at->path().lexically_relative(folder).generic_string(), bytes,
                     Nanoseconds(status.st_mtim), Nanoseconds(status.st_ctim)});
  }
  if (error) FailToRead(folder, error);
  std::sort(files.begin(), files.end(),
            [](const SearchFile& a, const SearchFile& b) { return a.path < b.path; });
  return files;
}

class SearchIndex::Impl {
 public:
  Impl(const fs::path& home, const SearchKey& key, size_t width,
       const std::function<void(const std::string&)>& log)
      : width_(width) {
    const std::string text = key.folder + '\0' + key.identity + '\0' + key.pooling;
    file_ = home / (Hex(Sha256Of(text)).substr(0, 32) + ".sqlite");
    std::error_code error;
    fs::create_directories(home, error);
    if (error) {
      throw Error(ErrorKind::kIo,
                  fmt::format("{}: cannot be made: {}", home.string(), error.message()));
    }
    fs::permissions(home, fs::perms::owner_all, error);
    try {
      Open(key);
    } catch (const SqliteFault& fault) {
      if (!fault.damaged) throw ErrorOf(fault);
      if (log) log(fmt::format("{}: {}; it is made anew", file_.string(), fault.what));
      database_.reset();
      SqliteFile::Delete(file_);
      Guard([&] { Open(key); });
    }
  }

  const fs::path& file() const { return file_; }
  size_t width() const { return width_; }
  SqliteFile& database() { return *database_; }

  template <class F>
  auto Guard(const F& body) -> decltype(body()) {
    try {
      return body();
    } catch (const SqliteFault& fault) {
      throw ErrorOf(fault);
    }
  }

  template <class F>
  void Transaction(const F& body) {
    Guard([&] { database_->Transaction(body); });
  }

  void Drop(const std::string& path) {
    SqliteStatement passages(*database_,
                             "DELETE FROM passages WHERE file IN (SELECT id FROM files WHERE path "
                             "= ?)");
    passages.Bind(path).Execute();
    SqliteStatement files(*database_, "DELETE FROM files WHERE path = ?");
    files.Bind(path).Execute();
  }

 private:
  Error ErrorOf(const SqliteFault& fault) const {
    return {ErrorKind::kIo, fmt::format("{}: {}{}", file_.string(), fault.what,
                                        fault.damaged ? "; delete it and search again" : "")};
  }

  void Open(const SearchKey& key) {
    database_ = std::make_unique<SqliteFile>(file_);
    database_->Distrust();
    if (database_->NeedsTables(kSchema)) {
      database_->Transaction([&] {
        database_->Run(
            "CREATE TABLE IF NOT EXISTS about (name TEXT PRIMARY KEY, value TEXT) STRICT;"
            "CREATE TABLE IF NOT EXISTS files (id INTEGER PRIMARY KEY, path TEXT NOT NULL UNIQUE, "
            "bytes INTEGER NOT NULL, mtime INTEGER NOT NULL, ctime INTEGER NOT NULL, "
            "put INTEGER NOT NULL, digest TEXT NOT NULL) STRICT;"
            "CREATE TABLE IF NOT EXISTS passages (file INTEGER NOT NULL, place INTEGER NOT NULL, "
            "bytes INTEGER NOT NULL, line INTEGER NOT NULL, vector BLOB NOT NULL, "
            "PRIMARY KEY (file, place)) STRICT, WITHOUT ROWID");
        for (const auto& [name, value] : About(key)) {
          SqliteStatement about(*database_, "INSERT OR REPLACE INTO about VALUES (?, ?)");
          about.Bind(name).Bind(value).Execute();
        }
        database_->MarkSchema(kSchema);
      });
    }
    for (const auto& [name, value] : About(key)) {
      SqliteStatement about(*database_, "SELECT value FROM about WHERE name = ?");
      about.Bind(name);
      if (!about.Step() || about.Text(0) != value) {
        throw SqliteFault{"an index of something else", SQLITE_CORRUPT, true};
      }
    }
    SqliteStatement check(*database_, "PRAGMA quick_check(1)");
    if (!check.Step() || check.Text(0) != "ok")
      throw SqliteFault{"is damaged", SQLITE_CORRUPT, true};
  }

  std::vector<std::pair<std::string, std::string>> About(const SearchKey& key) const {
    return {{"folder", key.folder},
            {"identity", key.identity},
            {"pooling", key.pooling},
            {"width", std::to_string(width_)},
            {"passage", std::to_string(kPassageBytes)}};
  }

  fs::path file_;
  const size_t width_;
  std::unique_ptr<SqliteFile> database_;
};

SearchIndex::SearchIndex(const fs::path& home, const SearchKey& key, size_t width,
                         const std::function<void(const std::string&)>& log)
    : impl_(std::make_unique<Impl>(home, key, width, log)) {}

SearchIndex::~SearchIndex() = default;

const fs::path& SearchIndex::path() const { return impl_->file(); }

bool SearchIndex::Knows(const SearchFile& file) {
  return impl_->Guard([&] {
    SqliteStatement row(impl_->database(),
                        "SELECT bytes, mtime, ctime, put FROM files WHERE path = ?");
    row.Bind(file.path);
    if (!row.Step()) return false;
    const bool settled = row.Number(3) - std::max(file.mtime, file.ctime) >= 2 * kSecond;
    return settled && row.Number(0) == static_cast<int64_t>(file.bytes) &&
           row.Number(1) == file.mtime && row.Number(2) == file.ctime;
  });
}

std::string SearchIndex::DigestOf(const SearchFile& file) {
  return impl_->Guard([&] {
    SqliteStatement row(impl_->database(), "SELECT digest FROM files WHERE path = ?");
    row.Bind(file.path);
    return row.Step() ? row.Text(0) : std::string();
  });
}

void SearchIndex::Put(std::span<const Entry> entries) {
  const int64_t now = NowInNanoseconds();
  impl_->Transaction([&] {
    SqliteFile& db = impl_->database();
    for (const Entry& entry : entries) {
      impl_->Drop(entry.file.path);
      SqliteStatement add(db,
                          "INSERT INTO files (path, bytes, mtime, ctime, put, digest) VALUES (?, "
                          "?, ?, ?, ?, ?) RETURNING id");
      add.Bind(entry.file.path)
          .Bind(static_cast<int64_t>(entry.file.bytes))
          .Bind(entry.file.mtime)
          .Bind(entry.file.ctime)
          .Bind(now)
          .Bind(entry.digest);
      add.Step();
      const int64_t id = add.Number(0);
      for (size_t i = 0; i < entry.passages.size(); ++i) {
        const Passage& p = entry.passages[i];
        const auto vector = std::span(entry.vectors).subspan(i * impl_->width(), impl_->width());
        SqliteStatement passage(db, "INSERT INTO passages VALUES (?, ?, ?, ?, ?)");
        passage.Bind(id)
            .Bind(static_cast<int64_t>(p.begin))
            .Bind(static_cast<int64_t>(p.bytes))
            .Bind(static_cast<int64_t>(p.line))
            .Bind(std::as_bytes(vector));
        passage.Execute();
      }
    }
  });
}

void SearchIndex::Touch(const SearchFile& file) {
  const int64_t now = NowInNanoseconds();
  impl_->Transaction([&] {
    SqliteStatement touch(impl_->database(),
                          "UPDATE files SET bytes = ?, mtime = ?, ctime = ?, put = ? WHERE path = "
                          "?");
    touch.Bind(static_cast<int64_t>(file.bytes))
        .Bind(file.mtime)
        .Bind(file.ctime)
        .Bind(now)
        .Bind(file.path)
        .Execute();
  });
}

size_t SearchIndex::KeepOnly(std::span<const SearchFile> files) {
  std::set<std::string_view> kept;
  for (const SearchFile& file : files) kept.insert(file.path);
  std::vector<std::string> gone;
  impl_->Guard([&] {
    SqliteStatement rows(impl_->database(), "SELECT path FROM files");
    while (rows.Step()) {
      if (!kept.contains(rows.Text(0))) gone.push_back(rows.Text(0));
    }
  });
  if (gone.empty()) return 0;
  impl_->Transaction([&] {
    for (const std::string& path : gone) impl_->Drop(path);
  });
  return gone.size();
}

size_t SearchIndex::texts() {
  return impl_->Guard([&] {
    return static_cast<size_t>(
        impl_->database().Number("SELECT count(DISTINCT file) FROM passages"));
  });
}

size_t SearchIndex::passages() {
  return impl_->Guard([&] {
    return static_cast<size_t>(impl_->database().Number("SELECT count(*) FROM passages"));
  });
}

std::vector<SearchHit> SearchIndex::Nearest(std::span<const float> query, size_t top) {
  std::vector<SearchHit> hits;
  impl_->Guard([&] {
    SqliteStatement rows(
        impl_->database(),
        "SELECT path, place, passages.bytes, line, vector FROM passages JOIN files "
        "ON files.id = passages.file ORDER BY path, place");
    std::vector<float> vector(impl_->width());
    const auto worse = [](const SearchHit& a, const SearchHit& b) { return a.score > b.score; };
    while (rows.Step()) {
      const std::span<const std::byte> bytes = rows.Bytes(4);
      if (bytes.size() != vector.size() * sizeof(float)) {
        throw SqliteFault{"has a vector of another size", SQLITE_CORRUPT, true};
      }
      std::memcpy(vector.data(), bytes.data(), bytes.size());
      const double score = double{Dot(query.data(), vector.data(), vector.size())};
      if (hits.size() == top && (top == 0 || score <= hits.back().score)) continue;
      SearchHit hit{rows.Text(0),
                    {static_cast<size_t>(rows.Number(1)), static_cast<size_t>(rows.Number(2)),
                     static_cast<size_t>(rows.Number(3))},
                    score};
      hits.insert(std::upper_bound(hits.begin(), hits.end(), hit, worse), std::move(hit));
      if (hits.size() > top) hits.pop_back();
    }
  });
  return hits;
}

}  // namespace linnet
