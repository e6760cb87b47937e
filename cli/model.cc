#include "cli/model.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstdlib>
#include <filesystem>

#include "base/lower.h"
#include "cli/progress.h"
#include "engine/own_vocabulary.h"
#include "linnet/error.h"
#include "models/detect.h"
#include "models/identity.h"

namespace linnet::cli {
namespace {

// "bf16" or "bf16:12".
void ReadQuant(const std::string& text, OpenOptions& options) {
  if (text.empty()) return;
  const size_t colon = text.find(':');
  options.quant = ParseDType(Lower(text.substr(0, colon)));
  bool good = options.quant.has_value();
  if (good && colon != std::string::npos) {
    const char* end = text.data() + text.size();
    const auto [last, error] = std::from_chars(text.data() + colon + 1, end, options.quant_layers);
    good = error == std::errc() && last == end;
  }
  if (!good) {
    throw CLI::ValidationError("--quant", fmt::format("'{}' is not f32, f16, bf16, int8 or nf4, "
                                                      "with a number of layers after a colon or "
                                                      "without",
                                                      text));
  }
}

// "F" or "F:SCALE"; the name may contain colons.
AdapterFile ReadAdapterName(const std::string& text) {
  std::error_code ignored;
  const size_t colon = text.rfind(':');
  float scale = 0;
  if (colon == std::string::npos || std::filesystem::exists(text, ignored)) return {text, {}};
  const char* end = text.data() + text.size();
  const auto [last, error] = std::from_chars(text.data() + colon + 1, end, scale);
  const std::string file = text.substr(0, colon);
  if (error == std::errc() && last == end && std::isfinite(scale)) return {file, scale};
  if (!std::filesystem::exists(file, ignored)) return {text, {}};  // opening it reports the error
  throw CLI::ValidationError("--lora", fmt::format("'{}': '{}' is not a number to scale {} by",
                                                   text, text.substr(colon + 1), file));
}

}  // namespace

std::vector<std::byte> VocabularyFor(const CommonOptions& common, const Checkpoint& in,
                                     const std::string& out) {
  const bool held = !in.stored_vocabulary().empty();
  std::vector<std::byte> vocabulary;
  if (!common.vocab.empty()) {
    vocabulary = StoredVocabulary(common.vocab, ConfigOf(in).vocab);
  } else if (!held && in.naming() == TensorNaming::kLlamaCpp) {
    try {
      vocabulary = StoredVocabularyOf(in);
    } catch (const Error& error) {
      Say(fmt::format("{}: written without a vocabulary: {}\n", out, MessageOf(error)));
    }
  }
  if (std::filesystem::path(out).extension() != ".pth") return vocabulary;
  if (held || !vocabulary.empty()) SayWithoutVocabulary(out);
  return {};
}

void SayWithoutVocabulary(const std::string& out) {
  Say(fmt::format("{}: written without its vocabulary; .safetensors keeps it\n", out));
}

Packing PackingOf(const CommonOptions& common) {
  OpenOptions options;
  ReadQuant(common.quant, options);
  return {options.quant, options.quant_layers};
}

void AddAdapterOption(CLI::App& command, CommonOptions& common) {
  command
      .add_option("--lora", common.adapters,
                  "Apply this adapter (LoRA, PiSSA, DiSHA, Bone, DoRA), times SCALE")
      ->type_name("FILE[:SCALE]")
      ->allow_extra_args(false);
}

void AddRowOptions(CLI::App& command, CommonOptions& common) {
  command
      .add_option("--rows", common.rows,
                  "With attention: keep keys and values of past tokens in this type, or compute "
                  "them again (compact)")
      ->check(CLI::IsMember({"f16", "f32", "compact"}));
  command
      .add_option("--row-limit", common.row_limit,
                  "With attention: the most that past tokens of a sequence may take, such as 2GB")
      ->transform(CLI::AsSizeValue(true))
      ->type_name("SIZE");
}

namespace {

RowStorage RowsOf(const CommonOptions& common) {
  if (common.rows == "compact") return RowStorage::kCompact;
  if (common.rows.empty()) return common.exact ? RowStorage::kF32 : RowStorage::kF16;
  return common.rows == "f32" ? RowStorage::kF32 : RowStorage::kF16;
}

OpenOptions OptionsOf(const CommonOptions& common) {
  OpenOptions options;
  options.force = common.force;
  options.rows = RowsOf(common);
  options.row_limit = common.row_limit;
  options.expert_bytes = common.expert_mb * 1000 * 1000;
  ReadQuant(common.quant, options);
  for (const std::string& name : common.adapters) {
    options.adapters.push_back(ReadAdapterName(name));
  }
  return options;
}

template <class F>
Model Open(const CommonOptions& common, F&& open) {
  constexpr uint64_t kSteps = 1000;
  Progress progress("loading", kSteps);
  OpenOptions options = OptionsOf(common);
  options.progress = [&](double done) {
    progress.Update(static_cast<uint64_t>(done * static_cast<double>(kSteps)));
  };
  return open(options);
}

}  // namespace

bool MeansBuiltIn(const std::string& model) { return model.empty() || model == kBuiltInName; }

Model OpenModel(const CommonOptions& common, const std::string& model) {
  if (MeansBuiltIn(model) && !Model::HasBuiltIn()) {
    throw CLI::ValidationError(
        "MODEL", fmt::format("is {}, and none is built in: models/linnet.safetensors was not there "
                             "when this program was built",
                             model.empty() ? "missing" : "the built-in one"));
  }
  return Open(common, [&](const OpenOptions& options) {
    return model.empty() ? Model::BuiltIn(options) : Model::Named(model, options);
  });
}

Model OpenWritten(const CommonOptions& common, const std::filesystem::path& file) {
  return Open(common, [&](const OpenOptions& options) { return Model::Open(file, options); });
}

Workspace NewWorkspace(const CommonOptions& common) {
  return Workspace({.threads = common.threads, .exact = common.exact});
}

std::shared_ptr<const Tokenizer> TokenizerFor(const CommonOptions& common, const Model& model) {
  if (model.config().purpose == Purpose::kReranker) {  // it reads no text
    throw Error(ErrorKind::kBadInput, NoTextOf(Purpose::kReranker, model.path().string()));
  }
  if (!common.vocab.empty()) return LoadTokenizer(common.vocab, model.config().vocab);
  return TokenizerOf(model, HomeFolder());
}

std::string IdentityFor(const CommonOptions& common, const Checkpoint& model) {
  IdentityOptions options;
  if (!common.vocab.empty()) {
    options.tokenizer = LoadTokenizer(common.vocab, ConfigOf(model).vocab)->Digest();
  } else {
    try {
      options.tokenizer = TokenizerOf(model, HomeFolder())->Digest();
    } catch (const Error& error) {
      if (error.remedy() != Remedy::kGiveVocabulary) throw;  // it runs on ids only
    }
  }
  return IdentityOf(model, OptionsOf(common), {.exact = common.exact}, common.threads, options);
}

std::filesystem::path HomeFolder() {
  const char* home = std::getenv("HOME");
  return home != nullptr ? home : "";
}

Error NoScore(const std::string& model, const std::string& text) {
  return Error(ErrorKind::kBadModel,
               fmt::format("{}: its score of {} is not finite: the weights hold infinities or "
                           "NaN, or values that overflow on the way",
                           model, text));
}

std::vector<int32_t> ParseIds(std::string_view text, size_t vocab, const std::string& source,
                              const std::string& model) {
  constexpr std::string_view kBlanks = " \t\r\n", kBetween = ", \t\r\n";
  std::vector<int32_t> ids;
  const auto skip = [&](std::string_view what) {
    text.remove_prefix(std::min(text.size(), text.find_first_not_of(what)));
  };
  skip(kBlanks);
  while (!text.empty()) {
    const std::string_view word = text.substr(0, text.find_first_of(kBetween));
    int64_t id = 0;
    const auto [end, error] = std::from_chars(word.data(), word.data() + word.size(), id);
    if (error != std::errc() || end != word.data() + word.size()) {
      throw Error(ErrorKind::kBadInput,
                  fmt::format("{}: found '{}'{}, expected ids with commas between them", source,
                              word.substr(0, 40), word.empty() ? " before a comma" : ""));
    }
    if (id < 0 || static_cast<uint64_t>(id) >= vocab) {
      throw Error(ErrorKind::kBadInput,
                  fmt::format("{}: id {} is outside the vocabulary{}, expected 0 to {}", source, id,
                              model.empty() ? "" : " of " + model, vocab - 1));
    }
    ids.push_back(static_cast<int32_t>(id));
    text.remove_prefix(word.size());
    skip(kBlanks);
    if (text.empty() || text[0] != ',') continue;
    text.remove_prefix(1);
    skip(kBlanks);
    if (text.empty()) {
      throw Error(ErrorKind::kBadInput, source + ": ends in a comma, expected an id behind it");
    }
  }
  return ids;
}

}  // namespace linnet::cli
