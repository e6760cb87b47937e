#include "engine/state_store.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstdio>
#include <cstring>
#include <set>
#include <string>
#include <string_view>

#include "linnet/error.h"

namespace linnet {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kEnding = ".state";
constexpr size_t kDigits = 16;
// What a row of the index takes beside the tokens, and the file system for a file.
constexpr uint64_t kRowBytes = 1024;

Error FailedOn(const fs::path& path, const char* what) {
  return Error(ErrorKind::kIo, fmt::format("{}: {}: {}", path.string(), what, strerror(errno)));
}

// Closes itself.
class Descriptor {
 public:
  explicit Descriptor(int fd) : fd_(fd) {}
  ~Descriptor() { Close(); }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  int get() const { return fd_; }
  int Take() { return std::exchange(fd_, -1); }
  bool Close() {
    const int fd = Take();
    return fd < 0 || close(fd) == 0;
  }

 private:
  int fd_;
};

// With its parents, for this user only.
void MakeFolder(const fs::path& folder) {
  std::error_code error;
  if (folder.empty() || fs::exists(folder, error)) return;
  MakeFolder(folder.parent_path());
  if (mkdir(folder.c_str(), 0700) != 0 && errno != EEXIST) {
    throw FailedOn(folder, "cannot make this folder");
  }
}

// States tell what was said, and whoever can write them decides what the model says next.
void CheckFolder(const fs::path& folder) {
  struct stat st {};
  if (stat(folder.c_str(), &st) != 0) throw FailedOn(folder, "cannot read");
  const auto refuse = [&](const std::string& what) {
    return Error(ErrorKind::kBadInput,
                 fmt::format("{}: {}; states need a folder of this user alone, as mkdir -m 700 "
                             "makes it",
                             folder.string(), what));
  };
  if (!S_ISDIR(st.st_mode)) throw refuse("is not a folder");
  if (st.st_uid != geteuid()) throw refuse("belongs to another user");
  if ((st.st_mode & (S_IWGRP | S_IWOTH)) != 0) {
    throw refuse(fmt::format("has mode {:04o}: others can write to it", st.st_mode & 07777));
  }
}

// 0000000000000012.state → 18; 0 for any other name.
uint64_t FileNumber(std::string_view name) {
  if (name.size() != kDigits + kEnding.size() || !name.ends_with(kEnding)) return 0;
  uint64_t number = 0;
  const auto [end, error] = std::from_chars(name.data(), name.data() + kDigits, number, 16);
  return error == std::errc() && end == name.data() + kDigits && number <= INT64_MAX ? number : 0;
}

void WriteAll(int fd, std::span<const std::byte> bytes, const fs::path& path) {
  while (!bytes.empty()) {
    const ssize_t n = write(fd, bytes.data(), bytes.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) throw FailedOn(path, "cannot write");
    bytes = bytes.subspan(static_cast<size_t>(n));
  }
}

std::vector<std::byte> ReadSome(int fd, size_t bytes, const fs::path& path) {
  std::vector<std::byte> result(bytes);
  size_t at = 0;
  while (at < bytes) {
    const ssize_t n = pread(fd, result.data() + at, bytes - at, static_cast<off_t>(at));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) throw FailedOn(path, "cannot read");
    if (n == 0) throw Error(ErrorKind::kBadState, path.string() + ": was cut");
    at += static_cast<size_t>(n);
  }
  return result;
}

struct OpenBlob {
  Descriptor fd;
  uint64_t bytes;
  int64_t written;
};

OpenBlob OpenToRead(const fs::path& path) {
  const int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOFOLLOW);
  if (fd < 0) throw FailedOn(path, "cannot read");
  struct stat st {};
  if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode)) {
    close(fd);
    throw Error(ErrorKind::kBadState, path.string() + ": is not a file");
  }
  return {Descriptor(fd), static_cast<uint64_t>(st.st_size), st.st_mtim.tv_sec};
}

}  // namespace

uint64_t StoredBytes(uint64_t blob, size_t tokens) {
  return blob + tokens * sizeof(int32_t) + kRowBytes;
}

