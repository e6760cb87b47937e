#include "train/documents.h"

#include <fmt/format.h>

#include <algorithm>
#include <span>
#include <system_error>
#include <utility>

#include "base/lower.h"
#include "linnet/error.h"
#include "text/utf8.h"

namespace linnet {
namespace {

constexpr std::string_view kEndOfText = "<|endoftext|>";
// Memory of the mapped file is released at intervals, so that little of it is resident.
constexpr uint64_t kDropAfter = uint64_t{32} << 20;

constexpr std::string_view kBlanks = " \t\r\n";

void DropText(std::string_view mapped) {
  MappedFile::Drop(std::as_bytes(std::span(mapped.data(), mapped.size())));
}

bool IsBlank(std::string_view text) { return text.find_first_not_of(kBlanks) == text.npos; }

// The length of the JSON object at the start of `text`; npos if it does not end. The parser checks
// whether it is valid.
size_t EndOfObject(std::string_view text) {
  size_t depth = 0;
  for (size_t at = 0; (at = text.find_first_of("{}[]\"", at)) != text.npos; ++at) {
    if (text[at] == '"') {
      while ((at = text.find_first_of("\"\\", at + 1)) != text.npos && text[at] == '\\') ++at;
      if (at == text.npos) return text.npos;
    } else if (text[at] == '{' || text[at] == '[') {
      ++depth;
    } else if (--depth == 0) {
      return at + 1;
    }
  }
  return text.npos;
}

// Where the first document of `text` ends, and where the next begins.
struct Ends {
  size_t text, next;
};

// `text` starts at the start of a line. Reads no further than necessary.
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

DocumentFormat DocumentFormatOf(const std::filesystem::path& path) {
  const std::string ending = Lower(path.extension().string());
  if (ending == ".txt" || ending == ".md") return DocumentFormat::kText;
  if (ending == ".jsonl" || ending == ".ndjson") return DocumentFormat::kJsonLines;
  if (ending == ".json") return DocumentFormat::kJson;
  std::error_code error;
  const bool folder = std::filesystem::is_directory(path, error);
  throw Error(ErrorKind::kBadInput, fmt::format("{}: {}expected a .txt, .md, .jsonl or .json file",
                                                path.string(), folder ? "is a folder, " : ""));
}

DocumentFormat FormatOfText(std::string_view text) {
  text = WithoutByteOrderMark(text);
  const size_t first = text.find_first_not_of(kBlanks);
  if (first == text.npos) return DocumentFormat::kText;
  const size_t second = text.find_first_not_of(kBlanks, first + 1);
  if (second == text.npos) return DocumentFormat::kText;
  const bool json =
      (text[first] == '[' && text[second] == '{') || (text[first] == '{' && text[second] == '"');
  return json ? DocumentFormat::kJson : DocumentFormat::kText;
}

DocumentReader::DocumentReader(const std::filesystem::path& path, const ChatTemplate& chat)
    : DocumentReader(path, path.string(), DocumentFormatOf(path), chat) {}

DocumentReader::DocumentReader(const std::filesystem::path& path, std::string name,
                               DocumentFormat format, const ChatTemplate& chat)
    : name_(std::move(name)), file_(path), chat_(chat), format_(format) {
  const std::string_view front = Rest().substr(0, 2);
  if (front == "\xFF\xFE" || front == "\xFE\xFF") {
    throw Error(ErrorKind::kBadInput, fmt::format("{}: is UTF-16, expected UTF-8; convert it with "
                                                  "iconv -f UTF-16 -t UTF-8",
                                                  name_));
  }
  Advance(Rest().size() - WithoutByteOrderMark(Rest()).size());
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
  switch (format_) {
    case DocumentFormat::kText:
      return NextText(document);
    case DocumentFormat::kJsonLines:
      return NextLine(document);
    case DocumentFormat::kJson:
      return NextObject(document);
  }
  return false;
}

void DocumentReader::Fail(std::string_view what) const {
  throw Error(ErrorKind::kBadInput, fmt::format("{}:{}: {}", name_, line_, what));
}

Document DocumentReader::Parsed(std::string_view json) const {
  try {
    return DocumentOf(json, chat_);
  } catch (const Error& error) {
    Fail(error.what());
  }
}

bool DocumentReader::NextText(Document& document) {
  while (!Rest().empty()) {
    const Ends ends = EndOfDocument(Rest());
    std::string_view text =
        WithoutByteOrderMark(Rest().substr(0, ends.text));  // of concatenated files
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
    const size_t end = std::min(Rest().find('\n'), Rest().size());
    const std::string_view line = WithoutByteOrderMark(Rest().substr(0, end));
    const bool blank = IsBlank(line);
    if (!blank) document = Parsed(line);
    Advance(std::min(end + 1, Rest().size()));
    ++line_;
    if (!blank) return true;
  }
  return false;
}

void DocumentReader::SkipBlanks() {
  for (;;) {
    const std::string_view near = Rest().substr(0, size_t{1} << 16);
    const std::string_view blanks = near.substr(0, near.find_first_not_of(kBlanks));
    line_ += static_cast<uint64_t>(std::count(blanks.begin(), blanks.end(), '\n'));
    Advance(blanks.size());
    if (near.empty() || blanks.size() < near.size()) return;
  }
}

// Finds only the ends of objects, so that an array of any size is read with the memory of one
// object.
bool DocumentReader::NextObject(Document& document) {
  if (ended_) return false;
  const auto take = [this](char c) {
    SkipBlanks();
    if (Rest().empty() || Rest().front() != c) return false;
    Advance(1);
    SkipBlanks();
    return true;
  };
  if (!begun_) in_array_ = take('[');
  SkipBlanks();
  ended_ = in_array_ ? take(']') : Rest().empty();
  if (ended_ && !Rest().empty()) Fail("more follows the array, expected the end of the file");
  if (ended_) return false;
  if (in_array_ && begun_ && !Rest().empty() && !take(',')) {
    Fail("expected a comma or ] after an object");
  }
  if (Rest().empty()) Fail("the array does not end");
  if (Rest().front() != '{') {
    Fail(begun_ || in_array_ ? "expected an object, {\"…\": …}"
                             : "not JSON, expected an array of objects");
  }
  const size_t end = EndOfObject(Rest());
  if (end == std::string_view::npos) Fail("the object that begins here does not end");
  const std::string_view object = Rest().substr(0, end);
  document = Parsed(object);
  line_ += static_cast<uint64_t>(std::count(object.begin(), object.end(), '\n'));
  begun_ = true;
  Advance(end);
  if (!in_array_) SkipBlanks();
  return true;
}

}  // namespace linnet
