// Training records, one JSON line: every accepted document has something to learn.
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "base/check.h"
#include "linnet/error.h"
#include "train/documents.h"
#include "train/vocabulary_trainer.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace linnet;  // NOLINT
  std::string_view text(reinterpret_cast<const char*>(data), size);
  for (const char* chat : {"world", "world-classic", "alpaca-json"}) {
    try {
      const Document document = DocumentOf(text, ChatTemplate::Named(chat));
      LINNET_CHECK(!document.empty() && document.back().learnt);
    } catch (const Error&) {
    }
  }
  while (!text.empty()) {
    const size_t piece = FirstPiece(text);
    LINNET_CHECK(piece > 0 && piece <= text.size());
    text.remove_prefix(piece);
  }
  return 0;
}
