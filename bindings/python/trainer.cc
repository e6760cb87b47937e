// linnet.Trainer, new models and adapters, and the rows and rates of a training.
#include "linnet/trainer.h"

#include <fmt/format.h>
#include <nanobind/stl/filesystem.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <regex>
#include <string>
#include <utility>
#include <vector>

#include "bindings/python/arrays.h"
#include "bindings/python/bindings.h"
#include "cli/cli.h"
#include "linnet/adapter.h"
#include "text/chat_template.h"
#include "train/data_builder.h"
#include "train/documents.h"
#include "train/samples.h"
#include "train/schedule.h"
#include "train/token_data.h"

namespace linnet::python {
namespace {

namespace fs = std::filesystem;
using Choice = std::function<bool(const std::string&)>;

// Selects names by a regular expression.
Choice ChoiceOf(const char* option, const std::optional<std::string>& regex) {
  if (!regex) return {};
  return [matches = cli::ParseRegex(option, *regex)](const std::string& name) {
    return std::regex_search(name, *matches);
  };
}

DType FormatNamed(const char* option, const std::string& name) {
  if (const auto format = ParseDType(name)) return *format;
  throw Error(ErrorKind::kBadInput, fmt::format("{}: '{}' is unknown", option, name));
}

struct TrainerObject {
  explicit TrainerObject(Trainer from) : trainer(std::move(from)), forks(Forks()) {}
  ~TrainerObject() {
    // Its threads do not exist in a child of fork().
    if (trainer && forks != Forks()) new Trainer(std::move(*trainer));
  }

  // For one call.
  Trainer& Enter() {
    if (forks != Forks()) {
      throw Error(ErrorKind::kBadInput, "the trainer was opened before fork()");
    }
    return *trainer;
  }

