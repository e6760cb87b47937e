// Shared by the parts of the Python extension `linnet._linnet`: the objects behind its classes.
//
// Functions are called with the GIL held. What may take long releases it.
#ifndef LINNET_BINDINGS_PYTHON_BINDINGS_H_
#define LINNET_BINDINGS_PYTHON_BINDINGS_H_

#include <nanobind/nanobind.h>

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <utility>

#include "engine/session.h"
#include "grammar/constraint.h"
#include "linnet/error.h"
#include "linnet/model.h"
#include "linnet/sampler.h"
#include "linnet/state.h"
#include "linnet/tokenizer.h"

namespace linnet::python {

namespace nb = nanobind;

// Each is defined in the file of its name.
void AddErrors(nb::module_& m);
void AddTokenizer(nb::module_& m);
void AddState(nb::module_& m);
void AddSampler(nb::module_& m);
void AddModel(nb::module_& m);
void AddGrammar(nb::module_& m);
void AddGeneration(nb::module_& m);
void AddChat(nb::module_& m);
void AddChatService(nb::module_& m);
void AddFiles(nb::module_& m);
void AddTrainer(nb::module_& m);
void AddCommand(nb::module_& m);

struct ModelObject;
// Methods of Model.
void AddGenerate(nb::class_<ModelObject>& model);
void AddChatTo(nb::class_<ModelObject>& model);

// How often fork() made this process since the module was loaded. The child has none of the threads
// of its parent: what owns threads is abandoned there, neither used nor freed.
uint64_t Forks();

// Refuses a second use of an object that is not thread-safe.
class Busy {
 public:
  // Throws Error kBadInput, naming `what`, if it is in use.
  class Use {
   public:
    Use(Busy& busy, const char* what);
    ~Use() { busy_.used_.store(false, std::memory_order_release); }
    Use(const Use&) = delete;
    Use& operator=(const Use&) = delete;

   private:
    Busy& busy_;
  };

 private:
  std::atomic<bool> used_{false};
};

// Threads and scratch memory that the threads of Python share. They are started at first use, and
// again in a child of fork().
class Workers {
 public:
  explicit Workers(const WorkspaceOptions& options) : options_(options) {}
  ~Workers() { Abandon(); }
  Workers(const Workers&) = delete;
  Workers& operator=(const Workers&) = delete;

  // Runs `work(workspace)` without the GIL, one at a time. A callback of `work` may call Run again.
  template <class F>
  decltype(auto) Run(F&& work) {
    const std::shared_ptr<Shared> shared = Current();
    const nb::gil_scoped_release released;
    const std::lock_guard lock(shared->mutex);
    if (!shared->workspace) shared->workspace.emplace(options_);
    return work(*shared->workspace);
  }

  const WorkspaceOptions& options() const { return options_; }

 private:
  struct Shared {
    std::recursive_mutex mutex;
    std::optional<Workspace> workspace;
  };
  std::shared_ptr<Shared> Current();
  void Abandon();

  WorkspaceOptions options_;
  uint64_t forks_ = 0;
  std::shared_ptr<Shared> shared_;
};

// A model with what is needed to run it. Models, generations and conversations share it.
struct OpenedModel {
  OpenedModel(Model opened, const WorkspaceOptions& options)
      : model(std::move(opened)), workers(options) {}

  Model model;
  Workers workers;
  std::shared_ptr<const Tokenizer> tokenizer;  // null: `no_tokenizer` says why
  std::optional<Error> no_tokenizer;
  std::shared_ptr<const TokenTrie> trie;  // of the first constraint on, see ConstraintOf
  bool built_in = false;

  // Throws that error.
  const std::shared_ptr<const Tokenizer>& NeedTokenizer() const;
};

struct ModelObject {
  std::shared_ptr<OpenedModel> opened;
};

// The tokenizer that belongs to a model, or the vocabulary `vocab` if it is not empty.
void GiveTokenizer(OpenedModel& opened, const std::string& vocab);

struct TokenizerObject {
  std::shared_ptr<const Tokenizer> tokenizer;
};

// The logits after the last token are kept, because a text that goes on from the state needs them.
struct StateObject {
  explicit StateObject(State from) : state(std::move(from)) {}
  StateObject(State from, std::vector<float> after)
      : state(std::move(from)), logits(std::move(after)) {}

  State state;
  std::vector<float> logits;
  Busy busy;
};

struct SamplerObject {
  Sampler sampler;
  Busy busy;
};

// Compiled again in a child of fork(), where another thread's lock may never be released.
struct GrammarObject {
  std::function<std::shared_ptr<const Grammar>()> make;
  std::shared_ptr<const Grammar> grammar;
  uint64_t forks = 0;

  const std::shared_ptr<const Grammar>& Get();
};

// Of the arguments of these names: a Grammar or GBNF, a schema, a regular expression; null if all
// are None. Throws Error kBadInput.
std::shared_ptr<const Grammar> GrammarOf(nb::handle grammar, nb::handle json_schema,
                                         nb::handle regex);
// Empty without a grammar.
std::optional<Constraint> ConstraintOf(OpenedModel& opened, std::shared_ptr<const Grammar> grammar);

// Settings by the names of the program's options (`top_p` or `top-p`), as keyword arguments; the
// defaults are those of `linnet generate`, or for a chat of `linnet chat`. Throws Error kBadInput.
enum class SamplingFor : uint8_t { kText, kChat };
Sampler NewSampler(const nb::kwargs& settings, const OpenedModel* opened, SamplingFor use);

// Runs `body`, which is called with or without the GIL, with it.
template <class F>
decltype(auto) WithGil(F&& body) {
  const nb::gil_scoped_acquire acquired;
  return body();
}

// Runs Python's signal handlers; call it without the GIL. After true, an exception is set: return
// to Python by RaisePending.
bool Interrupted();
// Throws the exception that is set, if there is one. Call it with the GIL.
void RaisePending();

// Calls a Python function or does nothing if it is None. Without the GIL. False if it raised.
template <class... Args>
bool Call(const nb::object& function, const Args&... args) {
  if (!function.is_valid() || function.is_none()) return true;
  const nb::gil_scoped_acquire acquired;
  if (PyErr_Occurred() != nullptr) return false;
  try {
    function(args...);
    return true;
  } catch (nb::python_error& error) {
    error.restore();
    return false;
  }
}

// Thrown through the library to end its work after Interrupted() or Call said that an exception is
// set. RaisePending then raises that one.
struct Stop {};

// Runs `work` without the GIL, and raises the exception of a callback that ended it.
template <class F>
void RunFreely(F&& work) {
  bool stopped = false;
  {
    const nb::gil_scoped_release released;
    try {
      work();
    } catch (const Stop&) {
      stopped = true;
    }
  }
  if (stopped) RaisePending();
}

}  // namespace linnet::python

#endif  // LINNET_BINDINGS_PYTHON_BINDINGS_H_
