#include "train/run.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <fstream>
#include <nlohmann/json.hpp>
#include <system_error>
#include <type_traits>
#include <vector>

#include "base/atomic_file.h"
#include "linnet/error.h"
#include "train/bad_step.h"
#include "train/run_folder.h"
#include "train/training_file.h"

namespace linnet {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

// metrics.jsonl, without the lines of steps that a resumed run repeats.
class Metrics {
 public:
  Metrics(const fs::path& path, uint64_t steps) : path_(path) {
    std::ifstream in(path);
    if (in) {
      AtomicFile kept(path);
      for (std::string line; std::getline(in, line);) {
        const auto fields = Json::parse(line, nullptr, false);
        const auto step = fields.is_object() ? fields.find("step") : fields.end();
        const bool whole = step != fields.end() && step->is_number_unsigned();
        if (whole && step->get<uint64_t>() <= steps) kept.Write(line + "\n");
      }
      in.close();
      kept.Commit();
    }
    out_.open(path, std::ios::app);
    if (!out_) throw Error(ErrorKind::kIo, path.string() + ": cannot be written");
  }

  void Add(const StepMetrics& m) {
    Json line = {{"step", m.step},
                 {"tokens", m.tokens},
                 {"loss", m.report.loss},
                 {"lr", m.rate},
                 {"grad_norm", m.report.grad_norm},
                 {"tokens_per_s", static_cast<double>(m.report.tokens) / m.seconds}};
    if (m.report.skipped) line["skipped"] = m.report.trouble;
    if (m.valid) {
      line["valid_loss"] = m.valid->nats_per_token;
      line["valid_bits_per_byte"] = m.valid->bits_per_byte;
    }
    out_ << line.dump(-1, ' ', false, Json::error_handler_t::replace) << '\n' << std::flush;
    if (!out_)
      throw Error(ErrorKind::kIo, path_.string() + ": cannot be written; is the disk full?");
  }

 private:
  fs::path path_;
  std::ofstream out_;
};

// The number in a note, or `otherwise` if there is none.
template <class T>
T NoteOf(const Notes& notes, const char* key, T otherwise) {
  const auto it = notes.find(key);
  if (it == notes.end()) return otherwise;
  const auto note = Json::parse(it->second, nullptr, false);
  const bool fits = std::is_integral_v<T> ? note.is_number_unsigned() : note.is_number();
  return fits ? note.get<T>() : otherwise;
}

bool IsHopeless(const RunOptions& options, uint64_t since_best) {
  return options.patience > 0 && since_best >= options.patience;
}

class Runner {
 public:
  Runner(Learner& learner, const SampleSource& samples, World& world, const RunOptions& options,
         const RunEvents& events, const Notes& notes)
      : learner_(learner),
        samples_(samples),
        world_(world),
        options_(options),
        events_(events),
        rows_read_(options.rows_read),
        tokens_(NoteOf<uint64_t>(notes, "tokens", 0)),
        best_(NoteOf<double>(notes, "best", INFINITY)),
        since_best_(NoteOf<uint64_t>(notes, "since_best", 0)) {}

  RunEnd Run() {
    if (First()) RemoveUnfinished(options_.out);
    if (First())
      metrics_ = std::make_unique<Metrics>(options_.out / "metrics.jsonl", learner_.steps());
    if (IsHopeless(options_, since_best_)) return Finish(RunEnd::kNoBetter);
    saved_ = learner_.steps();
    while (learner_.steps() < options_.schedule.steps) {
      const StepMetrics m = StepOrSave();
      // If one process was told to end, all end.
      const bool told = events_.interrupted && events_.interrupted();
      const bool interrupted = world_.Sum(told ? 1 : 0) != 0;
      if (!m.report.skipped) RemoveOld();
      const bool hopeless = IsHopeless(options_, since_best_);
      const bool end = interrupted || hopeless || m.step == m.steps;
      // After skipped steps the values may be useless; wait for a step that is not skipped.
      unsaved_ = unsaved_ || IsDue(m);
      if (end || (unsaved_ && !m.report.skipped)) Save();
      if (interrupted) return RunEnd::kInterrupted;
      if (hopeless) return Finish(RunEnd::kNoBetter);
    }
    return Finish(RunEnd::kDone);
  }

 private:
  bool First() const { return world_.index() == 0; }

  bool IsDue(const StepMetrics& m) const {
    return m.step % options_.every == 0 || m.step == m.steps;
  }

