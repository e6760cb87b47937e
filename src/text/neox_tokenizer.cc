#include <fmt/format.h>

#include <array>
#include <nlohmann/json.hpp>
#include <optional>
#include <unordered_map>

#include "base/sha256.h"
#include "linnet/error.h"
#include "text/added_tokens.h"
#include "text/bpe.h"
#include "text/pretokenize.h"
#include "text/token_table.h"
#include "text/tokenizers.h"
#include "text/unicode.h"
#include "text/utf8.h"

namespace linnet {
namespace {

using Json = nlohmann::json;

// GPT-2's alphabet: each byte as a printable character. Printable Latin-1 bytes map to themselves,
// the others to U+0100 and up, in order.
std::array<char32_t, 256> ByteAlphabet() {
  std::array<char32_t, 256> alphabet;
  char32_t next = 0x100;
  for (char32_t byte = 0; byte < 256; ++byte) {
    const bool printable = (byte >= 0x21 && byte <= 0x7E) || (byte >= 0xA1 && byte != 0xAD);
    alphabet[byte] = printable ? byte : next++;
  }
  return alphabet;
}

// The bytes of a vocabulary entry; nullopt if it has a character outside the alphabet.
std::optional<std::string> FromAlphabet(const std::string& token,
                                        const std::array<int16_t, 0x144>& bytes) {
  std::string out;
  for (std::string_view rest = token; !rest.empty();) {
    const Utf8Step step = NextUtf8(rest);
    if (step.c >= bytes.size() || bytes[step.c] < 0) return std::nullopt;
    out.push_back(static_cast<char>(bytes[step.c]));
    rest.remove_prefix(step.bytes);
  }
  return out;
}

// These bytes do not occur in valid UTF-8, so they need no token.
bool NeverInUtf8(int byte) { return byte == 0xC0 || byte == 0xC1 || byte > 0xF4; }

// The checked content of a tokenizer.json; every message names the file.
class NeoxFile {
 public:
  NeoxFile(std::string_view json, const std::string& name) : name_(name) {
    try {
      root_ = Json::parse(json);
    } catch (const Json::parse_error& error) {
      Fail(fmt::format("not valid JSON at byte {}", error.byte));
    } catch (const Json::out_of_range&) {  // for example 1e999
      Fail("not valid JSON: a number is out of range");
    }
    if (!root_.is_object() || !Get(root_, "model").is_object()) {
      Fail("not a tokenizer.json: it has no `model`");
    }
    const Json& model = Get(root_, "model");
    if (Get(model, "type") != "BPE") Refuse("model.type", Get(model, "type"), "\"BPE\"");
    for (const char* key : {"dropout", "unk_token"}) WantNull(model, "model.", key);
    for (const char* key : {"continuing_subword_prefix", "end_of_word_suffix"}) {
      if (Get(model, key) != "") WantNull(model, "model.", key);
    }
    for (const char* key : {"byte_fallback", "ignore_merges"}) WantFalse(model, "model.", key);
    for (const char* key : {"truncation", "padding"}) WantNull(root_, "", key);
    WantType("normalizer", "NFC");
    WantType("post_processor", "ByteLevel");
    WantType("decoder", "ByteLevel");
    WantType("pre_tokenizer", "ByteLevel");
    const Json& splitter = Get(root_, "pre_tokenizer");
    if (!splitter.is_object()) Refuse("pre_tokenizer", splitter, "ByteLevel");
    WantFalse(splitter, "pre_tokenizer.", "add_prefix_space");
    if (Get(splitter, "use_regex") == false) Refuse("pre_tokenizer.use_regex", false, "true");
    ReadVocabulary(model);
    ReadMerges(model);
    ReadAddedTokens();
  }

  bool nfc() const { return Get(root_, "normalizer").is_object(); }

  Bpe bpe;
  std::vector<VocabularyEntry> entries;          // of the model and of added tokens; ids are unique
  std::vector<AddedToken> verbatim, normalized;  // matched before and after normalization

