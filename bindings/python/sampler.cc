// linnet.Sampler, and the settings of sampling by their names.
#include "linnet/sampler.h"

#include <fmt/format.h>
#include <nanobind/stl/string.h>

#include <string>

#include "bindings/python/arrays.h"
#include "bindings/python/bindings.h"
#include "cli/sampling.h"

namespace linnet::python {
namespace {

std::string TextOfNumber(nb::handle value) { return nb::cast<std::string>(nb::str(value)); }

// A mapping of ids to biases is one setting per id; a pair is "TAU,RATE"; None is the default.
void Set(cli::Sampling& sampling, const std::string& key, nb::handle value) {
  if (value.is_none()) return;
  if (PyDict_Check(value.ptr())) {
    for (const auto& [id, bias] : nb::borrow<nb::dict>(value)) {
      cli::SetSampling(sampling, key, TextOfNumber(id) + ":" + TextOfNumber(bias));
    }
  } else if (PyTuple_Check(value.ptr()) || PyList_Check(value.ptr())) {
    std::string text;
    for (const nb::handle part : nb::iter(value)) {
      text += (text.empty() ? "" : ",") + TextOfNumber(part);
    }
    cli::SetSampling(sampling, key, text);
  } else {
    cli::SetSampling(sampling, key, TextOfNumber(value));
  }
}

cli::Sampling SamplingOf(const nb::kwargs& settings, bool built_in, SamplingFor use) {
  cli::Sampling sampling =
      use == SamplingFor::kChat ? cli::ChatSampling(built_in) : cli::TextSampling(built_in);
  for (const auto& [key, value] : settings) Set(sampling, nb::cast<std::string>(key), value);
  cli::ResolveSampling(sampling);
  return sampling;
}

}  // namespace

Sampler NewSampler(const nb::kwargs& settings, const OpenedModel* opened, SamplingFor use) {
  cli::Sampling sampling = SamplingOf(settings, opened != nullptr && opened->built_in, use);
  if (opened == nullptr) return Sampler(sampling.options);
  const auto& tokenizer = opened->NeedTokenizer();
  cli::FitSampling(sampling, *tokenizer, opened->model.config().vocab);
  return Sampler(sampling.options, tokenizer);
}

void AddSampler(nb::module_& m) {
  nb::class_<SamplerObject>(
      m, "Sampler",
      "Picks tokens from logits: options, penalties so far and a random stream of its own.\n\n"
      "Settings, with the names and defaults of `linnet generate`: temperature, top_p, top_k, "
      "min_p,\n"
      "typical, mirostat (tau, rate), presence_penalty, frequency_penalty, penalty_decay, penalty\n"
      "(\"rwkv\", \"ai00\"), order (\"rwkv\", \"openai\"), logit_bias {id: bias}, seed. The same "
      "seed\n"
      "gives the same tokens on every machine; without one it is random. With a tokenizer, digits\n"
      "and blanks are not penalized. One call at a time may use a sampler.")
      .def(
          "__init__",
          [](SamplerObject* self, const TokenizerObject* tokenizer, const nb::kwargs& settings) {
            const cli::Sampling sampling = SamplingOf(settings, false, SamplingFor::kText);
            new (self) SamplerObject{
                Sampler(sampling.options, tokenizer != nullptr ? tokenizer->tokenizer : nullptr),
                {}};
          },
          nb::arg("tokenizer") = nb::none(), nb::arg("settings"))
      .def(
          "sample",
          [](SamplerObject& self, nb::handle logits) {
            nb::ndarray<const float, nb::ndim<1>, nb::c_contig, nb::device::cpu> array;
            if (!nb::try_cast(logits, array, true) || array.size() == 0) {
              throw Error(ErrorKind::kBadInput,
                          "logits are not an array of float32 of one dimension, expected [V]");
            }
            const Busy::Use use(self.busy, "the sampler");
            const nb::gil_scoped_release released;
            return self.sampler.Sample({array.data(), array.size()});
          },
          nb::arg("logits"),
          "The next token from float32 logits [V], which it counts for the penalties.\n"
          "Raises InputError if all are banned, NaN or -infinity.")
      .def(
          "accept", [](SamplerObject& self, int32_t token) { self.sampler.Accept(token); },
          nb::arg("token"), "Counts a token for the penalties that was not sampled here.")
      .def(
          "reset", [](SamplerObject& self) { self.sampler.Reset(); },
          "Clears the penalties, not the random stream.")
      .def(
          "clone",
          [](const SamplerObject& self) {
            return new SamplerObject{self.sampler, {}};
          },
          "A copy that goes on with the same tokens.")
      .def_prop_ro(
          "seed", [](const SamplerObject& self) { return self.sampler.options().seed; },
          "The seed in use, also if it was chosen at random.")
      .def("__repr__", [](const SamplerObject& self) {
        std::string text = "<linnet.Sampler";
        for (const std::string& line : cli::ShowSampling({self.sampler.options(), {}})) {
          const size_t blank = line.find(' ');
          text += " " + line.substr(0, blank) + "=" + line.substr(blank + 1);
        }
        return text + ">";
      });
}

}  // namespace linnet::python
