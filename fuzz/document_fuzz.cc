// Training records, single and in files: every accepted document has something to learn, and a
// file without an error is read to its end.
#include <sys/mman.h>
#include <unistd.h>

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/check.h"
#include "fuzz_target.h"
#include "linnet/error.h"
#include "train/documents.h"
#include "train/vocabulary_trainer.h"

namespace {

using namespace linnet;  // NOLINT

void ReadFile(std::string_view text, DocumentFormat format) {
  const int fd = memfd_create("document", MFD_CLOEXEC);
  LINNET_CHECK(write(fd, text.data(), text.size()) == static_cast<ssize_t>(text.size()));
  try {
    DocumentReader reader("/proc/self/fd/" + std::to_string(fd), "input", format,
                          ChatTemplate::Named("world"));
    uint64_t before = 0;
    for (Document document; reader.Next(document); before = reader.offset()) {
      LINNET_CHECK(!document.empty() && document.back().learnt && reader.offset() > before);
    }
    LINNET_CHECK(reader.offset() == reader.size());
  } catch (const Error&) {
  }
  close(fd);
}

}  // namespace

LINNET_FUZZ_TARGET(document) {
  std::string_view text(reinterpret_cast<const char*>(data), size);
  for (const char* chat : {"world", "world-classic", "alpaca-json"}) {
    try {
      const Document document = DocumentOf(text, ChatTemplate::Named(chat));
      LINNET_CHECK(!document.empty() && document.back().learnt);
    } catch (const Error&) {
    }
  }
  for (const auto format :
       {DocumentFormat::kText, DocumentFormat::kJsonLines, DocumentFormat::kJson}) {
    ReadFile(text, format);
  }
  while (!text.empty()) {
    const size_t piece = FirstPiece(text);
    LINNET_CHECK(piece > 0 && piece <= text.size());
    text.remove_prefix(piece);
  }
}
