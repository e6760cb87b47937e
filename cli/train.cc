// linnet train: pretraining and fine-tuning, with checkpoints, validation and resume.
#include "cli/train.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <memory>
#include <regex>

#include "cli/kept_options.h"
#include "cli/model.h"
#include "cli/output_file.h"
#include "cli/processes.h"
#include "cli/texts.h"
#include "cli/train_progress.h"
#include "cli/train_start.h"
#include "engine/own_vocabulary.h"
#include "eval/perplexity.h"
#include "io/tensor_writer.h"
#include "kernels/isa.h"
#include "linnet/error.h"
#include "models/builtin_model.h"
#include "models/detect.h"
#include "models/hash.h"
#include "models/header.h"
#include "models/init.h"
#include "text/tokenizers.h"
#include "train/new_model.h"
#include "train/passes.h"
#include "train/run.h"
#include "train/run_folder.h"
#include "train/training_file.h"

namespace linnet::cli {
namespace {

namespace fs = std::filesystem;

// ---- Options of a call ----

// The total steps, of which the first `done` used `rows_done` rows.
uint64_t StepsOf(const TrainFlags& o, const SampleSource& samples, uint64_t done,
                 uint64_t rows_done) {
  if (o.steps != 0) return o.steps;
  const uint64_t rows = o.tokens / o.ctx;
  const double all = o.tokens != 0 ? static_cast<double>(rows)
                                   : o.epochs * static_cast<double>(samples.rows_per_epoch());
  const double left =
      (all - static_cast<double>(rows_done)) / static_cast<double>(o.batch * o.accumulate);
  const double steps = static_cast<double>(done) + std::floor(o.tokens != 0 ? left : left + 0.5);
  return static_cast<uint64_t>(std::clamp(steps, 1.0, 1e18));
}

// A resumed run must not be past its end.
void CheckSteps(const TrainFlags& o, uint64_t steps, uint64_t done) {
  if (done <= steps) return;
  const char* option = o.steps != 0 ? "--steps" : o.tokens != 0 ? "--tokens" : "--epochs";
  throw Error(ErrorKind::kBadInput,
              fmt::format("{}: {} ends the run at step {}, but it has taken {} already; give more "
                          "to go on, or begin a new run in another folder",
                          o.out, option, steps, done));
}

bool IsHead(const std::string& name) {
  return name.starts_with("head.") || name.starts_with("ln_out.");
}

LearnerOptions LearnerOptionsOf(const TrainFlags& o, const CommonOptions& common) {
  LearnerOptions t;
  t.packing = PackingOf(common);
  t.precision = o.precision == "f32" ? DType::kF32 : DType::kBF16;
  t.recompute = o.recompute;
  t.l2wrap = !o.no_l2wrap;
  t.clip = o.clip;
  t.adam.weight_decay = o.decay;
  t.dropout = o.dropout;
  t.seed = o.seed;
  t.rows_per_pass = o.batch;
  t.chunk = o.chunk;
  t.bptt = o.bptt;
  t.skip_spikes = o.skip_spikes;
  if (!o.freeze.empty() || o.tune != "full") {
    const auto frozen = ParseRegex("--freeze", o.freeze.empty() ? "(?!)" : o.freeze);
    t.learns = [frozen, head = o.tune == "head", part = TunesAdapter(o)](const std::string& name) {
      if (head && !IsHead(name)) return false;
      if (part && !Adapter::Learns(name)) return false;
      return !std::regex_search(name, *frozen);
    };
  }
  return t;
}

// ---- A new model ----

InitSizes SizesOf(const TrainFlags& o, size_t vocab) {
  InitSizes sizes;
  sizes.generation = *ParseGeneration(o.generation);
  sizes.layers = o.layers;
  sizes.width = o.width;
  sizes.head_size = o.head_size;
  sizes.ffn = o.ffn;
  sizes.ranks = o.ranks == "released" ? RankRule::kReleased : RankRule::kTrain;
  sizes.vocab = vocab;
  return sizes;
}

fs::path InitPath(const TrainFlags& o) { return fs::path(o.out) / "init.safetensors"; }

// ---- The run ----

// The texts of --valid, which may be pipes.
std::vector<std::string> TextsOf(const TrainFlags& o) {
  std::vector<std::string> texts;
  for (const std::string& file : o.valid) {
    texts.push_back(ReadText(file));
  }
  return texts;
}

// Scores the model as the run would save it, so that the score equals that of `linnet perplexity`
// for the saved file. An adapter, and a model that is trained as a whole in f32, are scored
// directly, because saving does not change their values. Otherwise saving rounds or unpacks values,
// so the model is saved to a temporary file and opened.
std::function<Validation(const Model&)> ValidationOn(
    const TrainFlags& o, const std::vector<std::string>& texts, const CommonOptions& common,
    std::shared_ptr<const Tokenizer> tokenizer, const Learner& learner, const RunOptions& run) {
  if (o.valid.empty()) return nullptr;
  return [&, tokenizer](const Model& learning) {
    std::optional<Model> opened;
    if (ScoresCopy(o)) {
      const fs::path file = run.out / "validated.tmp";  // also removed on resume
      SaveModel(learner.network(), file, run.model_type, run.vocabulary);
      opened.emplace(Model::Open(file, {.force = true}));
      fs::remove(file);  // it stays mapped
    }
    Workspace workspace = NewWorkspace(common);
    TextScore score;
    for (const std::string& text : texts) {
      score += ScoreText(opened ? *opened : learning, *tokenizer, workspace, text);
    }
    return Validation{score.nats_per_token(), score.bits_per_byte()};
  };
}

// Scores with another vocabulary are meaningless. A model may have more ids, as padding.
void CheckVocabulary(const Tokenizer& tokenizer, const CommonOptions& common, size_t vocab) {
  constexpr size_t kMostFilling = 128;
  const bool own = common.vocab.empty();
  CheckFits(tokenizer, vocab, own ? tokenizer.name() : common.vocab);
  if (own || tokenizer.size() + kMostFilling > vocab) return;
  throw Error(ErrorKind::kBadInput,
              fmt::format("{}: has ids up to {}, the model up to {}; --valid needs the model's own "
                          "vocabulary, give it with --vocab",
                          common.vocab, tokenizer.size() - 1, vocab - 1));
}

// Also distinguishes a packed model from its source.
std::string HashOfFile(const Checkpoint& checkpoint) {
  return fmt::format("{}:{}", HashOf(checkpoint), checkpoint.file().file_bytes());
}

// `base` is that of --base, or null.
std::shared_ptr<const Tokenizer> TokenizerOfRun(const TrainFlags& o, const CommonOptions& common,
                                                const Checkpoint* base) {
  if (!common.vocab.empty()) {
    return base == nullptr ? TokenizerNamed(common.vocab)
                           : LoadTokenizer(common.vocab, ConfigOf(*base).vocab);
  }
  if (base == nullptr) return Tokenizer::ForVocabulary(kWorldVocabulary, {}, HomeFolder());
  if (o.valid.empty()) return nullptr;  // ids are sufficient
  return TokenizerOf(*base, HomeFolder());
}

// --vocab as stored in the run's models; empty if the model's size identifies the vocabulary.
std::vector<std::byte> OwnVocabulary(const CommonOptions& common, const Tokenizer* tokenizer,
                                     size_t vocab) {
  const bool own = !common.vocab.empty() && tokenizer->model_vocab() == tokenizer->size();
  return own ? StoredVocabulary(common.vocab, vocab) : std::vector<std::byte>();
}

// The vocabulary to store in the run's models: --vocab, or that of the base.
std::vector<std::byte> VocabularyOfRun(const CommonOptions& common, const Tokenizer* tokenizer,
                                       const Checkpoint& base, size_t vocab) {
  if (!common.vocab.empty()) return OwnVocabulary(common, tokenizer, vocab);
  const auto stored = base.stored_vocabulary();
  if (!stored.empty()) return {stored.begin(), stored.end()};
  const fs::path neox = NeoxFileOf(vocab, base.file().path(), HomeFolder());
  if (!neox.empty()) return StoredVocabulary(neox.string(), vocab);
  try {
    return StoredVocabularyOf(base);
  } catch (const Error& error) {
    Say(fmt::format("the models of this run hold no vocabulary: {}\n", error.what()));
    return {};
  }
}

// The existing start of the run: --base, or for a resumed run its own start file.
std::optional<Checkpoint> ExistingBase(const TrainFlags& o) {
  if (!o.base.empty()) return CheckpointNamed(o.base);
  const fs::path own = InitPath(o);
  // Without --resume, an existing start file belongs to an abandoned run.
  if (o.resume && fs::exists(own)) return Checkpoint(own);
  return std::nullopt;
}

// Writes the new model that a run starts from. Process 0 writes; the others wait for the file.
Checkpoint NewBase(const TrainFlags& o, const CommonOptions& common, const Tokenizer& tokenizer,
                   ThreadPool& pool, World& world, RunStart& start) {
  if (world.index() == 0) {
    const size_t vocab = tokenizer.model_vocab();
    WriteNewModel(SizesOf(o, vocab), OwnVocabulary(common, &tokenizer, vocab), o.seed, InitPath(o),
                  pool, InterruptScope::Check);
    start.Made(InitPath(o));
  }
  world.FromFirst(0);
  return Checkpoint(InitPath(o));
}

// Creates the run's folder if necessary. Process 0 locks it while it works there.
std::unique_ptr<RunLock> EnterFolder(const TrainFlags& o, const CommonOptions& common, bool first,
                                     RunStart& start) {
  start.Make();
  if (!first) return nullptr;
  auto lock = std::make_unique<RunLock>(o.out);
  CheckFolder(o, common);                     // another program may have used it since
  if (!o.resume) KeptOptions::Remove(o.out);  // of an abandoned run
  return lock;
}

// Without the values that depend on the learner's counters.
RunOptions RunOptionsOf(const TrainFlags& o) {
  RunOptions run;
  run.out = o.out;
  run.batch_rows = o.batch * o.accumulate;
  run.schedule.warmup = o.warmup;
  SetUsualRates(o, run.schedule);
  ReadRates(o, run.schedule);
  run.every = o.every;
  run.keep = o.keep;
  run.patience = o.patience;
  run.model_type = o.precision == "f32" ? SourceType::kF32 : SourceType::kBF16;
  return run;
}

RunEnd Train(CLI::App& command, TrainFlags& o, CommonOptions& common, World& world) {
  if (o.out.empty()) throw CLI::ValidationError("train", "give --out RUN, a folder");
  std::optional<KeptOptions> kept;
  uint64_t past_rows = 0;  // per step
  if (o.resume) {
    kept = KeptOptions::Read(o.out);
    past_rows = kept->Number(command, "--batch") * kept->Number(command, "--accumulate");
    kept->Recall(command);
    if (!common.isa.empty()) ForceIsa(*ParseIsa(common.isa));
  } else {
    RefuseUseless(command, o);
  }
  CheckFlags(o);
  const bool first = world.index() == 0;
  const auto valid = first ? TextsOf(o) : std::vector<std::string>();  // only process 0 scores
  for (const fs::path& file : TokenFilesOf(o.data)) AddInput(common, file);
  CheckFolder(o, common);

  // Write nothing before all checks that can fail.
  std::optional<Checkpoint> checkpoint = ExistingBase(o);
  const auto tokenizer = TokenizerOfRun(o, common, o.base.empty() ? nullptr : &*checkpoint);
  const Config config =
      checkpoint ? ConfigOf(*checkpoint) : NewConfig(SizesOf(o, tokenizer->model_vocab()));
  CheckChunks(config, o.chunk);
  const auto vocabulary = checkpoint
                              ? VocabularyOfRun(common, tokenizer.get(), *checkpoint, config.vocab)
                              : OwnVocabulary(common, tokenizer.get(), config.vocab);
  const TokenData data(o.data, config.vocab);
  CheckData(o, common, data, tokenizer.get(), checkpoint ? &*checkpoint : nullptr);
  const RunSources sources = {o.base.empty() ? "" : HashOfFile(*checkpoint), data.Hash()};
  if (kept) kept->CheckSources(command, sources);
  if (!o.valid.empty()) CheckVocabulary(*tokenizer, common, config.vocab);
  const std::string sampling = !o.sampling.empty() ? o.sampling : UsualSampling(!o.base.empty());
  const auto samples = sampling == "stream" ? NewMagicPrimeSamples(data, o.ctx)
                                            : NewPackedSamples(data, o.ctx, o.seed);

  RunOptions run = RunOptionsOf(o);
  const LearnerOptions learning = LearnerOptionsOf(o, common);
  if (!o.resume) {
    CheckRoom(o, common,
              {config, checkpoint ? &*checkpoint : nullptr, learning, StepsOf(o, *samples, 0, 0)},
              world);
  }

  const InterruptScope interrupt;  // Ctrl-C saves and ends
  RunStart start(o.out);
  const auto lock = EnterFolder(o, common, first, start);
  ThreadPool pool(common.threads);
  if (!checkpoint) checkpoint = NewBase(o, common, *tokenizer, pool, world, start);
  run.vocabulary = vocabulary;
  // A .pth cannot store epsilons, without which the model would compute other values.
  if (!EpsilonMetadata(config).empty()) run.results = {"model.safetensors"};
  const std::optional<Adapter> adapter = StartAdapter(o, *checkpoint, pool, world, start);
  if (adapter) TuneAdapter(o, *adapter, run);
  Learner learner(std::move(*checkpoint), config, learning, pool, world,
                  adapter ? std::span(&*adapter, 1) : std::span<const Adapter>());
  const Notes notes = LoadNewest(learner, world, run.out, [](const std::string& line) {
                        Say(line + "\n");
                      }).value_or(Notes());
  run.rows_read = RowsRead(notes, learner.steps() * past_rows);
  run.schedule.steps = StepsOf(o, *samples, learner.steps(), run.rows_read);
  CheckSteps(o, run.schedule.steps, learner.steps());

  TrainProgress progress(common, o, learner, world, data, run, sampling, samples->rows_per_epoch());
  if (!IsOver(learner, run, notes)) progress.Plan();
  if (first) KeptOptions::Of(command, sources).Write(run.out);
  start.Succeeded();
  const RunEvents events{[&](const StepMetrics& m) { progress.Show(m); },
                         InterruptScope::Interrupted,
                         ValidationOn(o, valid, common, tokenizer, learner, run)};
  const RunEnd end = RunTraining(learner, *samples, world, run, events, notes);
  progress.End(end);
  return end;
}

// An error in one process must end all, because the others would wait for it.
void TrainTogether(CLI::App& command, TrainFlags& o, CommonOptions& common) {
  const auto world = JoinWorld();
  RunEnd end = RunEnd::kDone;
  try {
    end = Train(command, o, common, *world);
  } catch (const std::exception& error) {
    AbandonWorld(*world, MessageOf(error).c_str(), kFailed);
    throw;
  } catch (const Interruption&) {  // before the processes could agree to stop
    AbandonWorld(*world, "interrupted", kInterrupted);
    throw;
  }
  if (end == RunEnd::kInterrupted) throw Interruption();
}

}  // namespace

void AddTrain(CLI::App& app) {
  struct Options {
    CommonOptions common;
    TrainFlags flags;
    CLI::App* command = nullptr;
  };
  const auto o = std::make_shared<Options>();
  o->command = AddCommand(
      app, "train", "Train a new model or fine-tune one",
      "linnet train --data book --out run --generation 7 --layers 12 --width 256 --vocab vocab.txt",
      o->common, [o] {
        if (o->flags.trace.empty()) return TrainTogether(*o->command, o->flags, o->common);
        if (o->flags.base.empty()) throw CLI::ValidationError("--trace", "needs --base MODEL");
        Schedule schedule;
        ReadRates(o->flags, schedule);
        schedule.warmup = o->command->get_option("--warmup")->count() > 0 ? o->flags.warmup : 2;
        RunTrace(o->common, o->flags.base, o->flags.trace, LearnerOptionsOf(o->flags, o->common),
                 schedule);
      });
  AddTrainOptions(*o->command, o->common, o->flags);
}

}  // namespace linnet::cli
