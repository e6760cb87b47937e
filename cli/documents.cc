#include "cli/documents.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <stdlib.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <string_view>
#include <system_error>

#include "base/mapped_file.h"
#include "cli/texts.h"
#include "linnet/error.h"

namespace linnet::cli {
namespace {

Error CannotKeep(const std::string& where) {
  return Error(ErrorKind::kIo, fmt::format("{}: cannot keep a copy of stdin there: {}", where,
                                           std::strerror(errno)));
}

DocumentFormat FormatOfFile(const std::string& path) {
  constexpr size_t kFront = 4096;
  const MappedFile file{std::filesystem::path(path)};
  const auto bytes = file.bytes().first(std::min(kFront, file.bytes().size()));
  return FormatOfText({reinterpret_cast<const char*>(bytes.data()), bytes.size()});
}

}  // namespace

StdinFile::StdinFile() {
  std::error_code error;
  const std::filesystem::path folder = std::filesystem::temp_directory_path(error);
  std::string name = (folder / "linnet-stdin.XXXXXX").string();
  fd_ = mkostemp(name.data(), O_CLOEXEC);
  if (fd_ < 0) throw CannotKeep(folder.string());
  unlink(name.c_str());  // removed when the program ends, even by a crash
  ByteSource source("-");
  for (std::string_view bytes; !(bytes = source.Next()).empty();) {
    while (!bytes.empty()) {
      const ssize_t count = write(fd_, bytes.data(), bytes.size());
      if (count < 0 && errno == EINTR) continue;
      if (count < 0) throw CannotKeep(folder.string());
      bytes.remove_prefix(static_cast<size_t>(count));
    }
  }
}

StdinFile::~StdinFile() { close(fd_); }

std::string StdinFile::path() const { return fmt::format("/proc/self/fd/{}", fd_); }

DocumentInputs::DocumentInputs(const std::vector<std::string>& names, const std::string& chat)
    : chat_(ChatTemplate::Named(chat)) {
  for (const std::string& name : names) {
    if (name == "-") continue;
    inputs_.push_back({name, name, DocumentFormatOf(std::filesystem::path(name))});
    total_ += Open(inputs_.back()).size();  // reports unreadable files before any work
  }
  for (size_t i = 0; i < names.size(); ++i) {
    if (names[i] != "-") continue;
    if (stdin_ == nullptr) stdin_ = std::make_unique<StdinFile>();
    const Input input{stdin_->path(), "stdin", FormatOfFile(stdin_->path())};
    if (input.format == DocumentFormat::kJson) Say("stdin: read as JSON\n");
    inputs_.insert(inputs_.begin() + static_cast<ptrdiff_t>(i), input);
    total_ += Open(input).size();
  }
}

}  // namespace linnet::cli