StateStore::StateStore(const fs::path& folder, const Digest& identity)
    : folder_(folder), identity_(identity) {
  MakeFolder(folder_);
  CheckFolder(folder_);
  MakeFolder(folder_ / "states");
  CheckFolder(folder_ / "states");
  Descriptor lock(open((folder_ / "lock").c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
  if (lock.get() < 0) throw FailedOn(folder_ / "lock", "cannot open");
  if (flock(lock.get(), LOCK_EX | LOCK_NB) != 0) {
    if (errno != EWOULDBLOCK) throw FailedOn(folder_ / "lock", "cannot lock");
    throw Error(ErrorKind::kIo, folder_.string() + ": another process keeps its states there");
  }
  WithIndex([&] { Reconcile(); });
  lock_ = lock.Take();
}

StateStore::~StateStore() {
  index_.reset();  // before another process may open it
  if (lock_ >= 0) close(lock_);
}

fs::path StateStore::PathOf(uint64_t file) const {
  return folder_ / "states" / fmt::format("{:016x}{}", file, kEnding);
}

template <class F>
void StateStore::WithIndex(const F& body) {
  try {
    if (index_ == nullptr) index_ = std::make_unique<StateIndex>(folder_);
    return body();
  } catch (const Error& error) {
    if (error.kind() != ErrorKind::kBadState) throw;
  }
  index_.reset();
  StateIndex::Delete(folder_);
  try {
    index_ = std::make_unique<StateIndex>(folder_);
    Reconcile();
    body();
  } catch (const Error& error) {
    throw Error(ErrorKind::kIo, error.what());
  }
}

// Makes index and files agree: drops rows without a file and files that were not completed, and
// indexes files that were written just before the process was killed.
void StateStore::Reconcile() {
  std::set<uint64_t> files;
  std::error_code error;
  for (fs::directory_iterator it(folder_ / "states", error), end; it != end; it.increment(error)) {
    const std::string name = it->path().filename().string();
    const uint64_t file = FileNumber(name);
    if (file != 0) {
      files.insert(file);
      last_file_ = std::max(last_file_, file);
    } else if (name.ends_with(".tmp")) {
      unlink(it->path().c_str());
    }
    if (error) break;
  }
  if (error) throw Error(ErrorKind::kIo, fmt::format("{}: {}", folder_.string(), error.message()));

  std::vector<StoredEntry> entries, added;
  std::vector<uint64_t> gone;
  index_->ForEach(identity_, [&](uint64_t file, std::optional<StoredEntry> entry) {
    if (!entry || files.erase(file) == 0) {
      gone.push_back(file);
    } else {
      entries.push_back(std::move(*entry));
    }
  });
  for (const uint64_t file : files) {
    if (auto entry = Adopt(file)) {
      added.push_back(std::move(*entry));
    } else {
      unlink(PathOf(file).c_str());
    }
  }
  if (!gone.empty()) index_->Remove(gone);
  if (!added.empty()) index_->Add(added);
  for (StoredEntry& entry : added) {
    if (entry.key.identity != identity_) entry.key.tokens = {};
    entries.push_back(std::move(entry));
  }
  entries_ = std::move(entries);
}

std::optional<StoredEntry> StateStore::Adopt(uint64_t file) const {
  try {
    const fs::path path = PathOf(file);
    const OpenBlob blob = OpenToRead(path);
    const auto fixed = ReadSome(blob.fd.get(), std::min<uint64_t>(blob.bytes, kBlobFixed), path);
    const size_t head = BlobHeadBytes(fixed, blob.bytes);
    StoredEntry entry;
    entry.key = ReadBlobHead(ReadSome(blob.fd.get(), head, path));
    entry.bytes = StoredBytes(blob.bytes, entry.key.tokens.size());
    entry.use = {file, blob.written, 0, entry.key.tokens.size()};
    if (entry.key.tokens.empty()) return std::nullopt;
    return entry;
  } catch (const Error&) {
    return std::nullopt;
  }
}

// Not synced: when the power fails, a file may be there in part, which its digest tells.
void StateStore::Write(const StoredEntry& entry, std::span<const std::byte> blob) {
  const fs::path path = PathOf(entry.use.file);
  const std::string temporary = path.string() + ".tmp";
  try {
    Descriptor out(open(temporary.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
    if (out.get() < 0) throw FailedOn(path, "cannot write");
    WriteAll(out.get(), blob, path);
    if (!out.Close()) throw FailedOn(path, "cannot write");
    if (std::rename(temporary.c_str(), path.c_str()) != 0) throw FailedOn(path, "cannot rename to");
    WithIndex([&] { index_->Add(std::span(&entry, 1)); });
  } catch (...) {
    unlink(temporary.c_str());
    unlink(path.c_str());
    throw;
  }
}

std::vector<std::byte> StateStore::Read(uint64_t file, uint64_t most) const {
  const fs::path path = PathOf(file);
  const OpenBlob blob = OpenToRead(path);
  if (blob.bytes > most) {
    throw Error(ErrorKind::kBadState, fmt::format("{}: has {} bytes, expected at most {}",
                                                  path.string(), blob.bytes, most));
  }
  return ReadSome(blob.fd.get(), blob.bytes, path);
}

void StateStore::Remove(std::span<const uint64_t> files) {
  if (files.empty()) return;
  for (const uint64_t file : files) unlink(PathOf(file).c_str());
  WithIndex([&] { index_->Remove(files); });
}

void StateStore::Update(std::span<const StoredUse> uses) {
  if (uses.empty()) return;
  WithIndex([&] { index_->Update(uses); });
}

}  // namespace linnet
