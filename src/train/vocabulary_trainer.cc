#include "train/vocabulary_trainer.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <unordered_set>
#include <utility>

#include "linnet/error.h"
#include "text/byte_trie.h"
#include "text/unicode.h"
#include "text/utf8.h"

namespace linnet {
namespace {

// Used by chat templates; always entries.
constexpr std::string_view kNeeded[] = {"\n\n",   "User",  "Assistant",
                                        "System", " User", " Assistant"};
constexpr size_t kBytes = 256;
constexpr size_t kLongest = 48;    // bytes of an entry
constexpr size_t kMostJoined = 6;  // most tokens that an entry joins, unless a whole piece
// The most distinct pieces to count; beyond that, the rarest are dropped.
constexpr size_t kMostPieces = size_t{1} << 22;
constexpr size_t kRefinements = 48;

struct Piece {
  std::string_view text;
  uint64_t count;
};

// Candidates and their gain, best first; ties ordered by their bytes.
using Scored = std::vector<std::pair<uint64_t, std::string_view>>;

void SortBest(Scored& scored) {
  std::sort(scored.begin(), scored.end(), [](const auto& a, const auto& b) {
    return a.first != b.first ? a.first > b.first : a.second < b.second;
  });
}

bool IsStart(char c) { return (static_cast<uint8_t>(c) & 0xC0) != 0x80; }

// The search. Entries are views into the pieces, or into kNeeded.
class Search {
 public:
  Search(std::vector<Piece> pieces, size_t wanted) : pieces_(std::move(pieces)), wanted_(wanted) {
    for (size_t byte = 0; byte < kBytes; ++byte) bytes_[byte] = static_cast<char>(byte);
    for (const std::string_view needed : kNeeded) entries_.push_back(needed);
    fixed_ = entries_.size();
  }

  std::vector<std::string_view> Run(const std::function<void(size_t, size_t)>& progress) {
    size_t step = 0;
    const auto tell = [&] {
      if (progress) progress(std::min(step, kRefinements + 24), kRefinements + 24);
      ++step;
    };
    while (entries_.size() < wanted_) {
      tell();
      const size_t before = entries_.size();
      Add(std::min(wanted_ - before, std::max<size_t>(32, before / 4)));
      if (entries_.size() == before) break;  // no candidates are left
    }
    std::vector<std::string_view> best = entries_;
    uint64_t fewest = Count();
    for (size_t round = 0; round < kRefinements; ++round) {
      tell();
      // Steps get smaller: each candidate's gain is computed as if it were the only change.
      const double share = 0.25 * static_cast<double>(kRefinements - round) / kRefinements;
      Add(std::max<size_t>(4, static_cast<size_t>(share * static_cast<double>(wanted_))));
      for (int part = 0; part < 3 && entries_.size() > wanted_; ++part) {
        const size_t over = entries_.size() - wanted_;
        Drop(part == 2 ? over : (over + 1) / 2);
      }
      const uint64_t tokens = Count();
      if (tokens >= fewest) continue;
      fewest = tokens;
      best = entries_;
    }
    return best;
  }

 private:
  int32_t IndexOfByte(char c) const {
    return static_cast<int32_t>(entries_.size() + static_cast<uint8_t>(c));
  }

  ByteTrie Trie() const {
    std::vector<ByteTrie::Entry> keys;
    for (size_t i = 0; i < entries_.size(); ++i) {
      keys.push_back({entries_[i], static_cast<int32_t>(i)});
    }
    for (const char& byte : bytes_) keys.push_back({std::string_view(&byte, 1), IndexOfByte(byte)});
    return ByteTrie(std::move(keys));
  }

  // Calls use(piece, matches) for all pieces.
  template <class F>
  void Tokenize(const F& use) const {
    const ByteTrie trie = Trie();
    std::vector<ByteTrie::Match> matches;
    for (const Piece& piece : pieces_) {
      matches.clear();
      for (std::string_view rest = piece.text; !rest.empty();) {
        matches.push_back(trie.Longest(rest));
        rest.remove_prefix(matches.back().length);
      }
      use(piece, matches);
    }
  }

