// convert, quantize and inspect.
#include <fmt/format.h>
#include <nanobind/stl/filesystem.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/string.h>

#include <cstddef>
#include <filesystem>
#include <memory>
#include <optional>
#include <regex>
#include <string>
#include <vector>

#include "base/thread_pool.h"
#include "bindings/python/bindings.h"
#include "cli/cli.h"
#include "cli/file_facts.h"
#include "cli/model.h"
#include "engine/own_vocabulary.h"
#include "models/builtin_model.h"
#include "models/convert.h"
#include "models/detect.h"
#include "models/gguf_convert.h"
#include "models/names.h"
#include "models/quantize.h"

namespace linnet::python {
namespace {

namespace fs = std::filesystem;

std::function<void(uint64_t, uint64_t)> ProgressOf(const nb::object& progress) {
  return [&progress](uint64_t done, uint64_t total) {
    const double part = done >= total ? 1 : static_cast<double>(done) / static_cast<double>(total);
    if (!Call(progress, part) || Interrupted()) throw Stop();
  };
}

// The vocabulary to store in a model file: a named one, or that of a GGUF file.
std::vector<std::byte> VocabularyOf(const Checkpoint& in, const std::optional<fs::path>& vocab) {
  if (vocab) return StoredVocabulary(vocab->string(), ConfigOf(in).vocab);
  if (!in.stored_vocabulary().empty() || in.naming() != TensorNaming::kLlamaCpp) return {};
  try {
    return StoredVocabularyOf(in);
  } catch (const Error&) {  // written without one
    return {};
  }
}

GgufVocabulary GgufVocabularyFor(const Checkpoint& in, const std::optional<fs::path>& vocab) {
  const size_t size = ConfigOf(in).vocab;
  try {
    const auto tokenizer =
        vocab ? LoadTokenizer(vocab->string(), size) : TokenizerOf(in, cli::HomeFolder());
    if (std::string_view(tokenizer->name()) != "20b") return GgufVocabularyOf(*tokenizer, size);
  } catch (const Error&) {
    if (vocab) throw;
  }
  return {};
}

void CheckOtherFile(const std::string& in, const fs::path& out) {
  std::error_code error;
  if (in == kBuiltInName || !fs::equivalent(in, out, error)) return;
  throw Error(ErrorKind::kBadInput, out.string() + ": is the file that is read");
}

Converted ConvertFile(const std::string& from, const fs::path& out, const std::string& type,
                      const std::optional<fs::path>& vocab, const nb::object& progress) {
  CheckOtherFile(from, out);
  const std::string ending = out.extension().string();
  const Checkpoint in = CheckpointNamed(from);
  ConvertOptions options;
  options.progress = ProgressOf(progress);
  if (ending == ".gguf") {
    const auto gguf = ParseGgufType(type.empty() ? "f16" : type);
    if (!gguf) {
      throw Error(ErrorKind::kBadInput,
                  fmt::format("type: '{}' is not f32, f16, bf16 or q8_0", type));
    }
    return ConvertToGguf(in, out, *gguf, GgufVocabularyFor(in, vocab), options);
  }
  if (ending != ".safetensors" && ending != ".pth") {
    throw Error(ErrorKind::kBadInput,
                out.string() + ": expected a name that ends in .safetensors, .pth or .gguf");
  }
  options.type = ParseFloatType(type);
  if (!type.empty() && !options.type) {
    throw Error(ErrorKind::kBadInput, fmt::format("type: '{}' is not f32, f16 or bf16", type));
  }
  const auto vocabulary = ending == ".pth" ? std::vector<std::byte>() : VocabularyOf(in, vocab);
  options.vocabulary = vocabulary;
  return ConvertCheckpoint(in, out, options);
}

nb::dict ResultOf(const fs::path& out, uint64_t tensors, uint64_t parameters) {
  nb::dict result;
  result["path"] = nb::str(out.string().c_str());
  result["tensors"] = tensors;
  result["parameters"] = parameters;
  result["bytes"] = fs::file_size(out);
  return result;
}

nb::dict Convert(const std::string& from, const fs::path& out, const std::string& type,
                 const std::optional<fs::path>& vocab, const nb::object& progress) {
  Converted converted;
  RunFreely([&] { converted = ConvertFile(from, out, type, vocab, progress); });
  return ResultOf(out, converted.tensors, converted.parameters);
}

std::optional<DType> FormatOf(const char* option, const std::optional<std::string>& name) {
  if (!name) return std::nullopt;
  const auto format = ParseDType(*name);
  if (format && *format != DType::kF32) return format;
  throw Error(ErrorKind::kBadInput,
              fmt::format("{}: '{}' is not int8, nf4, bf16 or f16", option, *name));
}

nb::dict Quantize(const std::string& from, const fs::path& out, const std::string& type,
                  std::optional<size_t> layers, const std::string& keep,
                  const std::optional<std::string>& head,
                  const std::optional<std::string>& low_rank, const std::optional<fs::path>& vocab,
                  size_t threads, const nb::object& progress) {
  CheckOtherFile(from, out);
  if (out.extension() != ".safetensors") {
    throw Error(ErrorKind::kBadInput, out.string() + ": expected a name that ends in .safetensors");
  }
  QuantizeOptions options;
  options.packing.type = FormatOf("type", type);
  if (layers) options.packing.layers = *layers;
  options.packing.head = FormatOf("head", head);
  options.packing.factors = FormatOf("low_rank", low_rank);
  if (!keep.empty()) {
    options.packing.keep = [regex = cli::ParseRegex("keep", keep)](const std::string& name) {
      return std::regex_search(name, *regex);
    };
  }
  options.progress = ProgressOf(progress);
  Quantized written;
  RunFreely([&] {
    const Checkpoint in = CheckpointNamed(from);
    const auto vocabulary = VocabularyOf(in, vocab);
    options.vocabulary = vocabulary;
    ThreadPool pool(threads);
    written = QuantizeCheckpoint(in, out, pool, options);
  });
  return ResultOf(out, written.tensors, written.parameters);
}

nb::object Inspect(const std::string& path) {
  std::string text;
  RunFreely([&] {
    const Checkpoint checkpoint = CheckpointNamed(path);
    text = cli::ToJson(checkpoint, cli::FactsOf(checkpoint, path));
  });
  return nb::module_::import_("json").attr("loads")(nb::bytes(text.data(), text.size()));
}

}  // namespace

void AddFiles(nb::module_& m) {
  m.def("_convert", Convert, nb::arg("model"), nb::arg("out"), nb::kw_only(), nb::arg("type") = "",
        nb::arg("vocab") = nb::none(), nb::arg("progress") = nb::none());
  m.def("_quantize", Quantize, nb::arg("model"), nb::arg("out"), nb::kw_only(), nb::arg("type"),
        nb::arg("layers") = nb::none(), nb::arg("keep") = "", nb::arg("head") = nb::none(),
        nb::arg("low_rank") = nb::none(), nb::arg("vocab") = nb::none(), nb::arg("threads") = 0,
        nb::arg("progress") = nb::none());
  m.def("_inspect", Inspect, nb::arg("path"));
}

}  // namespace linnet::python
