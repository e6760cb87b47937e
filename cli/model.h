// What commands that run a model share: opening it as the common options say, ids and texts.
#ifndef LINNET_CLI_MODEL_H_
#define LINNET_CLI_MODEL_H_

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "cli/cli.h"
#include "linnet/model.h"
#include "linnet/tokenizer.h"
#include "models/names.h"
#include "models/packed.h"

namespace linnet::cli {

// What MODEL may be, for --help.
inline constexpr char kModelHelp[] =
    "A checkpoint, a folder of shards, a run's folder, or `builtin`";
inline constexpr char kOptionalModelHelp[] =
    "A checkpoint, a folder of shards or a run's folder; the built-in model if not given";

// Whether MODEL is the built-in one: left out, or named so.
bool MeansBuiltIn(const std::string& model);

// MODEL, with the common options and --lora. Shows progress; throws what Model::Named throws, and
// CLI::ValidationError for a --quant that is none, and if the built-in model is meant and there is
// none.
Model OpenModel(const CommonOptions& common, const std::string& model);

// The same of a file that a command wrote, whatever its name.
Model OpenWritten(const CommonOptions& common, const std::filesystem::path& file);

// The vocabulary that a model file made of `in` gets: --vocab, or that of a GGUF file; empty for
// the one it holds in this form already, if any. Of a .pth, which has no place for one, it says so.
// Throws Error for a --vocab that does not fit.
std::vector<std::byte> VocabularyFor(const CommonOptions& common, const Checkpoint& in,
                                     const std::string& out);

// Says of a model file that it has no place for the vocabulary it would have.
void SayWithoutVocabulary(const std::string& out);

// --quant, for what packs a model by itself. Throws CLI::ValidationError.
Packing PackingOf(const CommonOptions& common);

// Adds --lora FILE[:SCALE], which OpenModel obeys.
void AddAdapterOption(CLI::App& command, CommonOptions& common);

Workspace NewWorkspace(const CommonOptions& common);

// --vocab, or the vocabulary that belongs to the model. Throws Error kBadInput.
std::shared_ptr<const Tokenizer> TokenizerFor(const CommonOptions& common, const Model& model);

// The user's folder as the environment names it; empty if it does not.
std::filesystem::path HomeFolder();

// That what `model` says of the text `text` is no number.
Error NoScore(const std::string& model, const std::string& text);

// "1, 2,3": ids with a comma or blanks between them. Throws Error kBadInput that begins with
// `source`, where the text is from, for anything else and for an id of `vocab` or more, which is
// `model`'s number of tokens if that is not empty.
std::vector<int32_t> ParseIds(std::string_view text, size_t vocab, const std::string& source,
                              const std::string& model = "");

}  // namespace linnet::cli

#endif  // LINNET_CLI_MODEL_H_
