#include "cli/sampling.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <random>

#include "linnet/error.h"

namespace linnet::cli {
namespace {

constexpr const char* kSeed = "seed";

// The texts below complete "'abc' is not ...".
struct NotThat {
  const char* expected;
};

template <class T>
T Number(std::string_view text, const char* expected) {
  T value{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) throw NotThat{expected};
  return value;
}

void SetMirostat(SamplerOptions& o, const std::string& text) {
  constexpr const char* kExpected = "TAU,RATE (two numbers) or off";
  if (text == "off") {
    o.mirostat.reset();
    return;
  }
  const size_t comma = text.find(',');
  if (comma == std::string::npos) throw NotThat{kExpected};
  const std::string_view all = text;
  o.mirostat = Mirostat{.tau = Number<float>(all.substr(0, comma), kExpected),
                        .rate = Number<float>(all.substr(comma + 1), kExpected)};
}

void SetLogitBias(SamplerOptions& o, const std::string& text) {
  constexpr const char* kExpected = "ID:X, as 11:-1.5 or 11:-inf, or none";
  if (text == "none") {
    o.logit_bias.clear();
    return;
  }
  const size_t colon = text.find(':');
  if (colon == std::string::npos) throw NotThat{kExpected};
  const std::string_view all = text;
  const int32_t id = Number<int32_t>(all.substr(0, colon), kExpected);
  if (id < 0) throw NotThat{kExpected};
  o.logit_bias[id] = Number<float>(all.substr(colon + 1), kExpected);
}

std::string ShowLogitBias(const SamplerOptions& o) {
  std::string text;
  for (const auto& [id, bias] : o.logit_bias) {
    text += fmt::format("{}{}:{}", text.empty() ? "" : " ", id, bias);
  }
  return text.empty() ? "none" : text;
}

struct Setting {
  const char* name;
  const char* type;
  const char* help;
  void (*set)(SamplerOptions&, const std::string&);
  std::string (*show)(const SamplerOptions&);
};

template <float SamplerOptions::*kMember>
void SetFloat(SamplerOptions& o, const std::string& text) {
  o.*kMember = Number<float>(text, "a number");
}
template <float SamplerOptions::*kMember>
std::string ShowFloat(const SamplerOptions& o) {
  return fmt::format("{}", o.*kMember);
}
template <float SamplerOptions::*kMember>
constexpr Setting FloatSetting(const char* name, const char* help) {
  return {name, "X", help, SetFloat<kMember>, ShowFloat<kMember>};
}

using O = SamplerOptions;
const Setting kSettings[] = {
    FloatSetting<&O::temperature>("temperature",
                                  "Below 1 more likely tokens, above 1 more random; 0: "
                                  "always the most likely token"),
    FloatSetting<&O::top_p>("top-p", "Only the most likely tokens that sum to this; 0 or 1: off"),
    {"top-k", "N", "Only the N most likely tokens; 0: off",
     [](O& o, const std::string& text) { o.top_k = Number<int>(text, "a whole number"); },
     [](const O& o) { return std::to_string(o.top_k); }},
    FloatSetting<&O::min_p>("min-p",
                            "Only tokens with this share of the highest probability; "
                            "0: off"),
    FloatSetting<&O::typical>("typical",
                              "Only the most typical tokens that sum to this; 0 or 1: "
                              "off"),
    {"mirostat", "TAU,RATE", "Mirostat v2 instead of the filters above", SetMirostat,
     [](const O& o) {
       return o.mirostat ? fmt::format("{},{}", o.mirostat->tau, o.mirostat->rate) : "off";
     }},
    FloatSetting<&O::presence_penalty>("presence-penalty", "Penalty for tokens that have occurred"),
    FloatSetting<&O::frequency_penalty>("frequency-penalty", "Penalty per occurrence"),
    FloatSetting<&O::penalty_decay>("penalty-decay", "Factor of all penalties after each token"),
    {"penalty", "rwkv|ai00", "How penalties add up and decay",
     [](O& o, const std::string& text) {
       if (text != "rwkv" && text != "ai00") throw NotThat{"rwkv or ai00"};
       o.penalty = text == "rwkv" ? PenaltyKind::kRwkv : PenaltyKind::kAi00;
     },
     [](const O& o) { return std::string(o.penalty == PenaltyKind::kRwkv ? "rwkv" : "ai00"); }},
    {"order", "rwkv|openai", "Filters before the temperature, or after it",
     [](O& o, const std::string& text) {
       if (text != "rwkv" && text != "openai") throw NotThat{"rwkv or openai"};
       o.order = text == "rwkv" ? SamplingOrder::kRwkv : SamplingOrder::kOpenAI;
     },
     [](const O& o) { return std::string(o.order == SamplingOrder::kRwkv ? "rwkv" : "openai"); }},
    {"logit-bias", "ID:X",
     "Adds X to the logit of a token; -inf bans it; may be repeated; none: no bias", SetLogitBias,
     ShowLogitBias},
    {kSeed, "N", "The same seed gives the same text, on any number of threads",
     [](O& o, const std::string& text) { o.seed = Number<uint64_t>(text, "a whole number"); },
     [](const O& o) { return std::to_string(o.seed); }},
};

// Throws CLI::ValidationError.
void Apply(const Setting& setting, const std::string& value, Sampling& sampling) {
  const std::string flag = fmt::format("--{}", setting.name);
  try {
    setting.set(sampling.options, value);
  } catch (const NotThat& not_that) {
    throw CLI::ValidationError(flag, fmt::format("'{}' is not {}", value, not_that.expected));
  }
  sampling.given.insert(setting.name);
}

// Throws CLI::ValidationError.
void Check(const SamplerOptions& options) {
  try {
    const Sampler check(options);
  } catch (const Error& error) {
    throw CLI::ValidationError("sampling", error.what());
  }
}

}  // namespace

Sampling TextSampling(bool built_in) {
  Sampling sampling;
  sampling.options.top_p = built_in ? 0.6f : 0.85f;
  sampling.options.presence_penalty = sampling.options.frequency_penalty = 0.2f;
  return sampling;
}

Sampling ChatSampling(bool built_in) {
  Sampling sampling;
  if (!built_in) return sampling;
  sampling.options.top_p = 0.4f;
  sampling.options.presence_penalty = sampling.options.frequency_penalty = 0.4f;
  return sampling;
}

void FitBuiltIn(Sampling& sampling, const Sampling& built_in) {
  const auto unless_given = [&](const char* name, float SamplerOptions::*member) {
    if (!sampling.given.contains(name)) sampling.options.*member = built_in.options.*member;
  };
  unless_given("top-p", &SamplerOptions::top_p);
  unless_given("presence-penalty", &SamplerOptions::presence_penalty);
  unless_given("frequency-penalty", &SamplerOptions::frequency_penalty);
}

void AddSamplingOptions(CLI::App& command, Sampling& sampling) {
  for (const Setting& setting : kSettings) {
    const std::string name = fmt::format("--{}", setting.name);
    CLI::Option* option = nullptr;
    if (setting.set == SetLogitBias) {
      option = command.add_option_function<std::vector<std::string>>(
          name,
          [&setting, &sampling](const std::vector<std::string>& values) {
            for (const std::string& value : values) Apply(setting, value, sampling);
          },
          setting.help);
      option->allow_extra_args(false);  // otherwise it would also take the MODEL after it
    } else {
      option = command.add_option_function<std::string>(
          name,
          [&setting, &sampling](const std::string& value) { Apply(setting, value, sampling); },
          setting.help);
    }
    option->type_name(setting.type)->group("Sampling");
    if (setting.name != std::string_view(kSeed) && setting.set != SetLogitBias) {
      option->default_str(setting.show(sampling.options));
    }
  }
}

void ResolveSampling(Sampling& sampling) {
  if (!sampling.given.contains(kSeed)) sampling.options.seed = std::random_device()();
  Check(sampling.options);
}

void FitSampling(Sampling& sampling, const Tokenizer& tokenizer, size_t vocab) {
  if (tokenizer.name() == std::string_view("bytes")) {
    const auto unless_given = [&](const char* name, float& value, float fit) {
      if (!sampling.given.contains(name)) value = fit;
    };
    unless_given("presence-penalty", sampling.options.presence_penalty, 0);
    unless_given("frequency-penalty", sampling.options.frequency_penalty, 0);
    unless_given("top-p", sampling.options.top_p, 0.5f);
  }
  const auto& bias = sampling.options.logit_bias;
  if (bias.empty() || static_cast<size_t>(bias.rbegin()->first) < vocab) return;
  throw Error(ErrorKind::kBadInput,
              fmt::format("logit bias: id {} is outside the vocabulary, 0 to {}",
                          bias.rbegin()->first, vocab - 1));
}

void SetSampling(Sampling& sampling, std::string_view key, const std::string& value) {
  std::string name(key);
  std::replace(name.begin(), name.end(), '_', '-');
  for (const Setting& setting : kSettings) {
    if (name != setting.name) continue;
    Sampling changed = sampling;
    try {
      Apply(setting, value, changed);
      ResolveSampling(changed);
    } catch (const CLI::ValidationError& error) {
      throw Error(ErrorKind::kBadInput, error.what());
    }
    sampling = changed;
    return;
  }
  throw Error(ErrorKind::kBadInput, fmt::format("no setting is named '{}'", key));
}

std::vector<std::string> ShowSampling(const Sampling& sampling) {
  std::vector<std::string> lines;
  for (const Setting& setting : kSettings) {
    lines.push_back(fmt::format("{} {}", setting.name, setting.show(sampling.options)));
  }
  return lines;
}

}  // namespace linnet::cli