  uint64_t Count() const {
    uint64_t tokens = 0;
    Tokenize(
        [&](const Piece& piece, const auto& matches) { tokens += piece.count * matches.size(); });
    return tokens;
  }

  // Up to `count` of the token runs with the highest gain as entries. Of overlapping runs only the
  // best is added per step, because it changes the gain of the others.
  void Add(size_t count) {
    std::unordered_map<std::string_view, uint64_t> gains;
    Tokenize([&](const Piece& piece, const auto& matches) {
      size_t from = 0;
      for (size_t i = 0; i < matches.size(); from += matches[i++].length) {
        if (!IsStart(piece.text[from])) continue;
        size_t length = matches[i].length;
        for (size_t j = i + 1; j < matches.size(); ++j) {
          length += matches[j].length;
          if (length > kLongest) break;
          const size_t end = from + length;
          if (j - i >= kMostJoined && end < piece.text.size()) continue;
          if (end < piece.text.size() && !IsStart(piece.text[end])) continue;
          gains[piece.text.substr(from, length)] += piece.count * (j - i);
        }
      }
    });
    Scored scored;
    for (const auto& [text, gain] : gains) {
      if (gain > 1) scored.emplace_back(gain, text);
    }
    SortBest(scored);
    std::unordered_set<std::string_view> taken, inside;
    for (const auto& [gain, text] : scored) {
      if (count == 0) break;
      if (inside.count(text) != 0 || Overlaps(text, taken)) continue;
      ForSubstrings(text, [&](std::string_view substring) { inside.insert(substring); });
      taken.insert(text);
      entries_.push_back(text);
      --count;
    }
  }

  template <class F>
  static void ForSubstrings(std::string_view text, const F& use) {
    for (size_t begin = 0; begin < text.size(); ++begin) {
      for (size_t size = 2; begin + size <= text.size(); ++size) use(text.substr(begin, size));
    }
  }

  static bool Overlaps(std::string_view text, const std::unordered_set<std::string_view>& taken) {
    bool found = false;
    ForSubstrings(
        text, [&](std::string_view substring) { found = found || taken.count(substring) != 0; });
    return found;
  }

  // Removes the `count` entries whose removal adds the fewest tokens.
  void Drop(size_t count) {
    std::vector<uint64_t> uses(entries_.size() + kBytes);
    Tokenize([&](const Piece& piece, const auto& matches) {
      for (const auto& match : matches) uses[static_cast<size_t>(match.id)] += piece.count;
    });
    const ByteTrie trie = Trie();
    Scored scored;
    for (size_t i = fixed_; i < entries_.size(); ++i) {
      // Without its last byte, the longest match at its start is another entry.
      uint64_t tokens = 0;
      std::string_view rest = entries_[i];
      for (rest.remove_suffix(1); !rest.empty(); ++tokens) {
        const size_t length = trie.Longest(rest).length;
        if (tokens == 0) {
          rest = entries_[i].substr(length);
        } else {
          rest.remove_prefix(length);
        }
      }
      scored.emplace_back(uses[i] * (std::max<uint64_t>(tokens, 2) - 1), entries_[i]);
    }
    SortBest(scored);
    scored.resize(scored.size() - std::min(count, scored.size()));
    entries_.resize(fixed_);
    for (const auto& [cost, text] : scored) entries_.push_back(text);
  }

