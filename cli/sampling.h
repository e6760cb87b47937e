// The sampler's settings as flags of a command, and as `/set KEY VALUE` in a chat.
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
  std::set<std::string> given;  // settings that somebody chose
};

// Adds --temperature and the rest; their help shows what `sampling` holds now. It must live until
// the command has run. A bad value is wrong usage (CLI::ValidationError).
void AddSamplingOptions(CLI::App& command, Sampling& sampling);

// Once everything is parsed: draws a seed unless one was given. Throws CLI::ValidationError if a
// setting is out of its range.
void ResolveSampling(Sampling& sampling);

// Once the model is known. For models of bytes, unless somebody chose: no penalties, since a letter
// that comes again is no fault, and top-p 0.5, since a wider choice misspells and a narrower one
// repeats (seen on rwkv.cpp's tiny models). Throws Error kBadInput for a bias of an id not below
// `vocab`.
void FitSampling(Sampling& sampling, const Tokenizer& tokenizer, size_t vocab);

// One setting by its flag's name without the dashes (`_` is as good as `-`); and a new seed, unless
// one was given. Throws Error kBadInput, and then nothing has changed.
void SetSampling(Sampling& sampling, std::string_view key, const std::string& value);

// "temperature 1", one for each setting.
std::vector<std::string> ShowSampling(const Sampling& sampling);

}  // namespace linnet::cli

#endif  // LINNET_CLI_SAMPLING_H_
