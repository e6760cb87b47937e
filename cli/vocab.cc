// linnet vocab train: builds a vocabulary from texts.
#include <fmt/format.h>

#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "base/atomic_file.h"
#include "cli/cli.h"
#include "cli/documents.h"
#include "cli/output_file.h"
#include "cli/progress.h"
#include "linnet/error.h"
#include "linnet/tokenizer.h"
#include "text/tokenizers.h"
#include "text/vocabulary_file.h"
#include "train/encode_all.h"
#include "train/vocabulary_trainer.h"

namespace linnet::cli {
namespace {

struct VocabFlags {
  CommonOptions common;
  std::vector<std::string> inputs;
  size_t size = 0;
  std::string chat = "world", out;
};

void RunTrain(const VocabFlags& o) {
  const auto [least, most] = VocabularyTrainer::Sizes();
  if (o.size < least || o.size > most) {
    throw CLI::ValidationError(
        "--size", fmt::format("{} tokens, expected {} to {}: all bytes, and further tokens", o.size,
                              least, most));
  }
  CheckOutput(o.common, {o.out, VocabularyOutput()});
  const InterruptScope interrupt;
  const DocumentInputs inputs(o.inputs, o.chat);
  VocabularyTrainer trainer;
  uint64_t read = 0;
  inputs.ForEach("reading", [&](const Document& document) {
    for (const DocumentPart& part : document) {
      read += part.text().size();
      ForBlocks(part, [&](std::string_view block) {
        InterruptScope::Check();
        trainer.Add(block);
      });
    }
  });
  if (read == 0) {
    throw Error(ErrorKind::kBadInput,
                fmt::format("{}: no vocabulary can be chosen, no input holds text", o.inputs[0]));
  }
  std::vector<VocabularyEntry> entries;
  {
    Progress progress("choosing", 1000);
    entries = trainer.Train(o.size, [&](size_t done, size_t all) {
      InterruptScope::Check();
      progress.Update(done * 1000 / all);
    });
  }
  const auto tokenizer = NewWorldTokenizer(entries);
  uint64_t tokens = 0, bytes = 0, used = 0;
  std::vector<bool> seen(tokenizer->size());
  inputs.ForEach("measuring", [&](const Document& document) {
    for (const DocumentPart& part : document) {
      EncodeAll(*tokenizer, part, [&](const std::vector<int32_t>& ids) {
        InterruptScope::Check();
        tokens += ids.size();
        for (const int32_t id : ids) seen[static_cast<size_t>(id)] = true;
      });
      bytes += part.text().size();
    }
  });
  for (const bool was : seen) used += was ? 1 : 0;
  AtomicFile file(o.out);
  file.Write(FormatVocabulary(entries));
  file.Commit();
  const size_t size = entries.size() + 1;
  if (size < o.size) {
    Say(fmt::format("{}: only {} of {} tokens; the text has no more that it would use\n", o.out,
                    size, o.size));
  }
  const double share = tokens == 0 ? 0 : static_cast<double>(bytes) / static_cast<double>(tokens);
  if (o.common.json) {
    Print(nlohmann::ordered_json{{"path", o.out},
                                 {"size", size},
                                 {"used", used},
                                 {"bytes", bytes},
                                 {"tokens", tokens},
                                 {"bytes_per_token", share}}
              .dump() +
          "\n");
  } else {
    Print(fmt::format("{}: {} tokens, {} of them met; {} bytes are {} tokens, {:.3f} bytes each\n",
                      o.out, size, used, bytes, tokens, share));
  }
}

}  // namespace

void AddVocab(CLI::App& app) {
  const auto o = std::make_shared<VocabFlags>();
  CLI::App* command = AddCommand(
      app, "vocab", "Build your own vocabulary",
      "linnet vocab train book.txt --size 4096 --out vocab.txt", o->common, [] {}, 0);
  command->require_subcommand(1);
  CLI::App* train = AddCommand(
      *command, "train", "Choose the vocabulary that encodes these texts in the fewest tokens",
      "linnet vocab train books/*.txt talk.jsonl --size 8192 --out vocab.txt", o->common,
      [o] { RunTrain(*o); }, kJson);
  train->add_option("IN", o->inputs, "Texts, as `linnet data build` reads them")->required();
  train->add_option("--size", o->size, "Tokens, including 0, the end of text, which has no entry")
      ->required();
  AddOutput(*train, o->common, "--out", o->out, "The file to write, in the World format")
      ->required();
  train->add_option("--chat", o->chat, "The chat template of conversations")
      ->check(CLI::IsMember(ChatTemplate::Names()))
      ->capture_default_str();
}

}  // namespace linnet::cli
