#include "io/sniff.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <string>

#include "base/is_utf8.h"
#include "io/quoted.h"
#include "linnet/error.h"

namespace linnet {
namespace {

struct Magic {
  size_t offset;
  std::string_view bytes;
  const char* what;  // what it is and, after a semicolon, what to do
};

constexpr std::string_view kExpected = "expected a .pth, .safetensors or .gguf checkpoint";

constexpr Magic kForeign[] = {
    {0, "\x1f\x8b", "gzip data; unpack it first"},
    {0,
     "\xfd"
     "7zXZ",
     "xz data; unpack it first"},
    {0, "\x28\xb5\x2f\xfd", "zstd data; unpack it first"},
    {0, "BZh", "bzip2 data; unpack it first"},
    {0, "7z\xbc\xaf\x27\x1c", "a 7z archive; unpack it first"},
    {0, "Rar!", "a rar archive; unpack it first"},
    {257, "ustar",
     "a tar archive; unpack it first, or, if torch before 0.1.10 wrote it, load and "
     "save it again with torch"},
    {0, "\x93NUMPY", "a numpy array; save the model's state dict with torch or safetensors"},
    {0, "\x89HDF", "an HDF5 file; save the model's state dict with torch or safetensors"},
    {0, "lmgg", "an old ggml file; convert it with rwkv.cpp"},
    {0, "tjgg", "an old llama.cpp ggjt file; it holds no RWKV model"},
    {0, "version https://git-lfs.github.com/spec/",
     "a git-lfs pointer, not the file itself; run git lfs pull, or download it from the web page"},
    {0, "%PDF", "a PDF document"},
    {0,
     "\x7f"
     "ELF",
     "a program"},
};

Error Refuse(const FileBytes& file, std::string_view what) {
  const size_t semicolon = what.find(';');
  const auto advice =
      semicolon == std::string_view::npos ? std::string_view{} : what.substr(semicolon);
  return Error(ErrorKind::kBadModel, fmt::format("{}: {}, {}{}", file.name,
                                                 what.substr(0, semicolon), kExpected, advice));
}

std::string_view Head(const FileBytes& file) { return AsText(file.bytes).substr(0, 4096); }

bool IsHtml(std::string_view head) {
  std::string start;
  for (const char c : head.substr(0, 512)) {
    if (start.empty() && (std::isspace(static_cast<unsigned char>(c)) != 0 || c < 0)) continue;
    start += static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  }
  for (const std::string_view tag : {"<!doctype", "<html", "<head", "<?xml", "<!--"}) {
    if (start.starts_with(tag)) return true;
  }
  return false;
}

// The head may end inside a UTF-8 character.
bool IsText(std::string_view head) {
  const auto control = [](char c) {
    return (c >= 0 && c < ' ' && c != '\n' && c != '\r' && c != '\t') || c == 0x7f;
  };
  if (std::any_of(head.begin(), head.end(), control)) return false;
  for (size_t cut = 0; cut < 4 && cut < head.size(); ++cut) {
    if (IsUtf8(head.substr(0, head.size() - cut))) return true;
  }
  return false;
}

// u64 header size, then the header's brace (some writers put blanks before it).
bool LooksLikeSafetensors(std::string_view head) {
  if (head.size() < 9) return false;
  const size_t brace = head.find_first_not_of(" \n", 8);
  return head[6] == 0 && head[7] == 0 && brace != std::string_view::npos && head[brace] == '{';
}

}  // namespace

Container Sniff(const FileBytes& file) {
  const auto head = Head(file);
  if (head.empty()) throw Refuse(file, "empty (0 bytes); download it again");
  if (head.starts_with("PK\x03\x04") || head.starts_with("PK\x05\x06")) return Container::kTorchZip;
  if (IsTorchLegacy(file.bytes)) return Container::kTorchLegacy;
  if (head.starts_with("GGUF")) return Container::kGguf;
  if (head.starts_with("fmgg")) return Container::kGgmf;
  if (LooksLikeSafetensors(head)) return Container::kSafetensors;

  if (head.find_first_not_of('\0') == std::string_view::npos) {
    throw Refuse(file, fmt::format("begins with {} zero bytes; its download was interrupted, "
                                   "download it again",
                                   head.size()));
  }
  for (const auto& magic : kForeign) {
    if (head.size() > magic.offset && head.substr(magic.offset).starts_with(magic.bytes)) {
      throw Refuse(file, magic.what);
    }
  }
  if (IsHtml(head)) {
    throw Refuse(file,
                 "a web page (HTML), perhaps an error or login page; download the file itself");
  }
  if (IsText(head)) {
    const size_t first = head.find_first_not_of(" \t\r\n");
    const bool json = first != std::string_view::npos && (head[first] == '{' || head[first] == '[');
    throw Refuse(file, json ? "a JSON text" : "a plain text");
  }
  if (head[0] == '\x80' && head.size() > 1 && head[1] >= 2 && head[1] <= 5) {
    throw Refuse(file, "a bare Python pickle; save the model's state dict with torch.save");
  }
  std::string bytes;
  for (const char c : head.substr(0, 8)) bytes += fmt::format(" {:02x}", static_cast<uint8_t>(c));
  throw Refuse(file,
               fmt::format("of no known format (it begins with{}); is it the right file?", bytes));
}

}  // namespace linnet
