#include "search/search.h"

#include <algorithm>
#include <cstring>
#include <optional>
#include <utility>

#include "base/is_utf8.h"
#include "base/mapped_file.h"
#include "base/sha256.h"
#include "linnet/error.h"

namespace linnet {
namespace {

namespace fs = std::filesystem;

// The bytes of a file; nullopt if it cannot be read.
std::optional<std::string> ContentOf(const fs::path& path) {
  try {
    const MappedFile mapped(path);
    const auto bytes = mapped.bytes();
    return std::string(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  } catch (const Error&) {
    return std::nullopt;
  }
}

bool IsPlainText(std::string_view text) {
  return text.find('\0') == std::string_view::npos && IsUtf8(text);
}

// Files whose passages are embedded together, so that short files share passes too.
class Gathered {
 public:
  Gathered(SearchIndex& index, const Embedder& embedder, Workspace& workspace,
           const SearchOptions& options)
      : index_(index), embedder_(embedder), workspace_(workspace), options_(options) {}

  void Add(SearchIndex::Entry entry, std::string_view text) {
    for (const Passage& p : entry.passages) {
      texts_.push_back(embedder_.TokensOf(text.substr(p.begin, p.bytes)));
      owners_.push_back(entries_.size());
    }
    bytes_ += entry.file.bytes;
    entries_.push_back(std::move(entry));
  }
  bool full() const { return texts_.size() >= kTexts || entries_.size() >= kTexts; }

  // Embeds them and puts them into the index. Returns the number of passages.
  size_t Flush(uint64_t done, uint64_t total) {
    const size_t width = embedder_.width();
    std::vector<size_t> places(texts_.size());  // in the vectors of their file
    for (size_t i = 0; i < texts_.size(); ++i) {
      std::vector<float>& vectors = entries_[owners_[i]].vectors;
      places[i] = vectors.size();
      vectors.resize(vectors.size() + width);
    }
    EmbedTexts(embedder_, workspace_, texts_,
               {.rows = options_.rows,
                .progress =
                    [&](size_t tokens, size_t all) {
                      if (!options_.progress) return;
                      options_.progress(done + bytes_ * tokens / std::max<size_t>(all, 1), total);
                    },
                .found =
                    [&](size_t i, const std::vector<float>& vector) {
                      std::copy(
                          vector.begin(), vector.end(),
                          entries_[owners_[i]].vectors.begin() + static_cast<ptrdiff_t>(places[i]));
                    }});
    index_.Put(entries_);
    const size_t count = texts_.size();
    entries_.clear();
    texts_.clear();
    owners_.clear();
    bytes_ = 0;
    return count;
  }
  uint64_t bytes() const { return bytes_; }

 private:
  static constexpr size_t kTexts = 256;

  SearchIndex& index_;
  const Embedder& embedder_;
  Workspace& workspace_;
  const SearchOptions& options_;
  std::vector<SearchIndex::Entry> entries_;
  std::vector<std::vector<int32_t>> texts_;  // of all passages
  std::vector<size_t> owners_;               // the entry of each
  uint64_t bytes_ = 0;
};

}  // namespace

SearchUpdate UpdateIndex(SearchIndex& index, const fs::path& folder, const Embedder& embedder,
                         Workspace& workspace, const SearchOptions& options) {
  SearchUpdate update;
  std::vector<SearchFile> files = FilesBelow(folder, kMostSearchBytes), changed;
  uint64_t total = 0, done = 0;
  for (const SearchFile& file : files) {
    if (index.Knows(file)) continue;
    changed.push_back(file);
    total += file.bytes;
  }
  Gathered gathered(index, embedder, workspace, options);
  const auto flush = [&] {
    const uint64_t bytes = gathered.bytes();
    update.embedded += gathered.Flush(done, total);
    done += bytes;
    if (options.progress) options.progress(done, total);
  };
  for (const SearchFile& file : changed) {
    const auto text = ContentOf(folder / fs::path(file.path));
    if (!text) continue;
    ++update.read;
    std::string digest = Hex(Sha256Of(*text));
    if (index.DigestOf(file) == digest) {
      index.Touch(file);
      done += file.bytes;
      continue;
    }
    SearchIndex::Entry entry{.file = file, .digest = std::move(digest)};
    if (IsPlainText(*text)) entry.passages = SplitPassages(*text);
    gathered.Add(std::move(entry), *text);
    if (gathered.full()) flush();
  }
  if (!changed.empty()) flush();
  update.files = files.size();
  update.dropped = index.KeepOnly(files);
  update.texts = index.texts();
  return update;
}

std::vector<SearchHit> Search(SearchIndex& index, std::string_view query, const Embedder& embedder,
                              Workspace& workspace, size_t top) {
  const std::vector<std::vector<int32_t>> texts = {embedder.TokensOf(query)};
  if (texts[0].empty()) throw Error(ErrorKind::kBadInput, "the query is empty, expected a text");
  std::vector<float> vector;
  EmbedTexts(embedder, workspace, texts,
             {.found = [&](size_t, std::vector<float> found) { vector = std::move(found); }});
  return index.Nearest(vector, top);
}

std::string TextOf(const fs::path& folder, const SearchHit& hit) {
  const auto text = ContentOf(folder / fs::path(hit.path));
  if (!text || hit.passage.begin > text->size()) return {};
  std::string part = text->substr(hit.passage.begin, hit.passage.bytes);
  return part.size() == hit.passage.bytes && IsUtf8(part) ? part : std::string();
}

}  // namespace linnet
