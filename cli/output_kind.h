// The kinds of files that commands write, recognized by content.
#ifndef LINNET_CLI_OUTPUT_KIND_H_
#define LINNET_CLI_OUTPUT_KIND_H_

#include <filesystem>
#include <functional>
#include <string>

namespace linnet::cli {

struct OutputKind {
  const char* name;  // for messages: "a model"
  // Whether a non-empty regular file is of this kind, by its content, whatever its name. May throw
  // std::exception, which means no.
  std::function<bool(const std::filesystem::path&)> matches;
};

OutputKind ModelOutput();       // any checkpoint of a model, in any container
OutputKind AdapterOutput();     // LoRA and similar adapters
OutputKind StateOutput();       // of --save-state and /save
OutputKind TunedStateOutput();  // time_state
OutputKind LogitsOutput();
OutputKind GradientOutput();
OutputKind VocabularyOutput();  // in the World format
OutputKind TokenOutput();       // a .bin, .idx or .mask of tokenized data, or its .vocab.json
OutputKind PlotOutput();
OutputKind EvalPageOutput();
OutputKind CurvePageOutput();
OutputKind SamplesOutput();      // of eval --log-samples
OutputKind JournalOutput();      // of eval --journal
OutputKind NpyOutput();          // an array of NumPy
OutputKind VectorLinesOutput();  // JSON lines of embed
OutputKind RunOptionsOutput();   // run.json
OutputKind MetricsOutput();      // metrics.jsonl

// What a file contains, for messages: one of the names above, "text" or "something else".
std::string ContentOf(const std::filesystem::path& path);

}  // namespace linnet::cli

#endif  // LINNET_CLI_OUTPUT_KIND_H_
