// The sampler's settings, as flags of a command and as `/set KEY VALUE` in a chat.
#ifndef LINNET_CLI_SAMPLING_H_
#define LINNET_CLI_SAMPLING_H_

#include <CLI/CLI.hpp>
#include <cstddef>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "linnet/sampler.h"
#include "linnet/tokenizer.h"

namespace linnet::cli {

struct Sampling {
  SamplerOptions options;
  std::set<std::string> given;  // settings that the user gave
};

// The defaults of generate: plain text works with wider sampling than a chat (ChatRWKV's
// PIPELINE_ARGS). The built-in model is too small for that.
Sampling TextSampling(bool built_in);
// The defaults of chat. Of the built-in model those with which it is judged best
// (models/README.md).
Sampling ChatSampling(bool built_in);

// For a model that is known only after parsing: the built-in one's defaults, unless given by the
// user.
void FitBuiltIn(Sampling& sampling, const Sampling& built_in);

// Adds --temperature and the other flags; their help shows the current values of `sampling` as
// defaults. It must outlive the command's run. Throws CLI::ValidationError for an invalid value.
void AddSamplingOptions(CLI::App& command, Sampling& sampling);

// Call it after parsing: chooses a random seed unless one was given. Throws CLI::ValidationError if
// a setting is out of range.
void ResolveSampling(Sampling& sampling);

// Call it when the model is known. For byte-level models, unless given by the user: no penalties,
// because letters repeat in normal text, and top-p 0.5, because a larger value misspells and a
// smaller one repeats (observed on rwkv.cpp's tiny models). Throws Error kBadInput for a logit bias
// of an id not below `vocab`.
void FitSampling(Sampling& sampling, const Tokenizer& tokenizer, size_t vocab);

// Changes a setting by its flag's name without dashes (`_` and `-` are equivalent). Chooses a new
// seed, unless one was given. Throws Error kBadInput; then nothing has changed.
void SetSampling(Sampling& sampling, std::string_view key, const std::string& value);

// Lines such as "temperature 1", one per setting.
std::vector<std::string> ShowSampling(const Sampling& sampling);

}  // namespace linnet::cli

#endif  // LINNET_CLI_SAMPLING_H_