  std::optional<Trainer> trainer;
  uint64_t forks;
  Busy busy;
};

TrainerObject* OpenTrainer(const fs::path& model, const std::optional<fs::path>& adapter,
                           const std::string& precision, size_t threads, bool recompute,
                           size_t rows_per_pass, size_t chunk, size_t bptt, bool l2wrap,
                           double clip, double weight_decay, float dropout, uint64_t seed,
                           const std::optional<std::string>& learns, bool skip_spikes,
                           const std::optional<std::string>& quant) {
  TrainerOptions options;
  options.threads = threads;
  options.precision = FormatNamed("precision", precision);
  options.recompute = recompute;
  options.rows_per_pass = rows_per_pass;
  options.chunk = chunk;
  options.bptt = bptt;
  options.l2wrap = l2wrap;
  options.clip = clip;
  options.weight_decay = weight_decay;
  options.dropout = dropout;
  options.seed = seed;
  options.learns = ChoiceOf("learns", learns);
  options.skip_spikes = skip_spikes;
  if (adapter) options.adapter = *adapter;
  if (quant) options.quant = FormatNamed("quant", *quant);
  std::optional<Trainer> trainer;
  RunFreely([&] { trainer.emplace(Trainer::Open(model, options)); });
  return new TrainerObject(std::move(*trainer));
}

// A SampleRow, or at least two tokens.
SampleRow RowFrom(nb::handle from) {
  if (nb::isinstance<SampleRow>(from)) return nb::cast<SampleRow&>(from);
  return RowOf(Tokens(from).ids());
}

StepReport Step(TrainerObject& self, nb::handle from, double rate) {
  std::vector<SampleRow> rows;
  for (const nb::handle row : nb::iter(from)) rows.push_back(RowFrom(row));
  const Busy::Use use(self.busy, "the trainer");
  Trainer& trainer = self.Enter();
  const nb::gil_scoped_release released;
  return trainer.Step(rows, rate);
}

template <class F>
void Freely(TrainerObject& self, F&& work) {
  const Busy::Use use(self.busy, "the trainer");
  Trainer& trainer = self.Enter();
  const nb::gil_scoped_release released;
  work(trainer);
}

ModelObject AsModel(TrainerObject& self, const std::optional<fs::path>& vocab) {
  const Busy::Use use(self.busy, "the trainer");
  auto opened = std::make_shared<OpenedModel>(self.Enter().AsModel(), WorkspaceOptions{});
  GiveTokenizer(*opened, vocab ? vocab->string() : "");
  return {std::move(opened)};
}

void AddTrainerClass(nb::module_& m) {
  nb::class_<TrainerObject>(
      m, "Trainer",
      "Trains a model step by step with RWKV-LM's recipe: AdamW (0.9, 0.99, 1e-18) and its\n"
      "parameter groups. The caller supplies rows and rates. One call at a time may use it.")
      .def_static(
          "open", OpenTrainer, nb::arg("model"), nb::kw_only(), nb::arg("adapter") = nb::none(),
          nb::arg("precision") = "bf16", nb::arg("threads") = 0, nb::arg("recompute") = false,
          nb::arg("rows_per_pass") = 0, nb::arg("chunk") = 0, nb::arg("bptt") = 0,
          nb::arg("l2wrap") = true, nb::arg("clip") = 1.0, nb::arg("weight_decay") = 0.1,
          nb::arg("dropout") = 0.0f, nb::arg("seed") = 1, nb::arg("learns") = nb::none(),
          nb::arg("skip_spikes") = false, nb::arg("quant") = nb::none(),
          "Opens a checkpoint for training.\n\n"
          "adapter: a file of new_adapter or new_states, or saved by a trainer; it is trained, "
          "and\n"
          "the model stays as it is. precision: of products, \"bf16\" or \"f32\". recompute: run\n"
          "layers again for the gradient, to save memory. rows_per_pass: rows run together, 0 for\n"
          "all. chunk: tokens of a row run at once, 0 for all; bptt: so many chunks back. learns: "
          "a\n"
          "regular expression of the parameters to train. quant: the format of matrices that are\n"
          "not trained.\n\n"
          "Raises FileError, ModelError, InputError or OutOfMemoryError.")
      .def("step", Step, nb::arg("rows"), nb::arg("rate"),
           "Trains on all rows at once with this learning rate, and returns a StepReport.\n"
           "rows: Rows, or lists or arrays of at least two ids each.\n"
           "Raises InputError if the gradient is not finite or far above earlier ones; the values\n"
           "are unchanged.")
      .def(
          "save",
          [](TrainerObject& self, const fs::path& path) {
            Freely(self, [&](Trainer& trainer) { trainer.Save(path); });
          },
          nb::arg("path"), "Writes what restore needs to go on bit for bit, as safetensors.")
      .def(
          "restore",
          [](TrainerObject& self, const fs::path& path) {
            Freely(self, [&](Trainer& trainer) { trainer.Restore(path); });
          },
          nb::arg("path"), "Goes on from a file of save, with the same model and options.")
      .def(
          "save_model",
          [](TrainerObject& self, const fs::path& path, const std::string& type) {
            const DType format = FormatNamed("type", type);
            Freely(self, [&](Trainer& trainer) { trainer.SaveModel(path, format); });
          },
          nb::arg("path"), nb::arg("type") = "bf16",
          "Writes the whole model, .pth or .safetensors, in bf16, f16 or f32.")
      .def(
          "save_adapter",
          [](TrainerObject& self, const fs::path& path) {
            Freely(self, [&](Trainer& trainer) { trainer.SaveAdapter(path); });
          },
          nb::arg("path"),
          "Writes the trained adapter or states in f32, for Model.open(adapters=).")
      .def("model", AsModel, nb::kw_only(), nb::arg("vocab") = nb::none(),
           "The model with its current values. Every step changes it, so it must not run during "
           "one.")
      .def_prop_ro(
          "steps", [](TrainerObject& self) { return self.Enter().steps(); }, "Steps done.");
}

struct SamplesObject {
  SamplesObject(const fs::path& name, size_t ctx, const std::string& order, uint64_t seed,
                std::optional<size_t> vocab)
      : data(vocab ? std::make_unique<TokenData>(name, *vocab)
                   : std::make_unique<TokenData>(name)) {
    if (order == "documents") {
      source = NewPackedSamples(*data, ctx, seed);
    } else if (order == "stream") {
      source = NewMagicPrimeSamples(*data, ctx);
    } else {
      throw Error(ErrorKind::kBadInput,
                  fmt::format("order: '{}' is not documents or stream", order));
    }
  }

