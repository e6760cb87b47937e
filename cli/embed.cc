// linnet embed: texts as vectors.
#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <iterator>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>
#include <vector>

#include "base/atomic_file.h"
#include "cli/embedding.h"
#include "cli/model.h"
#include "cli/output_file.h"
#include "cli/progress.h"
#include "cli/texts.h"
#include "linnet/error.h"
#include "models/builtin_model.h"
#include "text/json_line.h"

namespace linnet::cli {
namespace {

using nlohmann::ordered_json;

struct EmbedFlags {
  CommonOptions common;
  EmbeddingFlags embedding;
  std::vector<std::string> names;  // [MODEL] IN... OUT
  std::string field;
  bool whole = false;
};

struct EmbedInput {
  std::string file;
  size_t line;  // 0: the whole file
  std::string text;
};

bool IsJsonLines(const EmbedFlags& o, const std::string& file) {
  return !o.whole && (!o.field.empty() || file.ends_with(".jsonl"));
}

std::string FieldOf(const std::string& line, const std::string& field) {
  const nlohmann::json row = ParseJsonLine(line);
  const auto value = row.find(field);
  if (value == row.end() || !value->is_string()) {
    throw Error(ErrorKind::kBadInput,
                fmt::format("has no text '{}'; give the name of the field that has it", field),
                Remedy::kNone);
  }
  return value->get<std::string>();
}

// Lines without text are left out; `blank` counts them.
void ReadLines(const EmbedFlags& o, const std::string& file, std::vector<EmbedInput>& inputs,
               size_t& blank) {
  ByteSource source(file);
  const bool json = IsJsonLines(o, file);
  std::string line;
  for (size_t number = 1; source.ReadLine(line); ++number) {
    if (!json && line.ends_with('\r')) line.pop_back();
    std::string text = std::move(line);
    if (text.find_first_not_of(" \t\r") == std::string::npos) {
      ++blank;
      continue;
    }
    try {
      if (json) text = FieldOf(text, o.field.empty() ? "text" : o.field);
      if (text.empty()) throw Error(ErrorKind::kBadInput, "its text is empty");
    } catch (const Error& error) {
      throw Error(error.kind(), fmt::format("{}:{}: {}", source.name(), number, error.what()));
    }
    inputs.push_back({source.name(), number, std::move(text)});
  }
}

// Writes float32 in the order of rows, [texts, width], as numpy.save does.
class NpyWriter {
 public:
  NpyWriter(const std::string& path, size_t rows, size_t width) : file_(path) {
    std::string header =
        fmt::format("{{'descr': '<f4', 'fortran_order': False, 'shape': ({}, {}), }}", rows, width);
    constexpr size_t kFront = 10, kAlignment = 64;
    header.append(kAlignment - 1 - (kFront + header.size()) % kAlignment, ' ');
    header += '\n';
    std::string front("\x93NUMPY\x01\x00", 8);
    front += static_cast<char>(header.size() & 0xff);
    front += static_cast<char>(header.size() >> 8);
    file_.Write(front + header);
  }
  void Add(std::span<const float> vector) { file_.Write(std::as_bytes(vector)); }
  void Finish() { file_.Commit(); }

