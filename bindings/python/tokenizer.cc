// linnet.Tokenizer.
#include <fmt/format.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/string_view.h>
#include <nanobind/stl/vector.h>

#include <algorithm>
#include <string>
#include <vector>

#include "bindings/python/arrays.h"
#include "bindings/python/bindings.h"
#include "engine/own_vocabulary.h"
#include "text/chat_template.h"

namespace linnet::python {
namespace {

std::string_view TextOf(nb::handle text) {
  if (PyBytes_Check(text.ptr())) {
    return {PyBytes_AsString(text.ptr()), static_cast<size_t>(PyBytes_Size(text.ptr()))};
  }
  Py_ssize_t size = 0;
  const char* utf8 =
      PyUnicode_Check(text.ptr()) ? PyUnicode_AsUTF8AndSize(text.ptr(), &size) : nullptr;
  if (utf8 != nullptr) return {utf8, static_cast<size_t>(size)};
  if (PyErr_Occurred() != nullptr) throw nb::python_error();
  throw Error(ErrorKind::kBadInput,
              fmt::format("a text is a {}, expected str or bytes", nb::inst_name(text).c_str()));
}

std::vector<int32_t> Encode(const TokenizerObject& self, nb::handle text) {
  const std::string_view bytes = TextOf(text);
  const nb::gil_scoped_release released;
  return self.tokenizer->Encode(bytes);
}

std::vector<std::vector<int32_t>> EncodeAll(const TokenizerObject& self, nb::handle texts) {
  std::vector<std::vector<int32_t>> all;
  for (const nb::handle text : nb::iter(texts)) all.push_back(Encode(self, text));
  return all;
}

std::string DecodeText(const TokenizerObject& self, nb::handle ids) {
  Utf8Stream stream;
  std::string text = stream.Push(self.tokenizer->Decode(Tokens(ids).ids()));
  return text + stream.Finish();
}

nb::object BytesOf(std::string_view bytes) { return nb::bytes(bytes.data(), bytes.size()); }

// As the tokenizers of Hugging Face: a dictionary of ids and of an attention mask, without padding.
nb::dict CallTokenizer(const TokenizerObject& self, nb::handle text) {
  const bool one = PyUnicode_Check(text.ptr()) || PyBytes_Check(text.ptr());
  const auto mask = [](const std::vector<int32_t>& ids) {
    return std::vector<int32_t>(ids.size(), 1);
  };
  nb::dict result;
  if (one) {
    const auto ids = Encode(self, text);
    result["input_ids"] = nb::cast(ids);
    result["attention_mask"] = nb::cast(mask(ids));
    return result;
  }
  const auto all = EncodeAll(self, text);
  std::vector<std::vector<int32_t>> masks;
  masks.reserve(all.size());
  for (const auto& ids : all) masks.push_back(mask(ids));
  result["input_ids"] = nb::cast(all);
  result["attention_mask"] = nb::cast(masks);
  return result;
}

nb::object EndOfText(const TokenizerObject& self) {
  const auto ids = EndOfTextIds(*self.tokenizer);
  return ids.empty() ? nb::none() : nb::object(nb::int_(ids[0]));
}

constexpr size_t kWorldLogits = 65536;

}  // namespace

void AddTokenizer(nb::module_& m) {
  nb::class_<TokenizerObject>(m, "Tokenizer",
                              "Text to ids and back. Immutable; any thread may use it.")
      .def_static(
          "load",
          [](const std::string& name) {
            if (name == "world") return TokenizerObject{Tokenizer::ForVocabulary(kWorldLogits)};
            return TokenizerObject{TokenizerNamed(name)};
          },
          nb::arg("name"),
          "Reads a vocabulary: a file (World's format, or a tokenizer.json), a model that "
          "contains\n"
          "one, \"builtin\", or \"world\" for the one built in.\n\n"
          "Raises FileError, or InputError naming the file and line.")
      .def("encode", Encode, nb::arg("text"),
           "The ids of a text, str or bytes, as a list of int. No special tokens are added.")
      .def("encode_batch", EncodeAll, nb::arg("texts"), "The ids of each text.")
      .def("decode", DecodeText, nb::arg("ids"),
           "The text of ids. Invalid UTF-8 becomes U+FFFD.\n\n"
           "ids: int, a sequence of int, or an array of integers of one dimension.")
      .def(
          "decode_bytes",
          [](const TokenizerObject& self, nb::handle ids) {
            return BytesOf(self.tokenizer->Decode(Tokens(ids).ids()));
          },
          nb::arg("ids"), "The bytes of ids.")
      .def(
          "decode_batch",
          [](const TokenizerObject& self, nb::handle all) {
            std::vector<std::string> texts;
            for (const nb::handle ids : nb::iter(all)) texts.push_back(DecodeText(self, ids));
            return texts;
          },
          nb::arg("all_ids"), "The text of each list of ids.")
      .def(
          "token",
          [](const TokenizerObject& self, int32_t id) {
            return BytesOf(self.tokenizer->Bytes(id));
          },
          nb::arg("id"), "The bytes of one token; empty for an id that has none.")
      .def("__call__", CallTokenizer, nb::arg("text"),
           "{\"input_ids\", \"attention_mask\"} of a text, or of each text of a list, without\n"
           "padding, as the tokenizers of Hugging Face return them.")
      .def("__len__", [](const TokenizerObject& self) { return self.tokenizer->size(); })
      .def("__repr__",
           [](const TokenizerObject& self) {
             return fmt::format("<linnet.Tokenizer {}, {} ids>", self.tokenizer->name(),
                                self.tokenizer->size());
           })
      .def_prop_ro(
          "vocab_size", [](const TokenizerObject& self) { return self.tokenizer->size(); },
          "The largest id + 1.")
      .def_prop_ro(
          "model_vocab", [](const TokenizerObject& self) { return self.tokenizer->model_vocab(); },
          "The number of logits of a model made for this tokenizer.")
      .def_prop_ro(
          "name", [](const TokenizerObject& self) { return std::string(self.tokenizer->name()); },
          "\"world\", \"20b\" or \"bytes\".")
      .def_prop_ro("eos_token_id", EndOfText,
                   "The id that ends a text: 0, or None for bytes, where 0 is a normal byte.")
      .def_prop_ro(
          "digest", [](const TokenizerObject& self) { return self.tokenizer->Digest(); },
          "64 hex digits; equal for tokenizers that give the same ids for every text.");
}

}  // namespace linnet::python
