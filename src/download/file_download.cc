#include "download/file_download.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <chrono>
#include <cstring>
#include <fstream>
#include <nlohmann/json.hpp>
#include <span>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "base/atomic_file.h"
#include "download/fetch.h"
#include "linnet/error.h"

namespace linnet {
namespace {

namespace fs = std::filesystem;

constexpr uint64_t kProgress = 1 << 20;  // what a try must fetch for the next to be the first again
constexpr size_t kPiece = 1 << 20;       // of a file that is read again
constexpr int kRestarts = 10;            // from the first byte, because the server cannot go on

fs::path Beside(const fs::path& target, const char* ending) {
  return target.parent_path() / fmt::format(".{}{}", target.filename().string(), ending);
}

std::optional<uint64_t> NumberIn(std::string_view text) {
  uint64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (text.empty() || error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return number;
}

// "bytes 100-199/200".
struct ContentRange {
  uint64_t begin, total;
};
std::optional<ContentRange> RangeIn(std::string_view text) {
  if (!text.starts_with("bytes ")) return std::nullopt;
  text.remove_prefix(6);
  const size_t dash = text.find('-'), slash = text.find('/');
  if (dash == text.npos || slash == text.npos || slash < dash) return std::nullopt;
  const auto begin = NumberIn(text.substr(0, dash)), total = NumberIn(text.substr(slash + 1));
  if (!begin || !total) return std::nullopt;
  return ContentRange{*begin, *total};
}

// The digest that a hub gives as the ETag of a large file.
std::optional<Digest> DigestIn(std::string tag) {
  std::erase(tag, '"');
  return ParseDigest(tag);
}

// The incomplete file, locked as long as this lives.
class PartFile {
 public:
  explicit PartFile(const fs::path& target) : path_(Beside(target, ".part")) {
    fd_ = open(path_.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0666);
    if (fd_ < 0) throw Failed("cannot be written");
    if (flock(fd_, LOCK_EX | LOCK_NB) != 0) {
      close(fd_);
      throw Error(ErrorKind::kIo,
                  fmt::format("{}: another download of it is running", target.string()));
    }
    // Whoever held the lock may have renamed the file meanwhile.
    struct stat mine = {}, named = {};
    if (fstat(fd_, &mine) != 0 || lstat(path_.c_str(), &named) != 0 ||
        mine.st_ino != named.st_ino) {
      close(fd_);
      throw Error(ErrorKind::kIo,
                  fmt::format("{}: another download of it has just ended", target.string()));
    }
    size_ = static_cast<uint64_t>(mine.st_size);
  }
  ~PartFile() { close(fd_); }
  PartFile(const PartFile&) = delete;
  PartFile& operator=(const PartFile&) = delete;

  uint64_t size() const { return size_; }
  void Truncate() {
    if (ftruncate(fd_, 0) != 0) throw Failed("cannot be emptied");
    size_ = 0;
    hash_.Finish();
  }
  void Append(std::span<const std::byte> bytes) {
    hash_.Add(bytes);
    while (!bytes.empty()) {
      const ssize_t n = pwrite(fd_, bytes.data(), bytes.size(), static_cast<off_t>(size_));
      if (n < 0 && errno == EINTR) continue;
      if (n < 0) throw Failed("cannot be written");
      size_ += static_cast<uint64_t>(n);
      bytes = bytes.subspan(static_cast<size_t>(n));
    }
  }
  // Hashes what is there from an earlier download.
  void Hash(const std::function<void(uint64_t)>& progress) {
    std::vector<std::byte> piece(kPiece);
    for (uint64_t at = 0; at < size_;) {
      const ssize_t n = pread(fd_, piece.data(), piece.size(), static_cast<off_t>(at));
      if (n < 0 && errno == EINTR) continue;
      if (n <= 0) throw Failed("cannot be read");
      hash_.Add(std::span(piece).first(static_cast<size_t>(n)));
      at += static_cast<uint64_t>(n);
      progress(at);
    }
  }
  Digest digest() { return hash_.Finish(); }
  void MoveTo(const fs::path& target) {
    if (fsync(fd_) != 0) throw Failed("cannot be synced");
    if (std::rename(path_.c_str(), target.c_str()) != 0) throw Failed("cannot be renamed");
  }

 private:
  Error Failed(const char* what) const {
    return Error(ErrorKind::kIo,
                 fmt::format("{}: {}: {}", path_.string(), what, std::strerror(errno)));
  }

  fs::path path_;
  int fd_ = -1;
  uint64_t size_ = 0;
  Sha256 hash_;
};

// What an incomplete file belongs to, in a file beside it.
struct PartFacts {
  std::string url, etag, sha256;
  uint64_t size = 0;

  static PartFacts Read(const fs::path& path) {
    constexpr size_t kMost = 16384;
    std::string text(kMost, '\0');
    std::ifstream file(path, std::ios::binary);
    file.read(text.data(), static_cast<std::streamsize>(kMost));
    text.resize(static_cast<size_t>(file.gcount()));
    const auto json = nlohmann::json::parse(text, nullptr, false);
    PartFacts facts;
    if (!json.is_object()) return facts;
    try {
      facts.url = json.value("url", "");
      facts.etag = json.value("etag", "");
      facts.sha256 = json.value("sha256", "");
      facts.size = json.value("size", uint64_t{0});
    } catch (const nlohmann::json::exception&) {
      return {};
    }
    return facts;
  }
  void Write(const fs::path& path) const {
    const nlohmann::json json = {{"url", url}, {"etag", etag}, {"sha256", sha256}, {"size", size}};
    AtomicFile file(path);
    file.Write(json.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace) + "\n");
    file.Commit();
  }
};

class Downloading {
 public:
  Downloading(const RemoteFile& file, const fs::path& target, const FileDownloadOptions& options)
      : file_(file),
        target_(target),
        options_(options),
        part_(target),
        facts_path_(Beside(target, ".part.json")),
        size_(file.size),
        sha256_(file.sha256) {}

