// Texts that are written with guesses beside the same texts without, by turns:
//
//     speculation_bench MODEL [TOKENS [TURNS [THREADS]]]
//
// Predictions are the text itself with every 20th token changed, and random tokens. The model may
// have random weights: a prediction needs no text that repeats itself.
#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>
#include <random>
#include <utility>
#include <vector>

#include "engine/session.h"
#include "linnet/model.h"
#include "linnet/tokenizer.h"

namespace linnet {
namespace {

struct Run {
  std::vector<int32_t> tokens;
  Written written;
};

class SpeculationBench {
 public:
  SpeculationBench(const char* path, size_t tokens, size_t threads)
      : model_(Model::Open(path)),
        tokenizer_(Tokenizer::ForVocabulary(model_.config().vocab)),
        workspace_({.threads = threads}),
        max_tokens_(tokens) {}

  // Which text is written depends on the turn, not on the guesses.
  Run Write(size_t turn, SpeculationOptions options) {
    SamplerOptions sampling;
    sampling.seed = turn + 1;
    Session session(model_, *tokenizer_, workspace_, {model_.NewState(), {}},
                    Sampler(sampling, tokenizer_));
    session.Speculate(std::move(options));
    session.Feed(RandomTokens(turn, 32));
    Run run;
    Watcher watcher;
    watcher.sampled = [&](int32_t token, const auto&) { run.tokens.push_back(token); };
    run.written = session.Write({.max_tokens = max_tokens_, .stop_ids = {}}, watcher);
    return run;
  }

  std::vector<int32_t> RandomTokens(size_t seed, size_t count) const {
    std::mt19937_64 random(seed);
    std::vector<int32_t> tokens(count);
    for (int32_t& token : tokens) {
      token = static_cast<int32_t>(1 + random() % (model_.config().vocab - 1));
    }
    return tokens;
  }

  std::vector<int32_t> EveryTwentiethChanged(std::vector<int32_t> tokens) const {
    for (size_t i = 19; i < tokens.size(); i += 20) {
      tokens[i] =
          static_cast<int32_t>(1 + static_cast<size_t>(tokens[i]) % (model_.config().vocab - 1));
    }
    return tokens;
  }

 private:
  Model model_;
  std::shared_ptr<const Tokenizer> tokenizer_;
  Workspace workspace_;
  size_t max_tokens_;
};

double Median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

int Main(int argc, char** argv) {
  const auto number = [&](int i, size_t otherwise) {
    return argc > i ? std::strtoul(argv[i], nullptr, 10) : otherwise;
  };
  if (argc < 2) {
    fmt::print(stderr, "speculation_bench MODEL [TOKENS [TURNS [THREADS]]]\n");
    return 2;
  }
  const size_t tokens = number(2, 200), turns = number(3, 5);
  SpeculationBench bench(argv[1], tokens, number(4, 2));
  bench.Write(0, {});  // warms the caches

  std::vector<double> plain, fits, random;
  for (size_t turn = 0; turn < turns; ++turn) {
    const Run first = bench.Write(turn, {});
    const Run fit = bench.Write(turn, {.most = SpeculationOptions::kAuto,
                                       .prediction = bench.EveryTwentiethChanged(first.tokens)});
    const Run again = bench.Write(turn, {});
    const Run other = bench.Write(turn, {.most = SpeculationOptions::kAuto,
                                         .prediction = bench.RandomTokens(turn + 99, tokens)});
    for (const Run* run : {&fit, &again, &other}) {
      if (run->tokens != first.tokens) {
        fmt::print(stderr, "turn {}: another text\n", turn);
        return 1;
      }
    }
    const double rate = (first.written.tokens_per_s() + again.written.tokens_per_s()) / 2;
    plain.push_back(rate);
    fits.push_back(fit.written.tokens_per_s() / rate);
    random.push_back(other.written.tokens_per_s() / rate);
    const auto counts = [](const Run& run) {
      const SpeculationCounts& count = run.written.speculation;
      return fmt::format("{} passes, {} of {} right", count.passes, count.accepted, count.guessed);
    };
    fmt::print("{:6.1f} tokens/s; changed every 20th: x {:.2f} ({}); random: x {:.3f} ({})\n", rate,
               fits.back(), counts(fit), random.back(), counts(other));
  }
  fmt::print("median {:.1f} tokens/s; changed every 20th: x {:.2f}; random: x {:.3f}\n",
             Median(plain), Median(fits), Median(random));
  return 0;
}

}  // namespace
}  // namespace linnet

int main(int argc, char** argv) { return linnet::Main(argc, argv); }
