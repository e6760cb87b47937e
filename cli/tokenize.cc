// linnet tokenize: converts text to ids and back, from stdin to stdout.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <cstdint>
#include <limits>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "cli/cli.h"
#include "cli/model.h"
#include "cli/texts.h"
#include "engine/own_vocabulary.h"
#include "linnet/error.h"
#include "linnet/tokenizer.h"
#include "models/builtin_model.h"
#include "models/detect.h"
#include "text/json_line.h"

namespace linnet::cli {
namespace {

using nlohmann::json;

struct TokenizeFlags {
  CommonOptions common;
  std::string model, input = "-";
  bool jsonl = false, decode = false;
};

int32_t CheckedId(int64_t id, const Tokenizer& tokenizer) {
  if (id < 0 || static_cast<uint64_t>(id) >= tokenizer.size()) {
    throw Error(ErrorKind::kBadInput,
                fmt::format("id {} is outside the vocabulary, 0 to {}", id, tokenizer.size() - 1));
  }
  return static_cast<int32_t>(id);
}

std::string DecodeText(const Tokenizer& tokenizer, const std::vector<int32_t>& ids) {
  Utf8Stream stream;
  std::string text = stream.Push(tokenizer.Decode(ids));
  return text + stream.Finish();
}

std::vector<int32_t> IdsOf(const json& line, const Tokenizer& tokenizer) {
  std::vector<int32_t> ids;
  for (const json& id : line) {
    // An unsigned number past int64 is out of range too; get() would overflow.
    if (id.is_number_unsigned() && id.get<uint64_t>() > std::numeric_limits<int32_t>::max()) {
      throw Error(ErrorKind::kBadInput, fmt::format("id {} is outside the vocabulary", id.dump()));
    }
    if (!id.is_number_integer()) {
      throw Error(ErrorKind::kBadInput, "\"ids\" holds values that are not whole numbers");
    }
    ids.push_back(CheckedId(id.get<int64_t>(), tokenizer));
  }
  return ids;
}

std::string ConvertLine(const std::string& line, const Tokenizer& tokenizer, bool decode) {
  const json object = ParseJsonLine(line);
  const char* const key = decode ? "ids" : "text";
  const auto value = object.find(key);
  if (value == object.end() || !(decode ? value->is_array() : value->is_string())) {
    throw Error(ErrorKind::kBadInput,
                fmt::format("expected {{\"{}\": {}}}", key, decode ? "[...]" : "\"...\""));
  }
  json result;
  if (decode) {
    result["text"] = DecodeText(tokenizer, IdsOf(*value, tokenizer));
  } else {
    result["ids"] = tokenizer.Encode(value->get_ref<const std::string&>());
  }
  return result.dump();
}

void RunLines(const TokenizeFlags& options, const Tokenizer& tokenizer) {
  ByteSource source(options.input);
  std::string line;
  for (size_t number = 1; source.ReadLine(line); ++number) {
    try {
      Print(ConvertLine(line, tokenizer, options.decode) + "\n");
    } catch (const Error& error) {
      throw Error(error.kind(), fmt::format("{}:{}: {}", source.name(), number, error.what()),
                  error.remedy());
    }
  }
}

void RunWhole(const TokenizeFlags& options, const Tokenizer& tokenizer) {
  ByteSource source(options.input);
  const std::string input = source.Rest();
  if (options.decode) {
    const std::string text =
        DecodeText(tokenizer, ParseIds(input, tokenizer.size(), source.name()));
    Print(options.common.json ? json{{"text", text}}.dump() + "\n" : text);
    return;
  }
  const std::vector<int32_t> ids = tokenizer.Encode(input);
  Print(options.common.json ? json{{"ids", ids}}.dump() + "\n"
                            : fmt::format("{}\n", fmt::join(ids, ",")));
}

std::shared_ptr<const Tokenizer> TokenizerOf(const TokenizeFlags& options) {
  const std::string& vocab = options.common.vocab;
  if (options.model.empty()) {
    if (!vocab.empty()) return TokenizerNamed(vocab);
    throw CLI::ValidationError("tokenize", "give --vocab FILE or --model MODEL");
  }
  const Checkpoint model = CheckpointNamed(options.model);
  if (!vocab.empty()) return LoadTokenizer(vocab, ConfigOf(model).vocab);
  return linnet::TokenizerOf(model, HomeFolder());
}

void Run(const TokenizeFlags& options) {
  const auto tokenizer = TokenizerOf(options);
  options.jsonl ? RunLines(options, *tokenizer) : RunWhole(options, *tokenizer);
}

}  // namespace

void AddTokenize(CLI::App& app) {
  const auto options = std::make_shared<TokenizeFlags>();
  CLI::App* command = AddCommand(
      app, "tokenize", "Convert text to token ids and back",
      "echo 'Hello there' | linnet tokenize --vocab rwkv_vocab_v20230424.txt", options->common,
      [options] { Run(*options); }, kJson | kVocab);
  command->add_option("FILE", options->input, "The file to read; default or -: stdin");
  command->add_option("--model", options->model, "Use the vocabulary of this model")
      ->type_name("MODEL");
  command->add_flag("--jsonl", options->jsonl,
                    "Read {\"text\"} lines and write {\"ids\"} lines; with --decode the reverse");
  command->add_flag("--decode", options->decode, "Read ids and write text");
}

}  // namespace linnet::cli