 private:
  [[noreturn]] void Fail(const std::string& what) const {
    throw Error(ErrorKind::kBadInput, fmt::format("{}: {}", name_, what));
  }
  [[noreturn]] void Refuse(const std::string& what, const Json& found, const char* wanted) const {
    std::string text = found.dump(-1, ' ', true, Json::error_handler_t::replace);
    if (text.size() > 60) text = text.substr(0, 57) + "...";
    Fail(fmt::format("{} is {}, but only {} is supported", what, text, wanted));
  }

  // The member, or null.
  static const Json& Get(const Json& object, const char* key) {
    static const Json kNull;
    const auto found = object.find(key);
    return found == object.end() ? kNull : *found;
  }
  void WantNull(const Json& object, const char* place, const char* key) const {
    if (!Get(object, key).is_null()) Refuse(std::string(place) + key, Get(object, key), "null");
  }
  void WantFalse(const Json& object, const char* place, const char* key) const {
    const Json& value = Get(object, key);
    if (!value.is_null() && value != false) Refuse(std::string(place) + key, value, "false");
  }
  void WantType(const char* key, const char* type) const {
    const Json& value = Get(root_, key);
    if (value.is_null()) return;
    if (!value.is_object() || Get(value, "type") != type) Refuse(key, value, type);
  }

  int32_t Id(const Json& value, const std::string& what) const {
    if (!value.is_number_integer() || value < 0 || value > kMaxTokenId) {
      Fail(fmt::format("the id of {} is not a whole number from 0 to {}", what, kMaxTokenId));
    }
    return value.get<int32_t>();
  }

  // A token as shown in a message: short, and without control characters.
  static std::string Show(const std::string& token) {
    const std::string text = Json(token).dump(-1, ' ', true, Json::error_handler_t::replace);
    return text.size() > 60 ? text.substr(0, 57) + "..." : text;
  }

  void AddEntry(int32_t id, std::string bytes, const std::string& token) {
    const auto [other, fresh] = by_id_.emplace(id, entries.size());
    if (!fresh) Fail(fmt::format("id {} of {} is taken", id, Show(token)));
    entries.push_back({id, std::move(bytes)});
  }

  void ReadVocabulary(const Json& model) {
    const Json& vocab = Get(model, "vocab");
    if (!vocab.is_object()) Fail("model.vocab is not an object");
    const std::array<char32_t, 256> alphabet = ByteAlphabet();
    std::array<int16_t, 0x144> bytes;
    bytes.fill(-1);
    for (size_t byte = 0; byte < 256; ++byte) {
      bytes[alphabet[byte]] = static_cast<int16_t>(byte);
    }
    for (const auto& [token, value] : vocab.items()) {
      const int32_t id = Id(value, Show(token));
      std::optional<std::string> text = FromAlphabet(token, bytes);
      if (text && text->size() == 1) bpe.SetByte(static_cast<uint8_t>((*text)[0]), id);
      ids_.emplace(token, id);
      AddEntry(id, text.value_or(token), token);  // added tokens may be in this list too
    }
    for (int byte = 0; byte < 256; ++byte) {
      if (NeverInUtf8(byte) || bpe.ByteId(static_cast<uint8_t>(byte)) >= 0) continue;
      Fail(fmt::format("model.vocab has no token for the byte 0x{:02x}", byte));
    }
  }

  int32_t IdOf(const std::string& token, size_t rank) const {
    const auto found = ids_.find(token);
    if (found == ids_.end()) {
      Fail(fmt::format("model.merges[{}] makes or needs {}, which model.vocab does not have", rank,
                       Show(token)));
    }
    return found->second;
  }

  // A merge is "left right" or, in newer files, ["left", "right"].
  void ReadMerges(const Json& model) {
    const Json& merges = Get(model, "merges");
    if (!merges.is_array()) Fail("model.merges is not an array");
    for (size_t rank = 0; rank < merges.size(); ++rank) {
      const Json& merge = merges[rank];
      std::string left, right;
      if (merge.is_array() && merge.size() == 2 && merge[0].is_string() && merge[1].is_string()) {
        left = merge[0].get<std::string>();
        right = merge[1].get<std::string>();
      } else if (merge.is_string()) {
        const auto& text = merge.get_ref<const std::string&>();
        const size_t blank = text.find(' ');
        if (blank != text.npos && text.find(' ', blank + 1) == text.npos) {
          left = text.substr(0, blank);
          right = text.substr(blank + 1);
        }
      }
      if (left.empty() || right.empty()) {
        Fail(fmt::format("model.merges[{}] is not a pair of tokens", rank));
      }
      bpe.SetMerge(IdOf(left, rank), IdOf(right, rank), static_cast<uint32_t>(rank),
                   IdOf(left + right, rank));
    }
  }

