#include "train/documents.h"

#include <fmt/format.h>

#include <algorithm>
#include <span>

#include "linnet/error.h"

namespace linnet {
namespace {

constexpr std::string_view kEndOfText = "<|endoftext|>";
constexpr std::string_view kByteOrderMark = "\xEF\xBB\xBF";
// Memory of the mapped file is given back from time to time, so that little of it is held.
constexpr uint64_t kDropAfter = uint64_t{32} << 20;

bool HoldsLines(const std::filesystem::path& path) {
  const std::string ending = path.extension().string();
  if (ending == ".jsonl" || ending == ".ndjson") return true;
  if (ending == ".txt") return false;
  throw Error(ErrorKind::kBadInput,
              fmt::format("{}: expected a .txt or .jsonl file", path.string()));
}

void DropText(std::string_view mapped) {
  MappedFile::Drop(std::as_bytes(std::span(mapped.data(), mapped.size())));
}

bool IsBlank(std::string_view text) { return text.find_first_not_of(" \t\r\n") == text.npos; }

// Where the document at the front of `text` ends, and where the next begins.
struct Ends {
  size_t text, next;
};

// The front of `text` is the front of a line. Reads no further than it must.
Ends EndOfDocument(std::string_view text) {
  size_t dropped = 0;
  for (size_t begin = 0; begin < text.size();) {
    if (begin - dropped > kDropAfter) {
      DropText(text.substr(dropped, begin - dropped));
      dropped = begin;
    }
    const size_t end = std::min(text.find('\n', begin), text.size());
    std::string_view line = text.substr(begin, end - begin);
    const size_t next = std::min(end + 1, text.size());
    const size_t feed = line.find('\f');
    if (feed != line.npos) return {begin + feed, begin + feed + 1};
    if (!line.empty() && line.back() == '\r') line.remove_suffix(1);
    if (line == kEndOfText) return {begin, next};
    begin = next;
  }
  return {text.size(), text.size()};
}

}  // namespace

DocumentReader::DocumentReader(const std::filesystem::path& path, const ChatTemplate& chat)
    : name_(path.string()), file_(path), chat_(chat), lines_(HoldsLines(path)) {
  if (Rest().substr(0, kByteOrderMark.size()) == kByteOrderMark) Advance(kByteOrderMark.size());
}

std::string_view DocumentReader::Rest() const {
  const auto rest = file_.bytes().subspan(offset_);
  return {reinterpret_cast<const char*>(rest.data()), rest.size()};
}

void DocumentReader::Advance(size_t bytes) {
  offset_ += bytes;
  if (offset_ - dropped_ < kDropAfter) return;
  MappedFile::Drop(file_.bytes().subspan(dropped_, offset_ - dropped_));
  dropped_ = offset_;
}

bool DocumentReader::Next(Document& document) {
  document.clear();
  return lines_ ? NextLine(document) : NextText(document);
}

bool DocumentReader::NextText(Document& document) {
  while (!Rest().empty()) {
    const Ends ends = EndOfDocument(Rest());
    std::string_view text = Rest().substr(0, ends.text);
    while (!text.empty() && (text.front() == '\n' || text.front() == '\r')) text.remove_prefix(1);
    while (!text.empty() && (text.back() == '\n' || text.back() == '\r')) text.remove_suffix(1);
    const bool blank = IsBlank(text);
    if (!blank) document.push_back({.mapped = text});
    Advance(ends.next);
    if (!blank) return true;
  }
  return false;
}

bool DocumentReader::NextLine(Document& document) {
  while (!Rest().empty()) {
    ++line_;
    const size_t end = std::min(Rest().find('\n'), Rest().size());
    const std::string_view line = Rest().substr(0, end);
    const bool blank = IsBlank(line);
    if (!blank) {
      try {
        document = DocumentOf(line, chat_);
      } catch (const Error& error) {
        throw Error(error.kind(), fmt::format("{}:{}: {}", name_, line_, error.what()));
      }
    }
    Advance(std::min(end + 1, Rest().size()));
    if (!blank) return true;
  }
  return false;
}

}  // namespace linnet
