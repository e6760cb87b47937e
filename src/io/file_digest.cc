#include "io/file_digest.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <ctime>
#include <exception>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/atomic_file.h"
#include "base/whole_pages.h"
#include "linnet/error.h"

namespace linnet {
namespace {

namespace fs = std::filesystem;

constexpr size_t kPiece = size_t{4} << 20;
constexpr std::string_view kTreeName = "linnet tree digest 1\n";
constexpr std::string_view kCacheName = "linnet digests 1 ";  // then the SHA-256 of what follows
constexpr size_t kLargestCache = size_t{1} << 20;

struct KeptDigest {
  FileStamp stamp;
  Digest digest;
};

// `mapped`: the bytes are of a MappedFile. Its pages are read a piece ahead, and released.
Digest TreeDigestOf(std::span<const std::byte> bytes, bool mapped, ThreadPool& pool) {
  const size_t pieces = (bytes.size() + kPiece - 1) / kPiece;
  std::vector<Digest> digests(pieces);
  const auto piece = [&](size_t i) {
    const size_t begin = std::min(i * kPiece, bytes.size());
    return bytes.subspan(begin, std::min(kPiece, bytes.size() - begin));
  };
  pool.For(pieces, [&](size_t i) {
    if (mapped) AdviseWholePages(piece(i + pool.threads()), MADV_WILLNEED);
    Sha256 hash;
    hash.Add(piece(i));
    digests[i] = hash.Finish();
    if (mapped) MappedFile::Drop(piece(i));
  });
  Sha256 root;
  root.Add(kTreeName);
  root.Add(fmt::format("{}\n", bytes.size()));
  root.Add(std::as_bytes(std::span(digests)));
  return root.Finish();
}

// Empty if there is none, or if anybody else could have written it.
std::string ReadOwnFile(const fs::path& path) {
  const int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (fd < 0) return {};
  struct stat st {};
  std::string text;
  if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_uid == geteuid() &&
      (st.st_mode & (S_IWGRP | S_IWOTH)) == 0 && st.st_size > 0 &&
      static_cast<size_t>(st.st_size) <= kLargestCache) {
    text.resize(static_cast<size_t>(st.st_size));
    const ssize_t n = read(fd, text.data(), text.size());
    text.resize(n < 0 ? 0 : static_cast<size_t>(n));
  }
  close(fd);
  return text;
}

// Takes a number and the blank after it from the front of `text`.
template <class T>
bool TakeNumber(std::string_view& text, T& value) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end == text.data() + text.size() || *end != ' ') return false;
  text.remove_prefix(static_cast<size_t>(end - text.data()) + 1);
  return true;
}

// Empty for a damaged file, since no part of it can be trusted.
std::vector<KeptDigest> ParseCache(std::string_view text) {
  if (!text.starts_with(kCacheName)) return {};
  text.remove_prefix(kCacheName.size());
  const size_t first = text.find('\n');
  if (first == text.npos) return {};
  const auto sum = ParseDigest(text.substr(0, first));
  text.remove_prefix(first + 1);
  if (!sum || *sum != Sha256Of(text)) return {};
  std::vector<KeptDigest> kept;
  while (!text.empty()) {
    std::string_view line = text.substr(0, text.find('\n'));
    text.remove_prefix(std::min(text.size(), line.size() + 1));
    FileStamp s;
    if (!TakeNumber(line, s.device) || !TakeNumber(line, s.inode) || !TakeNumber(line, s.size) ||
        !TakeNumber(line, s.modified) || !TakeNumber(line, s.changed)) {
      return {};
    }
    const auto digest = ParseDigest(line);
    if (!digest) return {};
    kept.push_back({s, *digest});
  }
  return kept;
}

std::string FormatCache(std::span<const KeptDigest> kept) {
  std::string lines;
  for (const auto& [s, digest] : kept) {
    lines += fmt::format("{} {} {} {} {} {}\n", s.device, s.inode, s.size, s.modified, s.changed,
                         Hex(digest));
  }
  return fmt::format("{}{}\n{}", kCacheName, Hex(Sha256Of(lines)), lines);
}

// With its parents, for the user only.
void MakePrivateFolder(const fs::path& folder) {
  std::error_code error;
  if (folder.empty() || fs::exists(folder, error)) return;
  MakePrivateFolder(folder.parent_path());
  mkdir(folder.c_str(), 0700);
}

}  // namespace

Digest TreeDigest(std::span<const std::byte> bytes, ThreadPool& pool) {
  return TreeDigestOf(bytes, false, pool);
}

DigestCache::DigestCache(fs::path folder, std::chrono::nanoseconds settled, size_t entries)
    : folder_(std::move(folder)), settled_(settled), entries_(entries) {}

fs::path DigestCache::file() const { return folder_ / "digests"; }

std::optional<Digest> DigestCache::Find(const FileStamp& stamp) const {
  if (folder_.empty()) return std::nullopt;
  for (const KeptDigest& kept : ParseCache(ReadOwnFile(file()))) {
    if (kept.stamp == stamp) return kept.digest;
  }
  return std::nullopt;
}

bool DigestCache::IsSettled(const FileStamp& stamp) const {
  timespec now{};
  clock_gettime(CLOCK_REALTIME_COARSE, &now);  // the clock of file times
  const int64_t time = int64_t{now.tv_sec} * 1'000'000'000 + now.tv_nsec;
  return time - stamp.changed > settled_.count();
}

void DigestCache::Keep(const FileStamp& stamp, const Digest& digest) const noexcept {
  if (folder_.empty()) return;
  try {
    std::vector<KeptDigest> kept = ParseCache(ReadOwnFile(file()));
    std::erase_if(kept, [&](const KeptDigest& k) {
      return k.stamp.device == stamp.device && k.stamp.inode == stamp.inode;
    });
    kept.push_back({stamp, digest});
    if (kept.size() > entries_)
      kept.erase(kept.begin(), kept.end() - static_cast<ptrdiff_t>(entries_));
    MakePrivateFolder(folder_);
    AtomicFile out(file());
    out.Write(FormatCache(kept));
    out.Commit();
    // The umask may allow others to write.
    chmod(file().c_str(), 0600);
  } catch (const std::exception&) {
    // It is computed again next time.
  }
}

Digest DigestOf(const MappedFile& file, const DigestCache& cache, ThreadPool& pool) {
  const FileStamp& opened = file.stamp();
  if (const auto known = cache.Find(opened)) return *known;
  const bool settled = cache.IsSettled(opened);
  const Digest digest = TreeDigestOf(file.bytes(), true, pool);
  // Another file may have its name by now, and the map still has the bytes; but if it is the same
  // file with another content, what was read from it before is lost.
  const auto now = StampOf(file.path());
  if (now && now->device == opened.device && now->inode == opened.inode &&
      (now->size != opened.size || now->modified != opened.modified)) {
    throw Error(ErrorKind::kIo,
                file.path().string() + ": was overwritten while it was in use; open it again");
  }
  if (settled && now == opened) cache.Keep(opened, digest);
  return digest;
}

}  // namespace linnet