  void ReadAddedTokens() {
    const Json& list = Get(root_, "added_tokens");
    if (list.is_null()) return;
    if (!list.is_array()) Fail("added_tokens is not an array");
    std::unordered_map<std::string, int32_t> seen;
    for (const Json& item : list) {
      if (!item.is_object() || !Get(item, "content").is_string()) {
        Fail("added_tokens holds something that is not a token");
      }
      AddedToken token;
      token.content = item["content"].get<std::string>();
      if (token.content.empty()) continue;
      token.id = Id(Get(item, "id"), Show(token.content));
      token.single_word = Get(item, "single_word") == true;
      token.lstrip = Get(item, "lstrip") == true;
      token.rstrip = Get(item, "rstrip") == true;
      const auto known = ids_.find(token.content);
      if (known == ids_.end()) {
        AddEntry(token.id, token.content, token.content);
      } else if (known->second != token.id) {
        Fail(fmt::format("the id of {} is {} in added_tokens, {} in model.vocab",
                         Show(token.content), token.id, known->second));
      }
      const bool is_normalized = Get(item, "normalized") == true;
      if (is_normalized && nfc()) token.content = ToNfc9(token.content);
      if (!seen.emplace(token.content, token.id).second) {
        Fail(fmt::format("added token {} is given twice", Show(token.content)));
      }
      (is_normalized ? normalized : verbatim).push_back(std::move(token));
    }
  }

  const std::string& name_;
  Json root_;
  std::unordered_map<std::string, int32_t> ids_;
  std::unordered_map<int32_t, size_t> by_id_;
};

class NeoxTokenizer final : public Tokenizer {
 public:
  NeoxTokenizer(NeoxFile file, std::string digest)
      : table_(file.entries),
        bpe_(std::move(file.bpe)),
        verbatim_(std::move(file.verbatim)),
        normalized_(std::move(file.normalized)),
        nfc_(file.nfc()),
        digest_(std::move(digest)) {}

  // Splits at the added tokens that match the original text, normalizes the text between them,
  // splits again at the added tokens that match normalized text, and encodes the rest word by word.
  std::vector<int32_t> Encode(std::string_view text) const override {
    const std::string valid = ValidUtf8(text);
    std::vector<int32_t> ids;
    ids.reserve(valid.size() / 3 + 1);
    Bpe::Scratch scratch;
    for (const TextPiece& outer : verbatim_.Split(valid)) {
      if (outer.id >= 0) {
        ids.push_back(outer.id);
        continue;
      }
      const std::string normal = nfc_ ? ToNfc9(outer.text) : std::string(outer.text);
      for (const TextPiece& inner : normalized_.Split(normal)) {
        if (inner.id >= 0) {
          ids.push_back(inner.id);
          continue;
        }
        for (std::string_view rest = inner.text; !rest.empty();) {
          const size_t word = FirstWord(rest);
          bpe_.Encode(rest.substr(0, word), scratch, ids);
          rest.remove_prefix(word);
        }
      }
    }
    return ids;
  }

  std::string_view Bytes(int32_t id) const override { return table_[id]; }
  size_t size() const override { return table_.size(); }
  const char* name() const override { return "20b"; }
  std::string Digest() const override { return digest_; }

 private:
  TokenTable table_;
  Bpe bpe_;
  AddedTokens verbatim_, normalized_;
  bool nfc_;
  std::string digest_;  // of the file: the merges and the rules of the added tokens count as well
};

}  // namespace

std::unique_ptr<const Tokenizer> NewNeoxTokenizer(std::string_view json, const std::string& name) {
  return std::make_unique<NeoxTokenizer>(NeoxFile(json, name), Hex(Sha256Of(json)));
}

}  // namespace linnet