  std::vector<Piece> pieces_;
  size_t wanted_, fixed_ = 0;
  std::array<char, kBytes> bytes_;
  std::vector<std::string_view>
      entries_;  // without the single bytes; the first `fixed_` are never removed
};

bool IsLetter(char32_t c) {
  return ClassOf(c) == CharClass::kLetter ||
         (IsWordChar(c) && c != '_' && ClassOf(c) != CharClass::kNumber);
}

size_t Word(std::string_view text) {
  size_t size = 0;
  while (size < text.size()) {
    const Utf8Step step = NextUtf8(text.substr(size));
    if (!step.valid) break;
    if (IsLetter(step.c)) {
      size += step.bytes;
      continue;
    }
    // An apostrophe between letters.
    if (size == 0 || (step.c != '\'' && step.c != U'\u2019')) break;
    const Utf8Step next = NextUtf8(text.substr(size + step.bytes));
    if (!next.valid || !IsLetter(next.c)) break;
    size += step.bytes + next.bytes;
  }
  return size;
}

size_t Punctuation(std::string_view text) {
  size_t size = 0;
  while (size < text.size()) {
    const Utf8Step step = NextUtf8(text.substr(size));
    if (!step.valid || step.c == ':' || IsLetter(step.c) || ClassOf(step.c) != CharClass::kOther) {
      break;
    }
    size += step.bytes;
  }
  return size;
}

}  // namespace

size_t FirstPiece(std::string_view text) {
  if (text.empty()) return 0;
  if (text.substr(0, 2) == "\n\n") return 2;
  if (text[0] == '\t') return std::min(text.find_first_not_of('\t'), text.size());
  size_t blanks = 0;
  while (blanks < text.size() && text[blanks] == ' ') ++blanks;
  if (blanks > 1) {
    // The last one belongs to the next piece, if that can start with it.
    const std::string_view rest = text.substr(blanks);
    return Word(rest) + Punctuation(rest) > 0 ? blanks - 1 : blanks;
  }
  const std::string_view rest = text.substr(blanks);
  if (const size_t size = Word(rest); size > 0) return blanks + size;
  if (const size_t size = Punctuation(rest); size > 0) return blanks + size;
  if (blanks > 0) return blanks;
  return std::max<size_t>(NextUtf8(text).bytes, 1);
}

void VocabularyTrainer::Add(std::string_view text) {
  while (!text.empty()) {
    const std::string_view piece = text.substr(0, FirstPiece(text));
    text.remove_prefix(piece.size());
    // A piece longer than any entry is rarely a word; count only its start.
    const std::string_view key = piece.substr(0, 4 * kLongest);
    const auto found = counts_.find(key);
    if (found != counts_.end()) {
      ++found->second;
      continue;
    }
    counts_.emplace(key, 1);
    for (uint64_t least = 1; counts_.size() > kMostPieces; least *= 2) {
      std::erase_if(counts_, [&](const auto& entry) { return entry.second <= least; });
    }
  }
}

std::pair<size_t, size_t> VocabularyTrainer::Sizes() {
  return {1 + kBytes + std::size(kNeeded), size_t{kMaxTokenId} + 1};
}

std::vector<VocabularyEntry> VocabularyTrainer::Train(
    size_t size, const std::function<void(size_t, size_t)>& progress) const {
  const auto [least, most] = Sizes();
  if (size < least || size > most) {
    throw Error(ErrorKind::kBadInput,
                fmt::format("a vocabulary of {} tokens, expected {} to {}", size, least, most));
  }
  std::vector<Piece> pieces;
  pieces.reserve(counts_.size());
  for (const auto& [text, count] : counts_) pieces.push_back({text, count});
  std::sort(pieces.begin(), pieces.end(),
            [](const Piece& a, const Piece& b) { return a.text < b.text; });
  std::vector<std::string_view> chosen = Search(std::move(pieces), size - 1 - kBytes).Run(progress);
  std::sort(chosen.begin(), chosen.end(), [](std::string_view a, std::string_view b) {
    return a.size() != b.size() ? a.size() < b.size() : a < b;
  });
  std::vector<VocabularyEntry> entries;
  for (size_t byte = 0; byte < kBytes; ++byte) {
    entries.push_back({static_cast<int32_t>(byte + 1), std::string(1, static_cast<char>(byte))});
  }
  for (const std::string_view text : chosen) {
    entries.push_back({static_cast<int32_t>(entries.size() + 1), std::string(text)});
  }
  return entries;
}

}  // namespace linnet
