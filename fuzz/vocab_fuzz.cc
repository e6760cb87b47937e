// World-format vocabularies: the literals, the file, and text encoded with the result.
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "base/check.h"
#include "fuzz_target.h"
#include "linnet/error.h"
#include "text/python_literal.h"
#include "text/tokenizers.h"

LINNET_FUZZ_TARGET(vocab) {
  using namespace linnet;  // NOLINT
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  try {
    ParsePythonLiteral(text);
  } catch (const Error&) {
  }
  try {
    const auto tokenizer = NewWorldTokenizer(ParseVocabulary(text, "input"));
    LINNET_CHECK(tokenizer->Decode(tokenizer->Encode(text)) == text);
  } catch (const Error&) {
  }
}
