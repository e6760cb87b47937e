// Shared by commands that run a model: opening it with the common options, ids and texts.
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

// The forms of MODEL, for --help.
inline constexpr char kModelHelp[] =
    "A checkpoint, a folder of shards, a run's folder, a pulled model's name, or `builtin`";
inline constexpr char kOptionalModelHelp[] =
    "A checkpoint, a folder of shards, a run's folder or a pulled model's name; default: the "
    "built-in model";

// Whether MODEL is the built-in one: omitted or `builtin`.
bool MeansBuiltIn(const std::string& model);

// Opens MODEL with the common options and --lora. Shows progress. Throws what Model::Named throws,
// and CLI::ValidationError for an invalid --quant, or if the built-in model is missing.
Model OpenModel(const CommonOptions& common, const std::string& model);

// The same for a file that a command wrote, whatever its name.
Model OpenWritten(const CommonOptions& common, const std::filesystem::path& file);

// The vocabulary to store in a model file made from `in`: --vocab, or that of a GGUF file; empty if
// the file's own can be copied, or if there is none. Prints a message for .pth, which cannot store
// one. Throws Error for a --vocab that does not fit.
std::vector<std::byte> VocabularyFor(const CommonOptions& common, const Checkpoint& in,
                                     const std::string& out);

// Prints that the format of a model file cannot store its vocabulary.
void SayWithoutVocabulary(const std::string& out);

// Parses --quant, for commands that pack a model themselves. Throws CLI::ValidationError.
Packing PackingOf(const CommonOptions& common);

// Adds --lora FILE[:SCALE], which OpenModel applies.
void AddAdapterOption(CLI::App& command, CommonOptions& common);
// --rows and --row-limit, of models with attention.
void AddRowOptions(CLI::App& command, CommonOptions& common);

Workspace NewWorkspace(const CommonOptions& common);

// --vocab, or the vocabulary that belongs to the model. Throws Error kBadInput.
std::shared_ptr<const Tokenizer> TokenizerFor(const CommonOptions& common, const Model& model);

// Model::Identity of what OpenModel would open, with --exact and the tokenizer that belongs to it,
// without loading it. Throws what that throws for the file and the options.
std::string IdentityFor(const CommonOptions& common, const Checkpoint& model);

// The user's home folder from the environment; empty if not set.
std::filesystem::path HomeFolder();

// The error for a score of the text `text` that is not finite.
Error NoScore(const std::string& model, const std::string& text);

// Parses "1, 2,3": ids separated by commas or blanks. Throws Error kBadInput for anything else and
// for an id of `vocab` or more. The message starts with `source`, the origin of the text, and names
// `model`, unless that is empty, as the owner of the vocabulary.
std::vector<int32_t> ParseIds(std::string_view text, size_t vocab, const std::string& source,
                              const std::string& model = "");

}  // namespace linnet::cli

#endif  // LINNET_CLI_MODEL_H_