  DownloadedFile Run() {
    TakeUp();
    int failures = 0;
    bool resumed = part_.size() > 0;
    while (!size_ || part_.size() < *size_) {
      const uint64_t before = part_.size();
      const std::string reason = Try();
      if (reason.empty()) continue;
      if (part_.size() >= before + kProgress) failures = 0;
      if (refused_ || ++failures >= options_.tries) {
        throw Failed(
            fmt::format("{}; what has arrived is kept, and another try resumes it", reason));
      }
      resumed = true;
      Pause(1 << std::min(failures - 1, 5));
    }
    const Digest digest = part_.digest();
    if (sha256_ && digest != *sha256_) {
      part_.Truncate();
      // Perhaps the file changed between two parts.
      if (resumed && !anew_) {
        anew_ = true;
        etag_.clear();
        return Run();
      }
      RemoveFacts();
      throw Failed(
          fmt::format("has the SHA-256 {}, expected {}: the file was damaged on its way, "
                      "or is not the one that is listed",
                      Hex(digest), Hex(*sha256_)));
    }
    part_.MoveTo(target_);
    RemoveFacts();
    return {part_.size(), digest, sha256_.has_value()};
  }

 private:
  // Keeps what an earlier download has left, if it is of this file.
  void TakeUp() {
    const PartFacts facts = PartFacts::Read(facts_path_);
    const bool same_hash = sha256_ && facts.sha256 == Hex(*sha256_);
    const bool same_file = facts.url == file_.url && !facts.etag.empty();
    const bool fits =
        facts.size > 0 && part_.size() <= facts.size && (!size_ || *size_ == facts.size);
    if (part_.size() == 0 || !fits || !(same_hash || (same_file && !sha256_))) {
      part_.Truncate();
      return;
    }
    etag_ = facts.etag;
    size_ = facts.size;
    if (!sha256_) sha256_ = DigestIn(facts.sha256);
    part_.Hash([&](uint64_t at) { Tell(at); });
  }

  // One connection. Returns why it did not reach the end; empty if it did, or is to be repeated.
  std::string Try() {
    std::string passing;  // why the server should be asked again
    const bool strong = !etag_.empty() && !etag_.starts_with("W/");
    // Nothing would tell that the rest is of another file.
    if (!strong && !sha256_) Restart();
    const uint64_t begin = part_.size();
    const FetchRequest request{.url = file_.url,
                               .token = options_.token,
                               .begin = begin,
                               .if_range = strong ? etag_ : "",
                               .patience = options_.patience};
    const FetchSink sink{
        [&](const FetchHead& head) { return Accept(head, passing); },
        [&](std::span<const std::byte> bytes) {
          if (bytes.size() > *size_ - part_.size()) {
            part_.Truncate();
            RemoveFacts();
            throw Failed(fmt::format("sends more than the {} bytes that it announced", *size_));
          }
          part_.Append(bytes);
          Tell(part_.size());
        },
        [&] { Tell(part_.size()); }};
    const FetchOutcome outcome = Fetch(request, sink);
    if (!passing.empty()) return passing;
    if (outcome.end == FetchEnd::kWhole) {
      if (size_ && part_.size() == *size_) return "";
      if (restart_) {
        restart_ = false;
        return "";
      }
      return fmt::format("the connection ended after {} of {} bytes", part_.size(),
                         size_.value_or(0));
    }
    refused_ = outcome.end == FetchEnd::kRefused;
    return outcome.reason;
  }

