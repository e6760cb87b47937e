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

namespace {

using namespace linnet;  // NOLINT
// Of this thread, so that other programs do not count.
double ProcessorMs() {
  timespec time{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
  return static_cast<double>(time.tv_sec) * 1e3 + static_cast<double>(time.tv_nsec) / 1e6;
}

// Texts that are written at random do not end soon: brackets and quotes that close are preferred,
// the more the longer the text is.
class Walker {
 public:
  explicit Walker(const std::shared_ptr<const TokenTrie>& trie)
      : trie_(trie), closes_(trie->vocab()) {
    for (size_t id = 0; id < trie->vocab(); ++id) {
      const auto bytes = trie->bytes(static_cast<int32_t>(id));
      closes_[id] = !bytes.empty() && bytes.find_first_not_of("]}\" ") == bytes.npos;
    }
  }

  bool Walk(const std::shared_ptr<const Grammar>& grammar, std::mt19937& random,
            std::string& text) {
    Constraint constraint(grammar, trie_);
    text.clear();
    for (size_t step = 0; step < 2000; ++step) {
      if (constraint.must_end() || (constraint.may_end() && random() % 4 == 0)) return true;
      const auto mask = constraint.Mask();
      all_.clear();
      closing_.clear();
      for (size_t word = 0; word < mask.size(); ++word) {
        for (uint64_t bits = mask[word]; bits != 0; bits &= bits - 1) {
          const auto id = static_cast<int32_t>(word * 64 + __builtin_ctzll(bits));
          all_.push_back(id);
          if (closes_[static_cast<size_t>(id)]) closing_.push_back(id);
        }
      }
      if (all_.empty()) {
        text += "DEAD END";
        return true;
      }
      const bool close = !closing_.empty() && random() % 300 < 60 + step;
      const auto& from = close ? closing_ : all_;
      const int32_t id = from[random() % from.size()];
      text += trie_->bytes(id);
      constraint.Accept(id);
    }
    return false;
  }

 private:
  std::shared_ptr<const TokenTrie> trie_;
  std::vector<bool> closes_;
  std::vector<int32_t> all_, closing_;
};

nlohmann::ordered_json Try(const std::string& file, int walks, Walker& walker,
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
      if (walker.Walk(grammar, random, text)) texts.push_back(text);
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
  Walker walker(trie);
  for (int i = 2; i < count; ++i) {
    const auto line = Try(arguments[i], std::atoi(arguments[1]), walker, trie);
    std::puts(line.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace).c_str());
  }
  return 0;
}
