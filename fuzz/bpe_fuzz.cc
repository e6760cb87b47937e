// tokenizer.json of the 20B models, the text to encode, and the steps before its merges. A % stands
// for the single bytes that each file must have, so inputs stay small and fuzzing fast.
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/check.h"
#include "fuzz_target.h"
#include "linnet/error.h"
#include "text/pretokenize.h"
#include "text/tokenizers.h"
#include "text/unicode.h"
#include "text/utf8.h"

namespace {

// The members of model.vocab for every byte of UTF-8, in GPT-2's alphabet, ids from 10 on.
std::string Alphabet() {
  std::string text;
  char32_t next = 0x100;
  for (char32_t byte = 0; byte <= 0xF4; ++byte) {
    const bool printable = (byte >= 0x21 && byte <= 0x7E) || (byte >= 0xA1 && byte != 0xAD);
    const char32_t c = printable ? byte : next++;
    if (byte == 0xC0 || byte == 0xC1) continue;
    text += byte == 0 ? "\"" : ",\"";
    if (c == '"' || c == '\\') text += '\\';
    linnet::AppendUtf8(c, text);
    text += "\":" + std::to_string(10 + byte);
  }
  return text;
}

}  // namespace

LINNET_FUZZ_TARGET(bpe) {
  using namespace linnet;  // NOLINT
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const std::string normal = ToNfc9(ValidUtf8(text));
  LINNET_CHECK(ToNfc9(normal) == normal);
  for (std::string_view rest = normal; !rest.empty();) {
    const size_t word = FirstWord(rest);
    LINNET_CHECK(word > 0 && word <= rest.size());
    rest.remove_prefix(word);
  }
  static const std::string kAlphabet = Alphabet();
  std::string json(text);
  if (const size_t at = json.find('%'); at != json.npos) json.replace(at, 1, kAlphabet);
  try {
    const auto tokenizer = NewNeoxTokenizer(json, "input");
    for (const std::string_view sample :
         {text,
          std::string_view(" the\xFF  [L][R] \n[LR] words word e\u0301x\u0301\u0323 aaaaa")}) {
      tokenizer->Decode(tokenizer->Encode(sample));
    }
  } catch (const Error&) {
  }
}