  // Whether the body of this reply is wanted. Throws if another try will not help.
  bool Accept(const FetchHead& head, std::string& passing) {
    if (head.status == 416 || (head.status == 206 && !Continues(head))) {
      if (part_.size() == 0) throw Failed(StatusText(head.status));
      Restart();  // the file is another one by now
      etag_.clear();
      restart_ = true;
      return false;
    }
    if (head.status == 206) return true;
    if (head.status != 200) {
      if (!IsPassing(head.status)) throw Failed(StatusText(head.status));
      passing = StatusText(head.status);
      return false;
    }
    Restart();
    Announce(head);
    return true;
  }

  void Restart() {
    if (part_.size() == 0) return;
    if (++restarts_ > kRestarts) throw Failed("the server breaks off and cannot go on from there");
    part_.Truncate();
  }

  bool Continues(const FetchHead& head) const {
    const auto range = RangeIn(head.Header("content-range"));
    return range && range->begin == part_.size() && size_ && range->total == *size_;
  }

  // Takes size and digest from the head of a whole file.
  void Announce(const FetchHead& head) {
    const auto length = NumberIn(head.Header("content-length"));
    const auto linked = NumberIn(head.FirstHeader("x-linked-size"));
    for (const auto& told : {linked, length}) {
      if (!told) continue;
      if (size_ && *told != *size_) {
        throw Failed(fmt::format("has {} bytes by one account and {} by another", *size_, *told));
      }
      size_ = told;
    }
    if (!size_) throw Failed("the server does not say how large it is");
    const auto digest = DigestIn(head.FirstHeader("x-linked-etag"));
    if (digest && sha256_ && *digest != *sha256_) {
      throw Failed(fmt::format("has the SHA-256 {} by one account and {} by another", Hex(*sha256_),
                               Hex(*digest)));
    }
    if (digest) sha256_ = digest;
    CheckSpace(target_, *size_);
    etag_ = head.Header("etag");
    PartFacts{
        .url = file_.url, .etag = etag_, .sha256 = sha256_ ? Hex(*sha256_) : "", .size = *size_}
        .Write(facts_path_);
  }

  void Pause(int seconds) {
    if (options_.pause) return options_.pause(seconds);
    const auto until = std::chrono::steady_clock::now() + std::chrono::seconds(seconds);
    while (std::chrono::steady_clock::now() < until) {
      Tell(part_.size());
      std::this_thread::sleep_for(std::chrono::milliseconds(100));
    }
  }

  void Tell(uint64_t done) const {
    if (options_.progress) options_.progress(done, size_.value_or(0));
  }
  void RemoveFacts() const {
    std::error_code ignored;
    fs::remove(facts_path_, ignored);
  }
  Error Failed(const std::string& why) const {
    return Error(ErrorKind::kIo, fmt::format("{}: {}", ShownUrl(file_.url), why));
  }

  const RemoteFile& file_;
  const fs::path& target_;
  const FileDownloadOptions& options_;
  PartFile part_;
  fs::path facts_path_;
  std::optional<uint64_t> size_;
  std::optional<Digest> sha256_;
  std::string etag_;
  bool refused_ = false, restart_ = false;
  int restarts_ = 0;
  bool anew_ = false;  // after parts that did not fit together
};

// The file as an earlier download has left it; nullopt if it is another one, or not there.
std::optional<DownloadedFile> Present(const RemoteFile& file, const fs::path& target,
                                      const FileDownloadOptions& options) {
  std::error_code error;
  const auto bytes = fs::file_size(target, error);
  if (error || !file.sha256 || (file.size && *file.size != bytes)) return std::nullopt;
  std::ifstream in(target, std::ios::binary);
  Sha256 hash;
  std::vector<char> piece(kPiece);
  for (uint64_t at = 0; in;) {
    in.read(piece.data(), static_cast<std::streamsize>(piece.size()));
    at += static_cast<uint64_t>(in.gcount());
    hash.Add(std::string_view(piece.data(), static_cast<size_t>(in.gcount())));
    if (options.progress) options.progress(at, bytes);
  }
  const Digest digest = hash.Finish();
  if (digest != *file.sha256) return std::nullopt;
  return DownloadedFile{bytes, digest, true};
}

}  // namespace

DownloadedFile DownloadFile(const RemoteFile& file, const fs::path& target,
                            const FileDownloadOptions& options) {
  if (const auto present = Present(file, target, options)) return *present;
  return Downloading(file, target, options).Run();
}

}  // namespace linnet
