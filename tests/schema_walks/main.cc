// Compiles JSON schemas and prints random texts that they allow; for tools/check-schemas.
//
// schema_walks WALKS FILE...: one line of JSON for each file, {"file","error"} or
// {"file","compile_ms","mask_ms","texts":[...]}: processor time, mask_ms that of the first mask
// over the World vocabulary. Texts that were not complete after 2000 tokens are left out.
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <fstream>
#include <iterator>
#include <memory>
#include <nlohmann/json.hpp>
#include <random>
#include <string>
#include <vector>

#include "grammar/constraint.h"
#include "grammar/grammar.h"
#include "linnet/error.h"
#include "linnet/tokenizer.h"
#include "schema_walks/random_token.h"

namespace {

using namespace linnet;  // NOLINT
// Of this thread, so that other programs do not count.
double ProcessorMs() {
  timespec time{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
  return static_cast<double>(time.tv_sec) * 1e3 + static_cast<double>(time.tv_nsec) / 1e6;
}

// False if the text is not complete after 2000 tokens.
bool Walk(const std::shared_ptr<const Grammar>& grammar,
          const std::shared_ptr<const TokenTrie>& trie, RandomToken& tokens, std::mt19937& random,
          std::string& text) {
  Constraint constraint(grammar, trie);
  text.clear();
  for (size_t step = 0; step < 2000; ++step) {
    if (constraint.must_end() || (constraint.may_end() && random() % 4 == 0)) return true;
    const int32_t id = tokens.Choose(constraint.Mask(), step, random);
    if (id < 0) {
      text += "DEAD END";
      return true;
    }
    text += trie->bytes(id);
    constraint.Accept(id);
  }
  return false;
}

nlohmann::ordered_json Try(const std::string& file, int walks, RandomToken& tokens,
                           const std::shared_ptr<const TokenTrie>& trie) {
  std::ifstream stream(file, std::ios::binary);
  const std::string schema((std::istreambuf_iterator<char>(stream)), {});
  nlohmann::ordered_json line = {{"file", file}};
  try {
    const double begin = ProcessorMs();
    const auto grammar = Grammar::FromJsonSchema(schema, "schema");
    line["compile_ms"] = ProcessorMs() - begin;
    Constraint constraint(grammar, trie);
    const double first = ProcessorMs();
    constraint.Mask();
    line["mask_ms"] = ProcessorMs() - first;
    std::mt19937 random(1);
    std::vector<std::string> texts;
    std::string text;
    for (int i = 0; i < walks; ++i) {
      if (Walk(grammar, trie, tokens, random, text)) texts.push_back(text);
    }
    line["texts"] = texts;
  } catch (const Error& error) {
    line["error"] = error.what();
  }
  return line;
}

}  // namespace

int main(int count, char** arguments) {
  if (count < 3) return 2;
  const auto tokenizer = Tokenizer::ForVocabulary(65536);
  const auto trie = std::make_shared<const TokenTrie>(*tokenizer, tokenizer->model_vocab());
  RandomToken tokens(*trie);
  for (int i = 2; i < count; ++i) {
    const auto line = Try(arguments[i], std::atoi(arguments[1]), tokens, trie);
    std::puts(line.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace).c_str());
  }
  return 0;
}