  std::unique_ptr<TokenData> data;
  std::unique_ptr<SampleSource> source;
};

nb::dict WriteData(const fs::path& name, nb::handle documents, const TokenizerObject& tokenizer,
                   const std::string& chat_template, bool shuffle, uint64_t seed, uint64_t epochs) {
  const ChatTemplate& form = ChatTemplate::Named(chat_template);
  DataBuilder builder(name, *tokenizer.tokenizer);
  const nb::object dumps = nb::module_::import_("json").attr("dumps");
  for (const nb::handle document : nb::iter(documents)) {
    if (PyUnicode_Check(document.ptr())) {
      Document one(1);
      one[0].owned = nb::cast<std::string>(document);
      builder.Add(one);
    } else if (PyDict_Check(document.ptr())) {
      builder.Add(DocumentOf(nb::cast<std::string>(dumps(document)), form));
    } else {
      DocumentReader reader(nb::cast<fs::path>(document), form);
      for (Document one; reader.Next(one);) builder.Add(one);
    }
  }
  nb::dict result;
  result["documents"] = builder.documents();
  result["tokens"] = builder.tokens();
  result["learnt"] = builder.learnt();
  RunFreely([&] { builder.Write({.shuffle = shuffle, .seed = seed, .epochs = epochs}); });
  return result;
}

void AddRows(nb::module_& m) {
  nb::class_<SampleRow>(m, "Row", "A training row: inputs, and the token to predict after each.")
      .def(
          "__init__",
          [](SampleRow* self, nb::handle inputs, nb::handle targets,
             const std::vector<uint32_t>& starts) {
            const Tokens ids(inputs);
            // Ignored targets are -1, so they are not Tokens.
            new (self) SampleRow{{ids.ids().begin(), ids.ids().end()},
                                 nb::cast<std::vector<int32_t>>(targets),
                                 starts};
          },
          nb::arg("inputs"), nb::arg("targets"), nb::arg("starts") = std::vector<uint32_t>{0},
          "targets: a list as long as inputs; -1 is ignored. starts: where the state is reset.")
      .def_ro("inputs", &SampleRow::inputs)
      .def_ro("targets", &SampleRow::targets)
      .def_ro("starts", &SampleRow::starts);
  nb::class_<SamplesObject>(
      m, "Samples",
      "The rows of tokenized data, by number; the same on every machine. order: \"documents\" "
      "packs\n"
      "whole documents into rows, \"stream\" is RWKV-LM's order. vocab: ids must be below it.")
      .def(nb::init<const fs::path&, size_t, const std::string&, uint64_t, std::optional<size_t>>(),
           nb::arg("name"), nb::arg("ctx"), nb::kw_only(), nb::arg("order") = "documents",
           nb::arg("seed") = 1, nb::arg("vocab") = nb::none())
      .def(
          "row",
          [](const SamplesObject& self, uint64_t index) {
            SampleRow row;
            self.source->Read(index, row);
            return row;
          },
          nb::arg("index"), "Row index % rows_per_epoch of epoch index / rows_per_epoch.")
      .def_prop_ro("rows_per_epoch",
                   [](const SamplesObject& self) { return self.source->rows_per_epoch(); })
      .def_prop_ro("tokens", [](const SamplesObject& self) { return self.data->tokens(); });
  nb::class_<StepReport>(m, "StepReport", "What a step did.")
      .def_ro("loss", &StepReport::loss,
              "Mean cross entropy per target, nats, before the update, without L2Wrap.")
      .def_ro("grad_norm", &StepReport::grad_norm, "Before clipping.")
      .def_ro("tokens", &StepReport::tokens, "Tokens with a target.")
      .def_ro("skipped", &StepReport::skipped, "By skip_spikes.")
      .def_ro("trouble", &StepReport::trouble, "Why it was skipped.")
      .def("__repr__", [](const StepReport& self) {
        return fmt::format("<linnet.StepReport loss={:.4f} grad_norm={:.4f} tokens={}>", self.loss,
                           self.grad_norm, self.tokens);
      });
  nb::class_<Schedule>(m, "Schedule",
                       "The learning rate of each step: RWKV-LM's cosine from first to last after\n"
                       "a warm-up.")
      .def(
          "__init__",
          [](Schedule* self, double first, double last, uint64_t warmup, uint64_t steps) {
            new (self) Schedule{first, last, warmup, steps};
          },
          nb::arg("first"), nb::arg("last"), nb::kw_only(), nb::arg("warmup") = 10,
          nb::arg("steps"))
      .def("rate", &Schedule::LearningRate, nb::arg("step"))
      .def_ro("steps", &Schedule::steps);
  m.def("write_data", WriteData, nb::arg("name"), nb::arg("documents"), nb::arg("tokenizer"),
        nb::kw_only(), nb::arg("template") = "world", nb::arg("shuffle") = true,
        nb::arg("seed") = 1, nb::arg("epochs") = 1,
        "Writes NAME.bin and NAME.idx, the format of RWKV-LM's trainers.\n\n"
        "documents: str, all learnt; dict as a line of a .jsonl (\"text\", \"messages\", or\n"
        "\"prompt\" and \"response\"), of which replies are learnt; or a path of such a file.\n"
        "Returns {\"documents\", \"tokens\", \"learnt\"}.");
}

Generation GenerationNamed(const std::string& name) {
  for (const auto g : {Generation::k4, Generation::k50, Generation::k51, Generation::k52,
                       Generation::k6, Generation::k7, Generation::k7a}) {
    if (name == Name(g)) return g;
  }
  throw Error(ErrorKind::kBadInput,
              fmt::format("generation: '{}' is not 4, 5.0, 5.1, 5.2, 6, 7 or 7a", name));
}

void AddNewFiles(nb::module_& m) {
  m.def(
      "_new_model",
      [](const fs::path& path, const std::string& generation, size_t layers, size_t width,
         size_t vocab, size_t head_size, size_t ffn, uint64_t seed) {
        const InitSizes sizes{.generation = GenerationNamed(generation),
                              .layers = layers,
                              .width = width,
                              .vocab = vocab,
                              .head_size = head_size,
                              .ffn = ffn};
        RunFreely([&] { WriteNewModel(sizes, seed, path); });
      },
      nb::arg("path"), nb::kw_only(), nb::arg("generation"), nb::arg("layers"), nb::arg("width"),
      nb::arg("vocab"), nb::arg("head_size"), nb::arg("ffn"), nb::arg("seed"));
  m.def(
      "_new_adapter",
      [](const fs::path& base, const fs::path& path, const std::string& kind, size_t rank,
         double alpha, uint64_t seed, const std::optional<std::string>& targets,
         const nb::object& progress) {
        NewAdapterOptions options;
        const auto parsed = ParseAdapterKind(kind);
        if (!parsed) {
          throw Error(ErrorKind::kBadInput,
                      fmt::format("kind: '{}' is not lora, pissa or disha", kind));
        }
        options.kind = *parsed;
        options.rank = rank;
        options.alpha = alpha;
        options.seed = seed;
        options.targets = ChoiceOf("targets", targets);
        options.progress = [&](double done) {
          if (!Call(progress, done) || Interrupted()) throw Stop();
        };
        RunFreely([&] { WriteNewAdapter(base, options, path); });
      },
      nb::arg("base"), nb::arg("path"), nb::kw_only(), nb::arg("kind"), nb::arg("rank"),
      nb::arg("alpha"), nb::arg("seed"), nb::arg("targets").none(), nb::arg("progress").none());
  m.def(
      "_new_states",
      [](const fs::path& base, const fs::path& path) {
        RunFreely([&] { WriteNewStates(base, path); });
      },
      nb::arg("base"), nb::arg("path"));
}

}  // namespace

void AddTrainer(nb::module_& m) {
  AddRows(m);
  AddTrainerClass(m);
  AddNewFiles(m);
}

}  // namespace linnet::python
