// linnet.Model.
#include "linnet/model.h"

#include <fmt/format.h>
#include <nanobind/stl/filesystem.h>
#include <nanobind/stl/map.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include <algorithm>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "bindings/python/arrays.h"
#include "bindings/python/bindings.h"
#include "cli/model.h"
#include "engine/own_vocabulary.h"
#include "eval/perplexity.h"

namespace linnet::python {
namespace {

// How many tokens of a long text run between two looks at Ctrl-C.
constexpr size_t kTokensPerLook = 1024;

DType FormatNamed(const std::string& name) {
  if (const auto format = ParseDType(name)) return *format;
  throw Error(ErrorKind::kBadInput,
              fmt::format("quant: '{}' is not f32, f16, bf16, int8 or nf4", name));
}

// A path, or a pair of path and scale; or a sequence of these.
void AddAdapters(nb::handle from, std::vector<AdapterFile>& adapters) {
  if (from.is_none()) return;
  if (PyTuple_Check(from.ptr()) && nb::len(from) == 2 && PyFloat_Check(from[1].ptr())) {
    adapters.push_back({nb::cast<std::filesystem::path>(from[0]), nb::cast<float>(from[1])});
  } else if (PyList_Check(from.ptr()) || PyTuple_Check(from.ptr())) {
    for (const nb::handle adapter : nb::iter(from)) AddAdapters(adapter, adapters);
  } else {
    adapters.push_back({nb::cast<std::filesystem::path>(from), {}});
  }
}

ModelObject Open(const std::optional<std::filesystem::path>& path,
                 const std::optional<std::string>& quant, std::optional<size_t> quant_layers,
                 const nb::object& adapters, const std::optional<std::filesystem::path>& vocab,
                 size_t threads, bool exact, std::optional<float> ln_x_eps, bool force,
                 const nb::object& progress) {
  OpenOptions options;
  options.ln_x_eps = ln_x_eps;
  if (quant) options.quant = FormatNamed(*quant);
  if (quant_layers) options.quant_layers = *quant_layers;
  AddAdapters(adapters, options.adapters);
  options.force = force;
  options.progress = [&](double done) {
    if (!Call(progress, done) || Interrupted()) throw Stop();
  };
  const std::string name = path ? path->string() : std::string(kBuiltInName);
  std::shared_ptr<OpenedModel> opened;
  RunFreely([&] {
    opened = std::make_shared<OpenedModel>(Model::Named(name, options),
                                           WorkspaceOptions{.threads = threads, .exact = exact});
    opened->built_in = name == kBuiltInName;
    GiveTokenizer(*opened, vocab ? vocab->string() : "");
  });
  return {std::move(opened)};
}

// Runs one text. A long one runs in parts, so that Ctrl-C ends it; the state is then as before.
void RunOne(OpenedModel& opened, std::span<const int32_t> tokens, State& state,
            std::span<float> logits, bool all) {
  const size_t vocab = opened.model.config().vocab;
  const auto part_of = [&](size_t begin, size_t count) {
    const bool last = begin + count == tokens.size();
    return Turn{.tokens = tokens.subspan(begin, count),
                .state = &state,
                .logits = all    ? logits.subspan(begin * vocab, count * vocab)
                          : last ? logits
                                 : std::span<float>()};
  };
  if (tokens.size() <= kTokensPerLook) {
    opened.workers.Run([&](Workspace& w) { opened.model.Forward(part_of(0, tokens.size()), w); });
    return;
  }
  for (const int32_t id : tokens) {
    if (id < 0 || static_cast<size_t>(id) >= vocab) {
      throw Error(
          ErrorKind::kBadInput,
          fmt::format("token {} is outside the vocabulary, expected 0 to {}", id, vocab - 1));
    }
  }
  State before = state.Clone();
  const bool stopped = opened.workers.Run([&](Workspace& w) {
    for (size_t at = 0; at < tokens.size(); at += kTokensPerLook) {
      if (at > 0 && Interrupted()) return true;
      opened.model.Forward(part_of(at, std::min(kTokensPerLook, tokens.size() - at)), w);
    }
    return false;
  });
  if (!stopped) return;
  state = std::move(before);
  RaisePending();
}

nb::object ForwardOne(OpenedModel& opened, nb::handle from, StateObject& state, bool all,
                      nb::handle out) {
  const Tokens tokens(from);
  const size_t count = tokens.ids().size(), vocab = opened.model.config().vocab;
  const Busy::Use use(state.busy, "the state");
  state.logits.clear();
  if (!out.is_none()) {
    RunOne(opened, tokens.ids(), state.state, OutputOf(out, (all ? count : 1) * vocab), all);
    return nb::borrow(out);
  }
  NewArray logits = all ? NewArray({count, vocab}) : NewArray({vocab});
  RunOne(opened, tokens.ids(), state.state, logits.values(), all);
  return logits.Release();
}

nb::object ForwardMany(OpenedModel& opened, nb::handle from, nb::handle from_states, bool all,
                       nb::handle out) {
  std::vector<std::unique_ptr<Tokens>> texts;
  for (const nb::handle text : nb::iter(from)) texts.push_back(std::make_unique<Tokens>(text));
  std::vector<StateObject*> states;
  std::vector<std::unique_ptr<Busy::Use>> uses;
  std::vector<State> own;
  own.reserve(texts.size());
  if (!from_states.is_none()) {
    for (const nb::handle state : nb::iter(from_states)) {
      if (!nb::isinstance<StateObject>(state)) {
        throw Error(ErrorKind::kBadInput, "many texts need a list of as many states");
      }
      states.push_back(&nb::cast<StateObject&>(state));
      uses.push_back(std::make_unique<Busy::Use>(states.back()->busy, "a state of this pass"));
      states.back()->logits.clear();
    }
    if (states.size() != texts.size()) {
      throw Error(ErrorKind::kBadInput, fmt::format("{} texts but {} states, expected one for each",
                                                    texts.size(), states.size()));
    }
  }
  const size_t vocab = opened.model.config().vocab;
  size_t rows = 0;
  for (const auto& text : texts) rows += all ? text->ids().size() : 1;
  NewArray logits({rows, vocab});
  const std::span<float> values = out.is_none() ? logits.values() : OutputOf(out, rows * vocab);
  std::vector<Turn> turns;
  turns.reserve(texts.size());
  size_t row = 0;
  for (size_t i = 0; i < texts.size(); ++i) {
    const std::span<const int32_t> ids = texts[i]->ids();
    const size_t count = all ? ids.size() : 1;
    if (from_states.is_none()) own.push_back(opened.model.NewState());
    turns.push_back({.tokens = ids,
                     .state = from_states.is_none() ? &own.back() : &states[i]->state,
                     .logits = values.subspan(row * vocab, count * vocab)});
    row += count;
  }
  opened.workers.Run([&](Workspace& w) { opened.model.Forward(turns, w); });
  return out.is_none() ? logits.Release() : nb::borrow(out);
}

bool IsSequence(nb::handle object) {
  return PyList_Check(object.ptr()) || PyTuple_Check(object.ptr());
}

// Many texts are a sequence of sequences or of arrays, not of numbers.
bool IsMany(nb::handle tokens, nb::handle states) {
  if (IsSequence(states)) return true;
  if (!IsSequence(tokens) || nb::len(tokens) == 0) return false;
  const nb::object first = tokens[0];
  return IsSequence(first) || (PyIndex_Check(first.ptr()) == 0) ||
         (nb::hasattr(first, "ndim") && nb::cast<size_t>(first.attr("ndim")) > 0);
}

nb::object Forward(const ModelObject& self, nb::handle tokens, nb::handle state, bool all_logits,
                   nb::handle out) {
  OpenedModel& opened = *self.opened;
  if (IsMany(tokens, state)) return ForwardMany(opened, tokens, state, all_logits, out);
  if (!state.is_none()) {
    if (!nb::isinstance<StateObject>(state)) {
      throw Error(ErrorKind::kBadInput, fmt::format("state is a {}, expected a linnet.State",
                                                    nb::inst_name(state).c_str()));
    }
    return ForwardOne(opened, tokens, nb::cast<StateObject&>(state), all_logits, out);
  }
  StateObject own(opened.model.NewState());
  return ForwardOne(opened, tokens, own, all_logits, out);
}

nb::dict Perplexity(const ModelObject& self, const std::string& text, size_t chunk,
                    const StateObject* start, const nb::object& progress) {
  OpenedModel& opened = *self.opened;
  const auto tokenizer = opened.NeedTokenizer();
  PerplexityOptions options;
  options.chunk = chunk;
  options.start = start != nullptr ? &start->state : nullptr;
  options.progress = [&](size_t done, size_t total) {
    if (!Call(progress, done, total) || Interrupted()) throw Stop();
  };
  TextScore score;
  bool stopped = false;
  opened.workers.Run([&](Workspace& w) {
    try {
      score = ScoreText(opened.model, *tokenizer, w, text, options);
    } catch (const Stop&) {
      stopped = true;
    }
  });
  if (stopped) RaisePending();
  if (score.tokens == 0) throw Error(ErrorKind::kBadInput, "the text holds no token to score");
  nb::dict result;
  result["bits_per_byte"] = score.bits_per_byte();
  result["nats_per_token"] = score.nats_per_token();
  result["perplexity"] = score.perplexity();
  result["tokens"] = score.tokens;
  result["bytes"] = score.bytes;
  return result;
}

std::string Identity(const ModelObject& self) {
  OpenedModel& opened = *self.opened;
  IdentityOptions options;
  if (opened.tokenizer != nullptr) options.tokenizer = opened.tokenizer->Digest();
  return opened.workers.Run([&](Workspace& w) { return opened.model.Identity(w, options); });
}

template <auto kMember>
auto ConfigMember() {
  return [](const ModelObject& self) { return self.opened->model.config().*kMember; };
}

}  // namespace

void GiveTokenizer(OpenedModel& opened, const std::string& vocab) {
  if (!vocab.empty()) {
    opened.tokenizer = LoadTokenizer(vocab, opened.model.config().vocab);
    return;
  }
  try {
    opened.tokenizer = TokenizerOf(opened.model, cli::HomeFolder());
  } catch (const Error& error) {
    opened.no_tokenizer = error;
  }
}

void AddModel(nb::module_& m) {
  m.def("has_builtin_model", &Model::HasBuiltIn, "Whether this build contains the small model.");
  nb::class_<ModelObject> model(
      m, "Model",
      "RWKV weights that any number of threads may use. Passes of one model run one after "
      "another,\n"
      "each on all of its threads, without the GIL; to run texts together, give many to forward.");
  model
      .def_static(
          "open", Open, nb::arg("path") = nb::none(), nb::kw_only(), nb::arg("quant") = nb::none(),
          nb::arg("quant_layers") = nb::none(), nb::arg("adapters") = nb::none(),
          nb::arg("vocab") = nb::none(), nb::arg("threads") = 0, nb::arg("exact") = false,
          nb::arg("ln_x_eps") = nb::none(), nb::arg("force") = false,
          nb::arg("progress") = nb::none(),
          "Opens any checkpoint linnet reads: .pth, .safetensors, .gguf, rwkv.cpp's .bin, a "
          "folder\n"
          "of these or of a training run; \"builtin\" or None is the small model in the "
          "package.\n\n"
          "quant: \"f32\", \"f16\", \"bf16\", \"int8\" or \"nf4\", the format of the matrices of "
          "the\n"
          "first quant_layers layers and the head, instead of the file's own.\n"
          "adapters: a path, a pair (path, scale), or a list of these.\n"
          "vocab: a vocabulary file, instead of the model's own.\n"
          "threads: 0 is the cores this process may use. exact: f32 activations everywhere.\n"
          "force: open it even if it does not fit into the available memory.\n"
          "progress: called with the fraction done.\n\n"
          "Raises FileError, ModelError, InputError or OutOfMemoryError.")
      .def(
          "new_state",
          [](const ModelObject& self) { return new StateObject(self.opened->model.NewState()); },
          "The state at the start of a sequence: zeros, or an adapter's tuned state.")
      .def("forward", Forward, nb::arg("tokens"), nb::arg("state") = nb::none(), nb::kw_only(),
           nb::arg("all_logits") = false, nb::arg("out") = nb::none(),
           "Runs tokens, and moves the state past them; without a state they start a sequence.\n"
           "Returns the last token's float32 logits [V], or with all_logits those of all, [T, "
           "V].\n\n"
           "Many texts run together, each with its own state: forward([[1, 2], [3]], [a, b])\n"
           "returns [B, V], with all_logits all rows one text after another. A text's logits do "
           "not\n"
           "depend on the others, nor on how it is cut into calls.\n\n"
           "tokens: int, a sequence of int, or an array of integers of one dimension.\n"
           "out: an array of float32 to write to and return, instead of a new one.\n\n"
           "Raises InputError, before anything changes, for an id outside the vocabulary or a "
           "state\n"
           "of another model. Ctrl-C ends a long text, and the state is as before.")
      .def("perplexity", Perplexity, nb::arg("text"), nb::kw_only(), nb::arg("chunk") = 0,
           nb::arg("state") = nb::none(), nb::arg("progress") = nb::none(),
           "How well the model predicts a text: {\"bits_per_byte\", \"nats_per_token\",\n"
           "\"perplexity\", \"tokens\", \"bytes\"}. chunk: reset the state every so many tokens.")
      .def("identity", Identity,
           "The execution identity, 64 hex digits: if two are equal, the same texts give the same\n"
           "bits. The first call reads the whole file.")
      .def("__repr__",
           [](const ModelObject& self) {
             const Config& c = self.opened->model.config();
             return fmt::format("<linnet.Model {}: RWKV-{}, {} layers of {}>",
                                self.opened->model.path().string(), Name(c.generation), c.layers,
                                c.width);
           })
      .def_prop_ro(
          "tokenizer",
          [](const ModelObject& self) { return TokenizerObject{self.opened->NeedTokenizer()}; },
          "The model's tokenizer. Raises InputError if its vocabulary was not found.")
      .def_prop_ro(
          "generation",
          [](const ModelObject& self) {
            return std::string(Name(self.opened->model.config().generation));
          },
          "\"4\", \"5.0\", \"5.1\", \"5.2\", \"6\", \"7\" or \"7a\".")
      .def_prop_ro("layers", ConfigMember<&Config::layers>())
      .def_prop_ro("width", ConfigMember<&Config::width>(), "n_embd, C.")
      .def_prop_ro("heads", ConfigMember<&Config::heads>())
      .def_prop_ro("head_size", ConfigMember<&Config::head_size>())
      .def_prop_ro("ffn", ConfigMember<&Config::ffn>())
      .def_prop_ro("vocab", ConfigMember<&Config::vocab>(), "The number of logits, V.")
      .def_prop_ro("ranks", ConfigMember<&Config::ranks>(), "Inner sizes of low-rank matrices.")
      .def_prop_ro("path", [](const ModelObject& self) { return self.opened->model.path(); })
      .def_prop_ro(
          "hash", [](const ModelObject& self) { return self.opened->model.hash(); },
          "Of generation, shapes and a sample of each tensor.")
      .def_prop_ro(
          "matrix_bytes",
          [](const ModelObject& self) { return self.opened->model.cost().matrix_bytes; },
          "Bytes of all matrices as stored; decoding one token reads this much.")
      .def_prop_ro(
          "threads",
          [](const ModelObject& self) {
            return self.opened->workers.Run([](Workspace& w) { return w.threads(); });
          },
          "The threads that passes use.");
  AddGenerate(model);
  AddChatTo(model);
}

}  // namespace linnet::python
