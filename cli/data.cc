// linnet data: converts texts and conversations to tokenized data, and shows such data.
#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "cli/cli.h"
#include "cli/documents.h"
#include "cli/model.h"
#include "cli/output_file.h"
#include "cli/progress.h"
#include "engine/own_vocabulary.h"
#include "linnet/error.h"
#include "linnet/tokenizer.h"
#include "models/builtin_model.h"
#include "models/detect.h"
#include "text/utf8.h"
#include "train/data_builder.h"
#include "train/samples.h"

namespace linnet::cli {
namespace {

using nlohmann::ordered_json;

struct DataFlags {
  CommonOptions common;
  std::vector<std::string> inputs;
  std::string out, name, chat = "world", build_model, check_model;
  bool keep_order = false, learn_prompts = false;
  uint64_t seed = 1, epochs = 1, ctx = 512, samples = 3;
};

struct Vocabulary {
  std::shared_ptr<const Tokenizer> tokenizer;  // null if neither a vocabulary nor a model is given
  // The largest allowed id plus one: of the model, as in training, or of the released model that
  // uses this vocabulary.
  size_t ids = size_t{kMaxTokenId} + 1;
};

Vocabulary VocabularyOf(const CommonOptions& common, const std::string& model) {
  if (model.empty()) {
    if (common.vocab.empty()) return {};
    auto tokenizer = TokenizerNamed(common.vocab);
    const size_t ids = tokenizer->model_vocab();
    return {std::move(tokenizer), ids};
  }
  const Checkpoint checkpoint = CheckpointNamed(model);
  const size_t ids = ConfigOf(checkpoint).vocab;
  return {common.vocab.empty() ? TokenizerOf(checkpoint, HomeFolder())
                               : LoadTokenizer(common.vocab, ids),
          ids};
}

void Build(const DataFlags& o) {
  const auto tokenizer = VocabularyOf(o.common, o.build_model).tokenizer;
  if (tokenizer == nullptr) {
    throw CLI::ValidationError("data build", "give --vocab FILE or --model MODEL");
  }
  for (const auto& file : TokenFilesOf(o.out)) CheckOutput(o.common, {file, TokenOutput()});
  const InterruptScope interrupt;
  const DocumentInputs inputs(o.inputs, o.chat);
  DataBuilder builder(o.out, *tokenizer);
  inputs.ForEach("tokenizing", [&](Document& document) {
    for (DocumentPart& part : document) part.learnt = part.learnt || o.learn_prompts;
    builder.Add(document);
  });
  {
    Progress progress("writing", builder.documents() * o.epochs);
    builder.Write({!o.keep_order, o.seed, o.epochs}, [&](uint64_t done) {
      progress.Update(done);
      InterruptScope::Check();
    });
  }
  const uint64_t documents = builder.documents() * o.epochs, tokens = builder.tokens() * o.epochs,
                 learnt = builder.learnt() * o.epochs;
  if (o.common.json) {
    return Print(
        ordered_json{
            {"path", o.out}, {"documents", documents}, {"tokens", tokens}, {"learnt", learnt}}
            .dump() +
        "\n");
  }
  Print(fmt::format("{}: {} documents, {} tokens, {} of them to be learnt\n", o.out, documents,
                    tokens, learnt));
}

struct Lengths {
  uint64_t shortest = 0, median = 0, longest = 0;
  std::vector<uint64_t> doubling;  // number of documents with 2^i to 2^(i+1) - 1 tokens
};

Lengths LengthsOf(const TokenData& data) {
  std::vector<uint64_t> lengths(data.documents());
  for (uint64_t i = 0; i < lengths.size(); ++i) lengths[i] = data.Begin(i + 1) - data.Begin(i);
  Lengths result;
  for (const uint64_t length : lengths) {
    const auto bucket = static_cast<size_t>(std::bit_width(std::max<uint64_t>(length, 1)) - 1);
    if (result.doubling.size() <= bucket) result.doubling.resize(bucket + 1);
    ++result.doubling[bucket];
  }
  const auto middle = lengths.begin() + static_cast<ptrdiff_t>(lengths.size() / 2);
  std::nth_element(lengths.begin(), middle, lengths.end());
  result.median = *middle;
  result.shortest = *std::min_element(lengths.begin(), lengths.end());
  result.longest = *std::max_element(lengths.begin(), lengths.end());
  return result;
}

struct Totals {
  uint64_t learnt = 0, bytes = 0;
  int32_t largest = 0;
};

// Checks every token, so that a wrong id is found here and not during training.
Totals Scan(const TokenData& data, const Tokenizer* tokenizer) {
  Totals totals;
  Progress progress("reading", data.tokens());
  std::vector<int32_t> ids;
  for (uint64_t at = 0; at < data.tokens(); at += ids.size()) {
    ids.resize(std::min<uint64_t>(1 << 16, data.tokens() - at));
    data.Read(at, ids);
    for (size_t i = 0; i < ids.size(); ++i) {
      totals.largest = std::max(totals.largest, ids[i]);
      totals.learnt += data.Learnt(at + i) ? 1 : 0;
      if (tokenizer != nullptr) totals.bytes += tokenizer->Bytes(ids[i]).size();
    }
    if (at % (1 << 24) == 0) data.Drop();
    progress.Update(at);
  }
  return totals;
}

struct SamplePart {
  bool learnt;
  std::string text;
};

// The start of a document, with learnt and unlearnt parts marked; as ids without a vocabulary.
std::vector<SamplePart> SampleOf(const TokenData& data, uint64_t document,
                                 const Tokenizer* tokenizer) {
  constexpr uint64_t kShown = 160;
  std::vector<SamplePart> parts;
  const uint64_t begin = data.Begin(document);
  const uint64_t end = std::min(data.Begin(document + 1), begin + kShown);
  for (uint64_t at = begin; at < end; ++at) {
    if (parts.empty() || parts.back().learnt != data.Learnt(at)) {
      parts.push_back({data.Learnt(at), ""});
    }
    const int32_t id = data.Token(at);
    std::string& text = parts.back().text;
    if (tokenizer == nullptr) {
      text += fmt::format("{}{}", text.empty() ? "" : " ", id);
    } else if (tokenizer->Bytes(id).empty()) {
      text += fmt::format("<{}>", id);  // the end of text
    } else {
      text += tokenizer->Bytes(id);
    }
  }
  for (SamplePart& part : parts) part.text = ValidUtf8(part.text);
  return parts;
}

// Documents evenly spread over the data.
std::vector<uint64_t> Chosen(const TokenData& data, uint64_t count) {
  std::vector<uint64_t> chosen;
  count = std::min(count, data.documents());
  for (uint64_t i = 0; i < count; ++i) {
    chosen.push_back(
        static_cast<uint64_t>(static_cast<unsigned __int128>(i) * data.documents() / count));
  }
  return chosen;
}

void PrintJson(const DataFlags& o, const TokenData& data, const Totals& totals,
               const Lengths& lengths, const Tokenizer* tokenizer) {
  ordered_json histogram = ordered_json::array(), samples = ordered_json::array();
  for (size_t i = 0; i < lengths.doubling.size(); ++i) {
    histogram.push_back({{"from", uint64_t{1} << i},
                         {"to", (uint64_t{2} << i) - 1},
                         {"documents", lengths.doubling[i]}});
  }
  for (const uint64_t document : Chosen(data, o.samples)) {
    ordered_json parts = ordered_json::array();
    for (const SamplePart& part : SampleOf(data, document, tokenizer)) {
      parts.push_back({{"learnt", part.learnt}, {"text", part.text}});
    }
    samples.push_back({{"document", document},
                       {"tokens", data.Begin(document + 1) - data.Begin(document)},
                       {"parts", parts}});
  }
  ordered_json result = {{"path", data.name()},           {"token_bytes", SizeOf(data.type())},
                         {"documents", data.documents()}, {"tokens", data.tokens()},
                         {"learnt", totals.learnt},       {"largest_id", totals.largest}};
  if (tokenizer != nullptr) result["bytes"] = totals.bytes;
  result["lengths"] = {{"shortest", lengths.shortest},
                       {"median", lengths.median},
                       {"longest", lengths.longest},
                       {"histogram", histogram}};
  result["vocabulary"] = nullptr;
  if (const auto& known = data.vocabulary()) {
    result["vocabulary"] = {{"hash", known->hash}, {"tokens", known->tokens}};
  }
  result["ctx"] = o.ctx;
  result["magic_prime"] = MagicPrime(data.tokens(), o.ctx);
  result["packed_rows"] = NewPackedSamples(data, o.ctx, 0)->rows_per_epoch();
  result["samples"] = samples;
  Print(result.dump() + "\n");
}

void PrintText(const DataFlags& o, const TokenData& data, const Totals& totals,
               const Lengths& lengths, const Tokenizer* tokenizer) {
  Print(fmt::format("{}: {} documents, {} tokens of {} bytes, ids up to {}\n", data.name(),
                    data.documents(), data.tokens(), SizeOf(data.type()), totals.largest));
  if (const auto& known = data.vocabulary()) {
    Print(fmt::format("vocabulary: {} tokens, hash {}\n", known->tokens, known->hash));
  }
  Print(fmt::format("to be learnt: {} tokens, {:.1f} %\n", totals.learnt,
                    100 * static_cast<double>(totals.learnt) / static_cast<double>(data.tokens())));
  if (tokenizer != nullptr) {
    Print(fmt::format("text: {} bytes, {:.3f} a token\n", totals.bytes,
                      static_cast<double>(totals.bytes) / static_cast<double>(data.tokens())));
  }
  Print(fmt::format("tokens of a document: {} to {}, half have {} or fewer\n", lengths.shortest,
                    lengths.longest, lengths.median));
  const uint64_t most = *std::max_element(lengths.doubling.begin(), lengths.doubling.end());
  for (size_t i = 0; i < lengths.doubling.size(); ++i) {
    const auto bar = static_cast<size_t>(40 * lengths.doubling[i] / most);
    Print(fmt::format("{:>12} {:>9} {}\n", fmt::format("< {}", uint64_t{2} << i),
                      lengths.doubling[i], std::string(bar, '#')));
  }
  const uint64_t prime = MagicPrime(data.tokens(), o.ctx);
  Print(fmt::format(
      "with --ctx {}: {} packed rows; {}\n", o.ctx,
      NewPackedSamples(data, o.ctx, 0)->rows_per_epoch(),
      prime != 0 ? fmt::format("{} slots, magic prime {}", data.tokens() / o.ctx, prime)
                 : "too small for a magic prime, which needs 3 slots; slots are read in order"));
  for (const uint64_t document : Chosen(data, o.samples)) {
    const uint64_t length = data.Begin(document + 1) - data.Begin(document);
    Print(fmt::format("\ndocument {}, {} tokens; ⟦ ⟧ encloses what is not learnt\n", document,
                      length));
    for (const SamplePart& part : SampleOf(data, document, tokenizer)) {
      Print(part.learnt ? part.text : fmt::format("⟦{}⟧", part.text));
    }
    Print("\n");
  }
}

void Check(const DataFlags& o) {
  const auto [tokenizer, ids] = VocabularyOf(o.common, o.check_model);
  const TokenData data(o.name, ids);
  if (tokenizer != nullptr) {
    data.CheckVocabulary(*tokenizer, o.common.vocab.empty() ? o.check_model : o.common.vocab);
  }
  const Totals totals = Scan(data, tokenizer.get());
  const Lengths lengths = LengthsOf(data);
  (o.common.json ? PrintJson : PrintText)(o, data, totals, lengths, tokenizer.get());
}

}  // namespace

void AddData(CLI::App& app) {
  const auto o = std::make_shared<DataFlags>();
  CLI::App* command = AddCommand(
      app, "data", "Build and inspect tokenized data for training",
      "linnet data build talk.jsonl --vocab vocab.txt --out talk", o->common, [] {}, 0);
  command->require_subcommand(1);

  CLI::App* build = AddCommand(
      *command, "build", "Convert texts and conversations to OUT.bin, OUT.idx and OUT.mask",
      "linnet data build books/*.txt talk.jsonl --vocab vocab.txt "
      "--out stories",
      o->common, [o] { Build(*o); }, kJson | kVocab);
  build
      ->add_option("IN", o->inputs,
                   ".txt and .md: documents separated by form feeds or lines with <|endoftext|>; "
                   ".jsonl: one document per line, {\"text\"}, a conversation, or a prompt and "
                   "its response; .json: an array of these; -: stdin")
      ->required();
  AddOutput(*build, o->common, "--out", o->out, "The name of the data, without an extension")
      ->required();
  build->add_option("--model", o->build_model, "Use the vocabulary of this model")
      ->type_name("MODEL");
  build->add_option("--chat", o->chat, "The chat template of conversations")
      ->check(CLI::IsMember(ChatTemplate::Names()))
      ->capture_default_str();
  build->add_option("--seed", o->seed, "The seed of the random order")->capture_default_str();
  build->add_option("--epochs", o->epochs, "Write all documents N times, each time in a new order")
      ->check(CLI::Range(1, 1 << 20))
      ->capture_default_str();
  build->add_flag("--learn-prompts", o->learn_prompts, "Also learn the prompts: no mask");
  build->add_flag("--keep-order", o->keep_order, "Keep the documents in the order of the inputs");

  CLI::App* check = AddCommand(
      *command, "check", "Show tokenized data: counts, lengths, samples",
      "linnet data check stories --vocab vocab.txt --ctx 512", o->common, [o] { Check(*o); },
      kJson | kVocab);
  check->add_option("NAME", o->name, "The name of the data, without an extension")->required();
  check->add_option("--model", o->check_model, "Use the vocabulary of this model")
      ->type_name("MODEL");
  check->add_option("--ctx", o->ctx, "Tokens of a row, for the number of rows and the magic prime")
      ->check(CLI::Range(uint64_t{1}, uint64_t{1} << 31))
      ->capture_default_str();
  check->add_option("--samples", o->samples, "Documents to show")->capture_default_str();
}

}  // namespace linnet::cli
