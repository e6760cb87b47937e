// linnet eval: benchmarks of models.
#include "cli/eval.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "base/user_folders.h"
#include "cli/model.h"
#include "cli/output_file.h"
#include "cli/processes.h"
#include "io/tensor_file.h"
#include "models/builtin_model.h"

namespace linnet::cli {
namespace {

namespace fs = std::filesystem;

// What the evaluation of a language model begins with: World models were trained on texts after
// token 0, older ones and those of bytes are asked after a line's end (RWKV-LM's run_lm_eval.py).
std::vector<int32_t> PadFor(const EvalFlags& flags, const Tokenizer& tokenizer, size_t vocab) {
  if (flags.pad_given)
    return flags.pad.empty() ? std::vector<int32_t>() : ParseIds(flags.pad, vocab, "--pad");
  return std::string_view(tokenizer.name()) == "world" ? std::vector<int32_t>{0}
                                                       : tokenizer.Encode("\n");
}

std::string TitleOf(const std::string& name, const Model& model) {
  if (MeansBuiltIn(name)) return std::string(kBuiltInName);
  fs::path path = fs::path(name).lexically_normal();
  if (!path.has_filename()) path = path.parent_path();
  return fs::is_directory(path) ? path.filename().string() : model.path().stem().string();
}

void RunEval(EvalFlags& o, CLI::App& command) {
  o.pad_given = command.get_option("--pad")->count() > 0;
  if (o.list) {
    std::string names;
    for (const std::string& name : TaskLibrary().Names()) names += name + "\n";
    Print(names);
    return;
  }
  if ((o.order ? 1 : 0) + (o.retrieval ? 1 : 0) + (o.tasks.empty() ? 0 : 1) != 1) {
    throw CLI::ValidationError("--tasks", o.order || o.retrieval
                                              ? "--order and --retrieval exclude each other"
                                              : "is missing; `linnet eval --list` names the tasks");
  }
  if (o.passages && !o.retrieval) throw CLI::ValidationError("--passages", "needs --retrieval");
  const bool compression =
      std::find(o.tasks.begin(), o.tasks.end(), "uncheatable") != o.tasks.end();
  if (compression && o.tasks.size() > 1)
    throw CLI::ValidationError("--tasks", "uncheatable is measured alone");
  const bool takes_files = compression || o.order || o.retrieval;
  if (takes_files && o.limit > 0 && o.limit < 1)
    throw CLI::ValidationError("--limit", "is a share of the rows only with tasks of questions");
  std::vector<std::string> files;
  const std::vector<std::string> models = ModelsAmong(o.names, files);
  if (!takes_files && !files.empty()) {
    throw Error(ErrorKind::kBadInput, fmt::format("{}: is not a model", files[0]));
  }
  const auto world = JoinWorld();
  try {
    if (o.order)
      RunOrders(o, models, files, *world);
    else if (o.retrieval)
      RunRetrieval(o, models, files, *world);
    else if (compression)
      RunUncheatable(o, models, files, *world);
    else
      RunTasks(o, models, *world);
  } catch (const std::exception& error) {
    AbandonWorld(*world, MessageOf(error).c_str(), kFailed);
    throw;
  }
}

// By its content; a folder only if there is a model in it.
bool IsModel(const std::string& name) {
  if (!IsModelName(name)) return false;
  std::error_code error;
  if (!fs::is_directory(name, error)) return true;
  try {
    FilesOf(name);
    return true;
  } catch (const Error&) {
    return false;
  }
}

}  // namespace

std::vector<std::string> ModelsAmong(const std::vector<std::string>& names,
                                     std::vector<std::string>& rest) {
  size_t count = 0;
  while (count < names.size() && IsModel(names[count])) ++count;
  rest.assign(names.begin() + static_cast<std::ptrdiff_t>(count), names.end());
  std::vector<std::string> models(names.begin(),
                                  names.begin() + static_cast<std::ptrdiff_t>(count));
  if (models.empty() && (rest.empty() || Model::HasBuiltIn())) models.emplace_back();
  if (models.empty()) throw Error(ErrorKind::kBadInput, fmt::format("{}: is not a model", rest[0]));
  return models;
}

MeasuredModel::MeasuredModel(const EvalFlags& flags, const std::string& name, World& world)
    : name_(name),
      model_(OpenModel(flags.common, name)),
      tokenizer_(TokenizerFor(flags.common, model_)),
      workspace_(NewWorkspace(flags.common)) {
  title_ = TitleOf(name, model_);
  options_.pad = PadFor(flags, *tokenizer_, model_.config().vocab);
  options_.bootstrap = flags.bootstrap;
  options_.scoring.rows = flags.rows;
  options_.process = world.index();
  options_.processes = world.size();
  options_.exchange = [&world](std::span<double> values, std::span<const size_t> bounds) {
    world.AllGather(values, bounds);
  };
  OpenJournal(flags, world);
  options_.journal = &journal_;
  opened_ = std::chrono::steady_clock::now();
  if (world.index() > 0) return;
  options_.progress = [this](const char* doing, size_t done, size_t total) {
    if (doing == std::string_view("scoring") && done == total) scored_ += total;
    if (progress_ == nullptr || doing_ != doing) {
      progress_.reset();  // erases its line first
      doing_ = doing;
      progress_ = std::make_unique<Progress>(fmt::format("{}: {}", title_, doing), 1000,
                                             /*time_left=*/true);
    }
    progress_->Update(1000 * done / std::max<size_t>(total, 1));
    if (done == total) progress_.reset();
  };
}

void MeasuredModel::OpenJournal(const EvalFlags& flags, const World& world) {
  if (flags.no_journal) return;
  fs::path path = flags.journal;
  kept_ = !path.empty();
  const std::string identity = model_.Identity(workspace_, {.tokenizer = tokenizer_->Digest()});
  if (!kept_) {
    const fs::path folder = UserCacheFolder();
    if (folder.empty()) return;
    path = folder / "eval" / (identity.substr(0, 32) + ".jsonl");
  }
  try {
    journal_ = EvalJournal(path, identity, world.index());
  } catch (const Error&) {
    if (kept_) throw;  // the folder of caches may be read-only
    return;
  }
  if (world.index() == 0 && journal_.found() > 0) {
    Say(fmt::format("{}: {} answers are known from {}\n", title_, journal_.found(), path.string()));
  }
}

std::string MeasuredModel::PadText() const {
  if (options_.pad.empty()) return "nothing";
  return fmt::format("token{} {}", options_.pad.size() > 1 ? "s" : "",
                     fmt::join(options_.pad, ", "));
}

TaskJson MeasuredModel::ConfigJson() const {
  return {{"model", "linnet"},
          {"model_args", MeansBuiltIn(name_) ? std::string(kBuiltInName) : name_},
          {"model_hash", model_.hash()},
          {"tokenizer", tokenizer_->name()},
          {"pad", options_.pad},
          {"bootstrap_iters", options_.bootstrap}};
}

void MeasuredModel::Done() {
  progress_.reset();
  if (scored_ > 0) {
    const std::chrono::duration<double> took = std::chrono::steady_clock::now() - opened_;
    Say(fmt::format("{}: {} tokens in {:.1f} s, {:.0f} tokens/s\n", title_, scored_, took.count(),
                    static_cast<double>(scored_) / took.count()));
  }
  if (!kept_ && options_.process == 0) journal_.Remove();
}

TaskJson ByModel(const std::vector<std::string>& titles, std::vector<TaskJson> values) {
  if (values.size() == 1) return values[0];
  TaskJson out = TaskJson::object();
  for (size_t i = 0; i < values.size(); ++i) {
    std::string name = titles[i];
    for (size_t n = 2; out.contains(name); ++n) name = fmt::format("{} ({})", titles[i], n);
    out[name] = std::move(values[i]);
  }
  return out;
}

void AddEval(CLI::App& app) {
  const auto o = std::make_shared<EvalFlags>();
  const auto command = std::make_shared<CLI::App*>(nullptr);
  *command = AddCommand(
      app, "eval", "Measure models on benchmarks",
      "linnet eval model.pth --tasks lambada_openai,piqa --data eval\n"
      "  linnet eval small.pth large.pth --tasks rwkv_english --data eval --html table.html\n"
      "  linnet eval model.pth --tasks uncheatable bbc_news.json github_python.json\n\n"
      "Tasks are built-in ones (--list), groups of them, or YAML files of lm-evaluation-harness.\n"
      "What was measured is kept, so that the same command goes on where it was stopped.",
      o->common, [o, command] { RunEval(*o, **command); });
  (*command)->add_option(
      "MODEL_AND_FILES", o->names,
      "Models, by default the built-in one; then files for uncheatable, --order and --retrieval");
  (*command)
      ->add_option("--tasks", o->tasks,
                   "Tasks, groups, YAML files; or uncheatable, for the files behind MODEL")
      ->delimiter(',')
      ->allow_extra_args(false)
      ->type_name("NAME,...");
  // Results may go where the data is: what they are is told from what is in a file.
  o->common.stems.push_back(
      (*command)->add_option("--data", o->data, "The folder of the data files")->type_name("DIR"));
  (*command)
      ->add_option("--num-fewshot", o->num_fewshot,
                   "Examples before each question, instead of the task's number")
      ->type_name("N");
  (*command)
      ->add_option("--limit", o->limit,
                   "Only the first N rows of each task; below 1, that share of them")
      ->check(CLI::NonNegativeNumber)
      ->type_name("N");
  (*command)
      ->add_option("--pad", o->pad,
                   "Tokens before every context, \"\" for none; default: 0 with the World "
                   "vocabulary, else a line end")
      ->type_name("IDS");
  (*command)
      ->add_option("--bootstrap", o->bootstrap,
                   "Resamples for the standard error of a perplexity; 0: no errors")
      ->type_name("N")
      ->capture_default_str();
  (*command)
      ->add_option("--pass-rows", o->rows, "Tokens of all sequences in one pass; changes no result")
      ->check(CLI::Range(1, 1 << 20))
      ->type_name("N")
      ->capture_default_str();
  (*command)->add_flag("--order", o->order,
                       "Ask questions about texts before, after and on both sides of the text; "
                       "takes rows of text, question, answer, or the folder of FairytaleQA");
  (*command)->add_flag("--retrieval", o->retrieval,
                       "Find texts by vectors: takes the folder of FairytaleQA or XCOPA; all "
                       "poolings, beside BM25");
  (*command)->add_flag("--passages", o->passages,
                       "With --retrieval: a text is as near as the nearest of its passages");
  AddOutput(**command, o->common, "--log-samples", o->samples,
            "Write each row's questions, answers and values to this file")
      ->type_name("FILE");
  AddOutput(**command, o->common, "--html", o->html, "Write a page with tables and bars")
      ->type_name("FILE");
  AddOutput(**command, o->common, "--journal", o->journal,
            "Keep what was measured in this file, and go on from it; default: a file in the user's "
            "cache until all is done")
      ->type_name("FILE");
  (*command)->add_flag("--no-journal", o->no_journal, "Keep nothing for going on");
  (*command)->add_flag("--list", o->list, "Print the names of tasks and groups");
  AddAdapterOption(**command, o->common);
  AddRowOptions(**command, o->common);
}

}  // namespace linnet::cli
