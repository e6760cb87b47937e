// The options of `linnet train`, and which of them cannot be combined.
#include <fmt/format.h>

#include <cmath>
#include <initializer_list>

#include "cli/output_file.h"
#include "cli/train.h"
#include "models/init.h"

namespace linnet::cli {

void ReadRates(const TrainFlags& o, Schedule& schedule) {
  if (o.rates.empty()) return;
  const size_t colon = o.rates.find(':');
  const auto number = [](const std::string& text) {
    size_t read = 0;
    const double value = std::stod(text, &read);
    if (read != text.size() || !std::isfinite(value) || value < 0) {
      throw std::invalid_argument(text);
    }
    return value;
  };
  try {
    schedule.first = number(o.rates.substr(0, colon));
    schedule.last = colon == std::string::npos ? schedule.first : number(o.rates.substr(colon + 1));
  } catch (const std::logic_error&) {
    throw CLI::ValidationError("--lr",
                               fmt::format("'{}' is not A or A:B, such as 6e-4:6e-5", o.rates));
  }
}

void CheckFlags(const TrainFlags& o) {
  if (o.base.empty() == o.generation.empty()) {
    throw CLI::ValidationError("train",
                               "give --base MODEL, or --generation with --layers and "
                               "--width for a new one");
  }
  if (!o.generation.empty() && (o.layers == 0 || o.width == 0)) {
    throw CLI::ValidationError("train", "a new model needs --layers and --width");
  }
  if (TunesAdapter(o) && o.base.empty()) {
    throw CLI::ValidationError("--tune", "an adapter needs --base MODEL");
  }
  if (o.data.empty()) throw CLI::ValidationError("train", "give --data NAME");
  if (o.bptt != 0 && o.chunk == 0) {
    throw CLI::ValidationError("--bptt", "counts chunks; give --chunk N, their tokens");
  }
  if (o.patience != 0 && o.valid.empty()) {
    throw CLI::ValidationError("--patience", "counts scores; give --valid FILE, what to score");
  }
  if (!o.freeze.empty()) ParseRegex("--freeze", o.freeze);
  ParseRegex("--targets", o.targets);
  Schedule schedule;
  ReadRates(o, schedule);
}

void RefuseUseless(const CLI::App& command, const TrainFlags& o) {
  const auto refuse = [&](std::initializer_list<const char*> options, const char* why) {
    for (const char* option : options) {
      if (command.get_option(option)->count() > 0) throw CLI::ValidationError(option, why);
    }
  };
  if (!o.base.empty()) {
    refuse({"--layers", "--width", "--head-size", "--ffn", "--ranks"},
           "is of a new model, and --base is one already");
  }
  if (o.tune != "lora") {
    refuse({"--adapter", "--rank", "--alpha", "--targets"}, "is of adapters; give --tune lora");
  }
}

namespace {

void AddRunOptions(CLI::App& c, CommonOptions& common, TrainFlags& o) {
  common.stems.push_back(
      c.add_option("--data", o.data, "Training data of `linnet data build`")->type_name("NAME"));
  AddOutput(c, common, "--out", o.out, "The folder of the run")->type_name("RUN");
  c.add_flag("--resume", o.resume, "Continue from the run's newest checkpoint, with its options");
  c.add_option("--ctx", o.ctx, "Tokens per row")
      ->capture_default_str()
      ->check(CLI::Range(1, 1 << 20));
  c.add_option("--batch", o.batch, "Rows per pass")
      ->capture_default_str()
      ->check(CLI::Range(1, 1 << 16));
  c.add_option("--accumulate", o.accumulate, "Passes per step")
      ->capture_default_str()
      ->check(CLI::Range(1, 1 << 16));
  c.add_option(
       "--chunk", o.chunk,
       "Tokens of a row per pass, with states carried over, for contexts that do not fit in "
       "memory; 0: whole rows")
      ->capture_default_str()
      ->check(CLI::Range(0, 1 << 20));
  c.add_option("--bptt", o.bptt, "Chunks after which the gradient is truncated; 0: never in a row")
      ->capture_default_str()
      ->check(CLI::Range(0, 1 << 20));
  // 0 means that the option is not given.
  const CLI::Validator above_zero(
      [](const std::string& word) {
        return word.find_first_not_of('0') == word.npos ? "'0' trains nothing, expected 1 or more"
                                                        : std::string();
      },
      "");
  CLI::Option* steps = c.add_option("--steps", o.steps, "Total steps")->check(above_zero);
  CLI::Option* tokens =
      c.add_option("--tokens", o.tokens, "Total tokens, instead of --steps")->check(above_zero);
  CLI::Option* epochs =
      c.add_option("--epochs", o.epochs, "Passes over the data, instead of --steps or --tokens");
  epochs->capture_default_str()->check(CLI::PositiveNumber)->excludes(steps)->excludes(tokens);
  tokens->excludes(steps);
  c.add_option(
       "--sampling", o.sampling,
       "stream (the reference's order; default for new models) or documents (whole ones, with "
       "the state reset between them; default for fine-tuning)")
      ->check(CLI::IsMember({"stream", "documents"}));
  c.add_option("--valid", o.valid, "Texts to score at every checkpoint")->type_name("FILE...");
  c.add_option("--every", o.every, "Steps between checkpoints")
      ->capture_default_str()
      ->check(CLI::PositiveNumber);
  c.add_option("--keep", o.keep, "Checkpoints to keep; 0: all")->capture_default_str();
  c.add_option("--patience", o.patience, "Stop after N scores without improvement; 0: never");
}

void AddLearningOptions(CLI::App& c, TrainFlags& o) {
  c.add_option("--lr", o.rates, "Learning rate, start and end of a cosine")->type_name("A:B");
  c.add_option("--warmup", o.warmup, "Warm-up steps")->capture_default_str();
  c.add_option("--decay", o.decay, "Weight decay")
      ->capture_default_str()
      ->check(CLI::NonNegativeNumber);
  c.add_option("--dropout", o.dropout, "Share of values dropped after each mix")
      ->capture_default_str()
      ->check(CLI::Range(0.0, 0.9));
  c.add_option("--clip", o.clip, "Largest gradient norm; 0: no clipping")
      ->capture_default_str()
      ->check(CLI::NonNegativeNumber);
  c.add_flag("--no-l2wrap", o.no_l2wrap, "Train without RWKV-LM's L2Wrap");
  c.add_option("--precision", o.precision,
               "Precision of products; sums, states and values are always f32")
      ->capture_default_str()
      ->check(CLI::IsMember({"bf16", "f32"}));
  c.add_flag("--recompute", o.recompute, "Recompute layers in the backward pass to save memory");
  c.add_option("--seed", o.seed, "The same seed gives the same run")->capture_default_str();
  c.add_option("--tune", o.tune, "What is trained")
      ->capture_default_str()
      ->check(CLI::IsMember({"full", "lora", "state", "head"}));
  AddAdapterOptions(c, o);
  c.add_option("--freeze", o.freeze, "Parameters to freeze")->type_name("REGEX");
  c.add_flag("--skip-spikes", o.skip_spikes, "Skip steps whose gradient is a spike");
  c.add_option("--trace", o.trace, "Train on the batches of this file and print the results")
      ->type_name("FILE");
}

void AddModelOptions(CLI::App& c, TrainFlags& o) {
  c.add_option("--base", o.base, "The model to start from, or `builtin`")->type_name("MODEL");
  c.add_option("--generation", o.generation, "Train a new model of this generation")
      ->check(CLI::IsMember(GenerationNames()));
  c.add_option("--layers", o.layers, "Layers of a new model");
  c.add_option("--width", o.width, "Channels of a new model (n_embd)");
  c.add_option("--head-size", o.head_size, "Channels per head of a new model")
      ->capture_default_str();
  c.add_option("--ffn", o.ffn,
               "Channels of the channel mix of a new model; default: that of the generation");
  c.add_option("--ranks", o.ranks, "Low-rank sizes of a new model")
      ->capture_default_str()
      ->check(CLI::IsMember({"released", "train"}));
}

}  // namespace

void AddTrainOptions(CLI::App& command, CommonOptions& common, TrainFlags& flags) {
  AddModelOptions(command, flags);
  AddRunOptions(command, common, flags);
  AddLearningOptions(command, flags);
}

}  // namespace linnet::cli