 private:
  AtomicFile file_;
};

std::string VectorLine(const EmbedInput& input, std::span<const float> vector) {
  ordered_json row = {{"file", input.file}};
  if (input.line > 0) {
    row["line"] = input.line;
    row["text"] = input.text;
  }
  std::string line = row.dump(-1, ' ', false, ordered_json::error_handler_t::replace);
  line.pop_back();
  line += ",\"embedding\":[";
  for (size_t i = 0; i < vector.size(); ++i) {
    fmt::format_to(std::back_inserter(line), "{}{}", i == 0 ? "" : ",", vector[i]);
  }
  return line + "]}\n";
}

// The vectors of all texts, in order, some at a time.
template <class F>
size_t EmbedAll(EmbeddingModel& model, const EmbedFlags& o, const std::vector<EmbedInput>& inputs,
                const F& use) {
  constexpr size_t kTexts = 1024;
  uint64_t bytes = 0, done_bytes = 0;
  for (const EmbedInput& input : inputs) bytes += input.text.size();
  Progress progress("embedding", bytes, /*time_left=*/true);
  size_t tokens = 0;
  for (size_t begin = 0; begin < inputs.size(); begin += kTexts) {
    const size_t count = std::min(kTexts, inputs.size() - begin);
    std::vector<std::vector<int32_t>> texts(count);
    uint64_t part = 0;
    for (size_t i = 0; i < count; ++i) {
      texts[i] = model.embedder().TokensOf(inputs[begin + i].text);
      tokens += texts[i].size();
      part += inputs[begin + i].text.size();
    }
    std::vector<std::vector<float>> vectors(count);
    EmbedTexts(model.embedder(), model.workspace(), texts,
               {.rows = o.embedding.rows,
                .progress =
                    [&](size_t done, size_t total) {
                      progress.Update(done_bytes + part * done / std::max<size_t>(total, 1));
                      InterruptScope::Check();
                    },
                .found = [&](size_t i, std::vector<float> v) { vectors[i] = std::move(v); }});
    done_bytes += part;
    for (size_t i = 0; i < count; ++i) use(inputs[begin + i], vectors[i]);
  }
  return tokens;
}

void RunEmbed(EmbedFlags& o) {
  std::vector<std::string>& names = o.names;
  const std::string out = names.back();
  names.pop_back();
  const bool npy = out.ends_with(".npy"), print = out == "-";
  if (!npy && !print && !out.ends_with(".jsonl")) {
    throw CLI::ValidationError(
        "OUT", fmt::format("'{}' ends in neither .npy nor .jsonl; -: JSON lines on stdout", out));
  }
  std::string name;
  if (!names.empty() && names[0] != "-" && IsModelName(names[0])) {
    name = names[0];
    names.erase(names.begin());
  }
  if (names.empty()) throw CLI::ValidationError("IN", "is missing: give texts; -: stdin");
  for (const std::string& file : names) {
    CheckText(file);
    AddInput(o.common, file);
  }
  if (!name.empty() && !MeansBuiltIn(name)) AddInput(o.common, name);
  if (!print) CheckOutput(o.common, {out, npy ? NpyOutput() : VectorLinesOutput()});

  EmbeddingModel model(o.common, o.embedding, name);
  std::vector<EmbedInput> inputs;
  size_t blank = 0;
  for (const std::string& file : names) {
    if (o.whole) {
      inputs.push_back({file, 0, ReadText(file)});
    } else {
      ReadLines(o, file, inputs, blank);
    }
  }
  if (inputs.empty()) throw Error(ErrorKind::kBadInput, names[0] + ": has no text");
  if (blank > 0) Say(fmt::format("{} lines without text were left out\n", blank));

  const InterruptScope interrupts;
  const size_t width = model.embedder().width();
  size_t tokens = 0;
  if (npy) {
    NpyWriter writer(out, inputs.size(), width);
    tokens = EmbedAll(model, o, inputs, [&](const EmbedInput&, const std::vector<float>& vector) {
      writer.Add(vector);
    });
    writer.Finish();
  } else if (print) {
    EmbedAll(model, o, inputs, [&](const EmbedInput& input, const std::vector<float>& vector) {
      Print(VectorLine(input, vector));
    });
    return;
  } else {
    AtomicFile file(out);
    tokens =
        EmbedAll(model, o, inputs, [&](const EmbedInput& input, const std::vector<float>& vector) {
          file.Write(VectorLine(input, vector));
        });
    file.Commit();
  }
  if (o.common.json) {
    Print(ordered_json{{"texts", inputs.size()},
                       {"tokens", tokens},
                       {"width", width},
                       {"pooling", Name(model.embedder().pooling())}}
              .dump() +
          "\n");
  } else {
    Say(fmt::format("{}: {} vectors of {} values, pooling {}\n", out, inputs.size(), width,
                    Name(model.embedder().pooling())));
  }
}

}  // namespace

void AddEmbed(CLI::App& app) {
  const auto o = std::make_shared<EmbedFlags>();
  CLI::App* command =
      AddCommand(app, "embed", "Make vectors of texts",
                 "linnet embed model.pth lines.txt vectors.npy\n"
                 "  linnet embed model.pth rows.jsonl vectors.jsonl --field question\n"
                 "  echo 'A cat sat on the mat.' | linnet embed - -\n\n"
                 "A text is a line, a row of a .jsonl file, or with --whole a file. Vectors have "
                 "the length 1,\n"
                 "so that their product is their cosine; they are those of /v1/embeddings.",
                 o->common, [o] { RunEmbed(*o); });
  CLI::Option* names =
      command
          ->add_option("MODEL_IN_OUT", o->names,
                       "A model, by default the built-in one; texts, -: stdin; and the output, "
                       ".npy or .jsonl, -: JSON lines on stdout")
          ->required()
          ->expected(2, -1);
  AddOverwrite(*command, o->common);
  o->common.stems.push_back(names);  // the last is an output; the inputs are told one by one
  command->add_option("--field", o->field,
                      "The field of JSON lines that has the text; default: text");
  command->add_flag("--whole", o->whole, "Each file is one text");
  AddEmbeddingOptions(*command, o->embedding);
  AddAdapterOption(*command, o->common);
  AddRowOptions(*command, o->common);
}

}  // namespace linnet::cli
