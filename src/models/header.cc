#include "models/header.h"

#include <fmt/format.h>

#include <charconv>
#include <cmath>
#include <nlohmann/json.hpp>
#include <string_view>
#include <utility>

#include "base/mapped_file.h"
#include "io/container.h"
#include "io/quoted.h"
#include "linnet/error.h"
#include "models/names.h"
#include "models/packed.h"

namespace linnet {
namespace {

constexpr const char* kNormEpsKey = "norm_eps";
constexpr const char* kLnXEpsKey = "ln_x_eps";
constexpr const char* kConfigJson = "config.json";
constexpr double kNormEps = 1e-5;  // default if the header has none

Error Bad(const std::string& file, const std::string& what) {
  return Error(ErrorKind::kBadModel, file + ": " + what);
}

const std::string* TextOf(const TensorFile& file, const std::string& key) {
  const auto it = file.metadata().find(key);
  return it == file.metadata().end() ? nullptr : &it->second;
}

// Checks an epsilon given as text or as a JSON number.
double CheckedEpsilon(const std::string& file, const std::string& key, const std::string& text) {
  double value = 0;
  const char* end = text.data() + text.size();
  const auto found = std::from_chars(text.data(), end, value);
  if (found.ec == std::errc() && found.ptr == end && value > 0 && value < 1) return value;
  throw Bad(file, fmt::format("{} is {}, expected a number between 0 and 1", key, Quoted(text)));
}

std::optional<double> EpsilonOf(const TensorFile& file, const std::string& key) {
  const std::string* text = TextOf(file, key);
  if (text == nullptr) return std::nullopt;
  return CheckedEpsilon(file.path().string(), key, *text);
}

using SizeKeys = std::initializer_list<std::pair<const char*, const char*>>;

void AddSizes(const TensorFile& file, const std::string& prefix, SizeKeys keys, Header& header) {
  for (const auto& [key, what] : keys) {
    const auto value = NumberOf(file, prefix + key);
    if (value) header.sizes.push_back({prefix + key, what, *value});
  }
}

// As in llama.cpp's rwkv6-base.cpp and rwkv7-base.cpp: layer_norm_epsilon applies to the
// LayerNorms; the group norm's epsilon is 64e-5 in the code.
void ReadGguf(const TensorFile& file, Header& header) {
  const std::string* arch = TextOf(file, "general.architecture");
  if (arch == nullptr) return;
  const std::string prefix = *arch + ".";
  AddSizes(file, prefix,
           {{"block_count", "layers"},
            {"embedding_length", "width"},
            {"feed_forward_length", "ffn"},
            {"vocab_size", "vocab"},
            {"wkv.head_size", "head_size"},
            {"time_mix_extra_dim", "mix"},
            {"time_decay_extra_dim", "decay"},
            {"attention.decay_lora_rank", "w"},
            {"attention.iclr_lora_rank", "a"},
            {"attention.value_residual_mix_lora_rank", "v"},
            {"attention.gate_lora_rank", "g"}},
           header);
  header.norm_eps = EpsilonOf(file, prefix + "attention.layer_norm_epsilon");
  const auto shifts = NumberOf(file, prefix + "token_shift_count");
  if (shifts.value_or(2) == 2) return;
  throw Bad(file.path().string(),
            fmt::format("{}token_shift_count is {}, expected 2: a hybrid of RWKV and a "
                        "Transformer, which Linnet does not run",
                        prefix, *shifts));
}

// ---- config.json ----

using nlohmann::json;

json ReadConfigJson(const std::filesystem::path& path) {
  constexpr size_t kMost = size_t{4} << 20;  // models have files of a few kilobytes
  const MappedFile map(path);
  const auto text = AsText(map.bytes());
  auto parsed = json::parse(text.substr(0, kMost), nullptr, /*allow_exceptions=*/false);
  if (parsed.is_object()) return parsed;
  throw Bad(path.string(),
            "not a JSON object, but the model beside it needs it: its names are Hugging Face's");
}

// The value of a size; nullopt if absent or null.
std::optional<size_t> SizeIn(const json& config, const char* key, const std::string& file) {
  const auto it = config.find(key);
  if (it == config.end() || it->is_null()) return std::nullopt;
  if (it->is_number_unsigned()) return it->get<size_t>();
  throw Bad(file, fmt::format("{} is {}, expected a whole number", key, Quoted(it->dump())));
}

std::optional<double> EpsilonIn(const json& config, const char* key, const std::string& file) {
  const auto it = config.find(key);
  if (it == config.end() || it->is_null()) return std::nullopt;
  return CheckedEpsilon(file, key, it->dump());
}

void AddSizes(const json& config, SizeKeys keys, Header& header) {
  for (const auto& [key, what] : keys) {
    const auto value = SizeIn(config, key, header.file);
    if (value) header.sizes.push_back({key, what, *value});
  }
}

// Rejects options of fla's RWKV7Config that change what its RWKV7Block (fla/models/rwkv7) computes.
void RefuseVariants(const json& config, const std::string& file) {
  const auto given = [&](const char* key) {
    const auto it = config.find(key);
    return it == config.end() || it->is_null() ? nullptr : &*it;
  };
  if (given("attn") != nullptr) {
    throw Bad(file, "attn is given: a hybrid of RWKV and a Transformer, which Linnet does not run");
  }
  const json* act = given("hidden_act");
  if (act != nullptr && *act != "sqrelu") {
    throw Bad(file, fmt::format("hidden_act is {}, expected \"sqrelu\"", Quoted(act->dump())));
  }
  const json* first = given("norm_first");
  if (first != nullptr && *first != true) {
    throw Bad(file, fmt::format("norm_first is {}, expected true", Quoted(first->dump())));
  }
}

// As in fla/layers/rwkv7.py: g_norm has eps = head_dim * norm_eps; head_dim has priority over
// num_heads.
void ReadFla(const json& config, Header& header) {
  RefuseVariants(config, header.file);
  AddSizes(config,
           {{"num_hidden_layers", "layers"},
            {"hidden_size", "width"},
            {"intermediate_size", "ffn"},
            {"vocab_size", "vocab"},
            {"decay_low_rank_dim", "w"},
            {"a_low_rank_dim", "a"},
            {"v_low_rank_dim", "v"},
            {"gate_low_rank_dim", "g"}},
           header);
  const auto head_dim = SizeIn(config, "head_dim", header.file);
  AddSizes(config,
           {head_dim ? std::pair("head_dim", "head_size") : std::pair("num_heads", "heads")},
           header);
  header.norm_eps = EpsilonIn(config, "norm_eps", header.file);
}

// Transformers' RWKV-4, and the RWKV-5 and 6 code derived from it, whose group norm runs on values
// divided by head_size_divisor with an epsilon of 1e-5.
void ReadHuggingFace(const json& config, Header& header) {
  AddSizes(config,
           {{"num_hidden_layers", "layers"},
            {"hidden_size", "width"},
            {"intermediate_size", "ffn"},
            {"vocab_size", "vocab"}},
           header);
  header.norm_eps = EpsilonIn(config, "layer_norm_epsilon", header.file);
  const auto divisor = SizeIn(config, "head_size_divisor", header.file);
  if (divisor) header.ln_x_eps = kNormEps * static_cast<double>(*divisor * *divisor);
}

void ReadConfigJson(const TensorFile& file, TensorNaming naming, Header& header) {
  header.norm_eps_per_channel = naming == TensorNaming::kFla;
  if (!file.folder()) return;
  const auto path = *file.folder() / kConfigJson;
  std::error_code error;
  if (!std::filesystem::is_regular_file(path, error)) return;
  header.file = path.string();
  const json config = ReadConfigJson(path);
  const auto tied = config.find("tie_word_embeddings");
  header.tied = tied != config.end() && *tied == true;
  naming == TensorNaming::kFla ? ReadFla(config, header) : ReadHuggingFace(config, header);
}

// ---- Sizes found from the tensors ----

// nullopt for a rank that the generation does not have, and for v's in a model with a single layer.
std::optional<size_t> Found(const Config& c, const std::string& what) {
  if (what == "layers") return c.layers;
  if (what == "width") return c.width;
  if (what == "heads") return c.heads;
  if (what == "head_size") return c.head_size;
  if (what == "ffn") return c.ffn;
  if (what == "vocab") return c.vocab;
  const auto rank = c.ranks.find(what);
  if (rank == c.ranks.end()) return std::nullopt;
  return rank->second;
}

}  // namespace

std::optional<size_t> NumberOf(const TensorFile& file, const std::string& key) {
  const std::string* text = TextOf(file, key);
  if (text == nullptr) return std::nullopt;
  size_t value = 0;
  const char* end = text->data() + text->size();
  const auto found = std::from_chars(text->data(), end, value);
  if (found.ec == std::errc() && found.ptr == end) return value;
  throw Bad(file.path().string(), fmt::format("{} is {}, expected a number", key, Quoted(*text)));
}

Header ReadHeader(const TensorFile& file, TensorNaming naming) {
  Header header;
  header.file = file.path().string();
  switch (naming) {
    case TensorNaming::kLlamaCpp:
      ReadGguf(file, header);
      break;
    case TensorNaming::kRwkvCpp:
      // The header's data type is that of most matrices; each tensor has its own.
      AddSizes(file, "ggmf.", {{"n_vocab", "vocab"}, {"n_embed", "width"}, {"n_layer", "layers"}},
               header);
      break;
    case TensorNaming::kFla:
    case TensorNaming::kHuggingFace:
      ReadConfigJson(file, naming, header);
      break;
    case TensorNaming::kBlinkDL:
      if (IsPacked(file)) {
        AddSizes(file, "", {{"layers", "layers"}, {"width", "width"}, {"vocab", "vocab"}}, header);
      }
      header.norm_eps = EpsilonOf(file, kNormEpsKey);
      header.ln_x_eps = EpsilonOf(file, kLnXEpsKey);
      break;
    case TensorNaming::kWebRwkv:
      break;
  }
  return header;
}

void ApplyHeader(const Header& header, const std::string& file, Config& config) {
  for (const Header::Size& size : header.sizes) {
    const auto found = Found(config, size.what);
    if (!found || *found == size.value) continue;
    throw Bad(header.file,
              fmt::format("{} is {}, but the tensors{} say {}; the file is incomplete or damaged, "
                          "download it again",
                          size.key, size.value, header.file == file ? "" : " of " + file, *found));
  }
  if (header.norm_eps) config.norm_eps = static_cast<float>(*header.norm_eps);
  if (header.ln_x_eps) config.ln_x_eps = static_cast<float>(*header.ln_x_eps);
  if (header.norm_eps_per_channel) {
    config.ln_x_eps = static_cast<float>(static_cast<double>(config.head_size) *
                                         header.norm_eps.value_or(kNormEps));
  }
}

std::map<std::string, std::string> EpsilonMetadata(const Config& config) {
  std::map<std::string, std::string> metadata;
  if (config.norm_eps != Config().norm_eps) {
    metadata[kNormEpsKey] = fmt::format("{}", config.norm_eps);
  }
  if (config.ln_x_eps != Config().ln_x_eps) {
    metadata[kLnXEpsKey] = fmt::format("{}", config.ln_x_eps);
  }
  return metadata;
}

void RefuseLostEpsilons(const Config& config, const std::filesystem::path& in,
                        const std::filesystem::path& out) {
  const auto ending = out.extension();
  Config kept = config;
  // A .pth stores only tensors; GGUF has a key for only one of the two epsilons.
  if (ending == ".gguf") kept.norm_eps = Config().norm_eps;
  if ((ending != ".pth" && ending != ".gguf") || EpsilonMetadata(kept).empty()) return;
  throw Bad(in.string(),
            fmt::format("its norms have epsilons of {} and {} (ln_x), released models {} and {}, "
                        "and {} has no place to say so; write .safetensors",
                        config.norm_eps, config.ln_x_eps, Config().norm_eps, Config().ln_x_eps,
                        out.string()));
}

}  // namespace linnet
