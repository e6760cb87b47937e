// tokenizer.json of the 20B kind, the text it is given, and the steps before its merges.
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/check.h"
#include "linnet/error.h"
#include "text/pretokenize.h"
#include "text/tokenizers.h"
#include "text/unicode.h"
#include "text/utf8.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace linnet;  // NOLINT
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const std::string normal = ToNfc9(ValidUtf8(text));
  LINNET_CHECK(ToNfc9(normal) == normal);
  for (std::string_view rest = normal; !rest.empty();) {
    const size_t word = FirstWord(rest);
    LINNET_CHECK(word > 0 && word <= rest.size());
    rest.remove_prefix(word);
  }
  try {
    const auto tokenizer = NewNeoxTokenizer(text, "input");
    for (const std::string_view sample :
         {text,
          std::string_view(" the\xFF  [L][R] \n[LR] words word e\u0301x\u0301\u0323 aaaaa")}) {
      tokenizer->Decode(tokenizer->Encode(sample));
    }
  } catch (const Error&) {
  }
  return 0;
}