  // One step and its metrics. If it cannot be taken, the training so far is saved.
  StepMetrics StepOrSave() {
    try {
      StepMetrics m = Step();
      if (m.step == m.steps && m.report.skipped && !std::isfinite(m.report.grad_norm)) {
        throw BadStep(m.report.trouble + "; the run cannot end with it", false, Remedy::kLowerRate);
      }
      if (IsDue(m)) m.valid = Validate();
      if (First()) {
        metrics_->Add(m);
        if (events_.on_step) events_.on_step(m);
      }
      return m;
    } catch (const BadStep& bad) {  // on all processes
      if (!bad.sound() && !proven_ && saved_ > 0) {
        throw BadStep(fmt::format("{}; if it did so before, remove {} to go on from an older one",
                                  bad.what(), CheckpointPath(options_.out, saved_).string()),
                      false, bad.remedy());
      }
      if (!bad.sound() || saved_ == learner_.steps()) throw;
      const uint64_t step = learner_.steps();
      Save();
      world_.FromFirst(0);  // the others end the run, so they must wait until it is saved
      throw BadStep(fmt::format("{}; step {} is saved", bad.what(), step), true, bad.remedy());
    }
  }

  StepMetrics Step() {
    const auto start = std::chrono::steady_clock::now();
    StepMetrics m;
    m.steps = options_.schedule.steps;
    m.rate = options_.schedule.LearningRate(learner_.steps());
    const auto [first, last] = learner_.Share(options_.batch_rows);
    rows_.resize(last - first);
    for (size_t i = first; i < last; ++i) samples_.Read(rows_read_ + i, rows_[i - first]);
    m.report = learner_.Step(rows_, options_.batch_rows, m.rate);
    rows_read_ += options_.batch_rows;
    m.step = learner_.steps();
    m.tokens = tokens_ += m.report.tokens;
    m.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    return m;
  }

  std::optional<Validation> Validate() {
    if (!events_.validate) return std::nullopt;
    std::optional<Validation> result;
    bool better = false;
    if (First()) {
      result = events_.validate(learner_.AsModel());
      better = result->bits_per_byte < best_;
      if (better) best_ = result->bits_per_byte;
      if (better) SaveResult("best.safetensors", {});
    }
    since_best_ = world_.FromFirst(better) != 0 ? 0 : since_best_ + 1;
    return result;
  }

  // Older checkpoints are kept until a step from this one has succeeded.
  void Save() {
    const std::string odd = BadLearntValue(learner_.network());
    if (!odd.empty()) {
      throw BadStep(fmt::format("step {}: {}", learner_.steps(), odd), false, Remedy::kLowerRate);
    }
    Notes notes = {{"rows", std::to_string(rows_read_)},
                   {"tokens", std::to_string(tokens_)},
                   {"since_best", std::to_string(since_best_)}};
    if (std::isfinite(best_)) notes["best"] = Json(best_).dump();
    SaveTraining(learner_, world_, CheckpointPath(options_.out, learner_.steps()), notes,
                 options_.vocabulary);
    saved_ = learner_.steps();
    unsaved_ = false;
    proven_ = false;
  }

  void RemoveOld() {
    if (proven_) return;
    proven_ = true;
    if (!First() || options_.keep == 0) return;
    const auto all = CheckpointSteps(options_.out);
    for (size_t i = 0; i + options_.keep < all.size(); ++i) {
      std::error_code ignored;  // a remaining old file does no harm
      fs::remove(CheckpointPath(options_.out, all[i]), ignored);
    }
  }

  RunEnd Finish(RunEnd end) {
    RemoveOld();
    if (!First()) return end;
    for (const std::string& name : options_.results) {
      SaveResult(name, {{kStepsKey, std::to_string(learner_.steps())}});
    }
    return end;
  }

  void SaveResult(const std::string& name, const Notes& notes) {
    const fs::path path = options_.out / name;
    if (options_.save) return options_.save(learner_.network(), path);
    SaveModel(learner_.network(), path, options_.model_type, options_.vocabulary, notes);
  }

  Learner& learner_;
  const SampleSource& samples_;
  World& world_;
  const RunOptions& options_;
  const RunEvents& events_;
  uint64_t rows_read_, tokens_;
  double best_;           // bits per byte
  uint64_t since_best_;   // validations without a better one
  uint64_t saved_ = 0;    // the step of the newest checkpoint
  bool unsaved_ = false;  // a checkpoint is due
  bool proven_ = false;   // a step from it has succeeded
  std::vector<SampleRow> rows_;
  std::unique_ptr<Metrics> metrics_;
};

}  // namespace

uint64_t RowsRead(const Notes& notes, uint64_t otherwise) {
  return NoteOf<uint64_t>(notes, "rows", otherwise);
}

bool IsOver(const Learner& learner, const RunOptions& options, const Notes& notes) {
  return learner.steps() >= options.schedule.steps ||
         IsHopeless(options, NoteOf<uint64_t>(notes, "since_best", 0));
}

RunEnd RunTraining(Learner& learner, const SampleSource& samples, World& world,
                   const RunOptions& options, const RunEvents& events, const Notes& notes) {
  return Runner(learner, samples, world, options, events, notes).Run();
}

}  // namespace linnet
