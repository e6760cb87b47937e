// The module linnet._linnet, and what its parts share.
#include <pthread.h>

#include <atomic>

#include "bindings/python/bindings.h"

namespace linnet::python {
namespace {

std::atomic<uint64_t> g_forks{0};

}  // namespace

uint64_t Forks() { return g_forks.load(std::memory_order_relaxed); }

Busy::Use::Use(Busy& busy, const char* what) : busy_(busy) {
  if (!busy.used_.exchange(true, std::memory_order_acquire)) return;
  throw Error(ErrorKind::kBadInput,
              std::string(what) + " is in use by another call, expected one at a time");
}

void Workers::Abandon() {
  // Its destructor would wait for threads that do not exist.
  if (shared_ != nullptr && forks_ != Forks()) new std::shared_ptr<Shared>(std::move(shared_));
  shared_.reset();
}

std::shared_ptr<Workers::Shared> Workers::Current() {
  if (shared_ == nullptr || forks_ != Forks()) {
    Abandon();
    shared_ = std::make_shared<Shared>();
    forks_ = Forks();
  }
  return shared_;
}

const std::shared_ptr<const Tokenizer>& OpenedModel::NeedTokenizer() const {
  if (tokenizer == nullptr) throw *no_tokenizer;
  return tokenizer;
}

bool Interrupted() {
  return WithGil([] { return PyErr_Occurred() != nullptr || PyErr_CheckSignals() != 0; });
}

void RaisePending() {
  if (PyErr_Occurred() != nullptr) throw nb::python_error();
}

}  // namespace linnet::python

NB_MODULE(_linnet, m) {
  using namespace linnet::python;
  pthread_atfork(nullptr, nullptr, [] { ++g_forks; });
  m.doc() = "The engine of linnet: models, states, tokenizers, samplers and trainers.";
  AddErrors(m);
  AddTokenizer(m);
  AddState(m);
  AddSampler(m);
  AddGrammar(m);
  AddModel(m);
  AddGeneration(m);
  AddChat(m);
  AddChatService(m);
  AddFiles(m);
  AddTrainer(m);
  AddCommand(m);
}
