// Shared by the parts of linnet eval: its options, and the models that it measures one by one.
#ifndef LINNET_CLI_EVAL_H_
#define LINNET_CLI_EVAL_H_

#include <chrono>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "cli/cli.h"
#include "cli/progress.h"
#include "eval/evaluation.h"
#include "linnet/model.h"
#include "linnet/tokenizer.h"
#include "train/world.h"

namespace linnet::cli {

struct EvalFlags {
  CommonOptions common;
  std::vector<std::string> names;  // models, then files
  std::vector<std::string> tasks;
  std::string data = ".", samples, html, journal;
  std::string pad;
  bool pad_given = false, order = false, no_journal = false, list = false;
  bool retrieval = false, passages = false;
  std::optional<size_t> num_fewshot;
  double limit = 0;
  size_t bootstrap = 100'000, rows = 512;
};

// A model that is being measured: its tokenizer, threads, journal and the options that it gives.
class MeasuredModel {
 public:
  // Opens the model, `name` as users give it, empty for the built-in one.
  MeasuredModel(const EvalFlags& flags, const std::string& name, World& world);

  const std::string& title() const { return title_; }  // for people: the file's stem
  const Model& model() const { return model_; }
  const Tokenizer& tokenizer() const { return *tokenizer_; }
  const std::shared_ptr<const Tokenizer>& shared_tokenizer() const { return tokenizer_; }
  Workspace& workspace() { return workspace_; }
  const EvaluationOptions& options() const { return options_; }
  EvaluationOptions& options() { return options_; }
  // "token 0", "tokens 3, 4" or "nothing".
  std::string PadText() const;
  // What a program needs to repeat it: for the JSON's "config".
  TaskJson ConfigJson() const;
  // All was measured: what was kept for going on is not needed any more. Says how fast it was.
  void Done();

 private:
  void OpenJournal(const EvalFlags& flags, const World& world);

  std::string name_, title_;
  Model model_;
  std::shared_ptr<const Tokenizer> tokenizer_;
  Workspace workspace_;
  EvalJournal journal_;
  bool kept_ = false;  // the journal is the user's
  std::unique_ptr<Progress> progress_;
  std::string doing_;
  EvaluationOptions options_;
  size_t scored_ = 0;  // tokens, by this process
  std::chrono::steady_clock::time_point opened_;
};

// The models among `names`: those in front that are models, or the built-in one (""). `rest` gets
// the others.
std::vector<std::string> ModelsAmong(const std::vector<std::string>& names,
                                     std::vector<std::string>& rest);

// eval_tasks.cc, eval_compression.cc, eval_order.cc: only process 0 prints.
void RunTasks(const EvalFlags& flags, const std::vector<std::string>& models, World& world);
void RunUncheatable(const EvalFlags& flags, const std::vector<std::string>& models,
                    const std::vector<std::string>& files, World& world);
void RunOrders(const EvalFlags& flags, const std::vector<std::string>& models,
               const std::vector<std::string>& files, World& world);

// eval_retrieval.cc.
void RunRetrieval(const EvalFlags& flags, const std::vector<std::string>& models,
                  const std::vector<std::string>& files, World& world);

// {MODEL: value} if there are several, else the one.
TaskJson ByModel(const std::vector<std::string>& titles, std::vector<TaskJson> values);

}  // namespace linnet::cli

#endif  // LINNET_CLI_EVAL_H_
