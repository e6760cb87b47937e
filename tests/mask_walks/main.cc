// Compares the masks of Linnet's grammars with those of llguidance; for tools/check-masks.
//
// mask_walks WALKS STEPS FILE: each line of the file is a case, {"family","name","kind","ours",
// "theirs","allow":[...]}; "theirs" may be absent if it is the same. Kinds: "regex"; "gbnf", which
// is a Lark grammar for llguidance; "json", a schema. `allow` names differences that are meant,
// besides those that always are. Each case is walked so many times: random tokens that both allow,
// at most so many a text. At each step both masks over the World vocabulary must be equal, token by
// token, but for differences that have a name, and both must agree on whether the text may end.
// Prints a table of the families, how often each difference was seen and why cases were refused;
// exits 1 if masks differ otherwise, or if
// fewer than a quarter of a family of schemastore or nine in ten of another were compared.
#include <algorithm>
#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <map>
#include <memory>
#include <mutex>
#include <nlohmann/json.hpp>
#include <optional>
#include <random>
#include <set>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "grammar/constraint.h"
#include "grammar/grammar.h"
#include "linnet/error.h"
#include "linnet/tokenizer.h"
#include "mask_walks/json_differences.h"
#include "mask_walks/oracle.h"
#include "schema_walks/random_token.h"

namespace {

using namespace linnet;  // NOLINT
using Json = nlohmann::ordered_json;

struct Family {
  size_t cases = 0, compared = 0, masks = 0, equal = 0;
  size_t texts = 0;  // that were walked to their end
  size_t failed = 0, cut = 0;
  std::map<std::string, size_t> refused, differences;
};

struct Case {
  std::string family, name, kind, ours, theirs;
  std::set<std::string> allow;
};

struct Shared {
  std::shared_ptr<const TokenTrie> trie;
  const OracleVocabulary* vocabulary;
  int walks;
  size_t steps;
};

std::shared_ptr<const Grammar> Compiled(const Case& c) {
  if (c.kind == "regex") return Grammar::FromRegex(c.ours);
  if (c.kind == "gbnf") return Grammar::FromGbnf(c.ours, "grammar");
  return Grammar::FromJsonSchema(c.ours, "schema");
}

// Blanks, escapes and separators as far as llguidance can be told to write them as Linnet does.
std::string WithOptions(const std::string& schema) {
  Json json = Json::parse(schema);
  if (!json.is_object()) return schema;
  constexpr const char* kBlank = "(?: |\\n {0,20})?";
  json["x-guidance"] = {{"whitespace_flexible", false},
                        {"item_separator", std::string(",") + kBlank},
                        {"key_separator", std::string(":") + kBlank},
                        {"json_allow_general_unicode_escapes", true}};
  return json.dump();
}

std::string Quoted(std::string_view text) {
  return Json(text).dump(-1, ' ', true, Json::error_handler_t::replace);
}

// The walk of one text.
class Walk {
 public:
  Walk(const Case& c, const Shared& shared, RandomToken& tokens, Family& family)
      : case_(c), shared_(shared), tokens_(tokens), family_(family) {}

  // Nothing, or what differs.
  std::optional<std::string> Run(Constraint ours, OracleText theirs, std::mt19937& random) {
    text_.clear();
    JsonPlace place;
    for (size_t step = 0; step < shared_.steps; ++step) {
      const bool may_end = ours.may_end();
      if (may_end != theirs.may_end()) {
        return Said(may_end ? "only Linnet may end here" : "only llguidance may end here");
      }
      const std::span<const uint64_t> mask = ours.Mask(), other = theirs.Mask();
      const size_t masks = other.size();
      if (masks == 0) {
        // It is not asked at the end of a text.
        if (ours.must_end()) break;
        ++family_.cut;
        ++family_.refused["a mask: " + theirs.error().value_or("no mask").substr(0, 80)];
        return std::nullopt;
      }
      std::vector<uint64_t> both(mask.size());
      bool equal = true;
      for (size_t word = 0; word < mask.size(); ++word) {
        const uint64_t there = word < other.size() ? other[word] : 0;
        both[word] = mask[word] & there;
        for (uint64_t bits = mask[word] ^ there; bits != 0; bits &= bits - 1) {
          equal = false;
          const auto id = static_cast<int32_t>(word * 64 + __builtin_ctzll(bits));
          const bool only_ours = (mask[word] >> (id % 64) & 1) != 0;
          if (!Meant(id, only_ours, place)) {
            return Said((only_ours ? "only Linnet allows " : "only llguidance allows ") +
                        Quoted(ours.trie().bytes(id)));
          }
        }
      }
      ++family_.masks;
      family_.equal += equal;
      if (ours.must_end() || (may_end && random() % 4 == 0)) break;
      const int32_t id = tokens_.Choose(both, step, random);
      if (id < 0) {
        if (may_end) break;
        ++family_.cut;  // each allows only what the other does not
        return std::nullopt;
      }
      text_ += shared_.trie->bytes(id);
      place.Read(shared_.trie->bytes(id));
      ours.Accept(id);
      if (!theirs.Accept(id))
        return Said("llguidance does not take the last token, which it allowed");
    }
    ++family_.texts;
    return std::nullopt;
  }

 private:
  std::string Said(const std::string& what) const { return what + " after " + Quoted(text_); }

  // Counts a difference that has a name.
  bool Meant(int32_t id, bool only_ours, const JsonPlace& place) {
    if (case_.kind != "json") {
      for (const std::string& name : case_.allow) {
        if (only_ours) return false;
        ++family_.differences[name];
        return true;
      }
      return false;
    }
    const uint32_t features = JsonPlace(place).Read(shared_.trie->bytes(id));
    for (const JsonDifference& difference : JsonDifferences()) {
      if (difference.ours != only_ours || (features & difference.features) == 0) continue;
      if (!difference.always && !case_.allow.contains(difference.name)) continue;
      ++family_.differences[difference.name];
      return true;
    }
    return false;
  }

  const Case& case_;
  const Shared& shared_;
  RandomToken& tokens_;
  Family& family_;
  std::string text_;
};

// The first line, without the place in a schema and what is quoted, to count alike ones.
std::string Reason(const char* who, std::string why) {
  why = why.substr(0, why.find('\n'));
  if (why.starts_with("schema: ")) why.erase(0, 8);
  if (const size_t end = why.find(": "); why.starts_with('#') && end != why.npos) {
    // Of "#/place/keyword: is not supported" the keyword stays.
    const bool keyword = why.compare(end + 2, 3, "is ") == 0;
    why.erase(0, keyword ? why.rfind('/', end) + 1 : end + 2);
  }
  for (size_t from = 0; (from = why.find('\'', from)) != why.npos; from += 5) {
    why.replace(from, why.find('\'', from + 1) - from + 1, "'...'");
  }
  return std::string(who) + ": " + why.substr(0, 100);
}

std::optional<std::string> Compare(const Case& c, const Shared& shared, RandomToken& tokens,
                                   Family& family) {
  ++family.cases;
  std::shared_ptr<const Grammar> grammar;
  std::string refused;
  try {
    grammar = Compiled(c);
  } catch (const Error& error) {
    refused = Reason("Linnet", error.what());
  }
  const bool json = c.kind == "json";
  const OracleText start(*shared.vocabulary, c.kind == "gbnf" ? "lark" : c.kind.c_str(),
                         json ? WithOptions(c.theirs) : c.theirs);
  if (const auto error = start.error(); error && refused.empty()) {
    refused = Reason("llguidance", *error);
  }
  if (!refused.empty()) {
    ++family.refused[refused];
    return std::nullopt;
  }
  ++family.compared;
  std::mt19937 random(static_cast<uint32_t>(std::hash<std::string>()(c.name)));
  Walk walk(c, shared, tokens, family);
  for (int i = 0; i < shared.walks; ++i) {
    try {
      if (auto problem = walk.Run(Constraint(grammar, shared.trie), start, random)) {
        ++family.failed;
        return problem;
      }
    } catch (const Error& error) {  // too much work for one mask
      ++family.cut;
      ++family.refused[Reason("Linnet, at a mask", error.what())];
    }
  }
  return std::nullopt;
}

std::vector<Case> ReadCases(const char* file) {
  std::vector<Case> cases;
  std::ifstream stream(file);
  for (std::string line; std::getline(stream, line);) {
    const Json json = Json::parse(line);
    const std::string ours = json.at("ours");
    cases.push_back({json.at("family"), json.at("name"), json.at("kind"), ours,
                     json.value("theirs", ours), json.value("allow", std::set<std::string>())});
  }
  return cases;
}

void Print(const std::map<std::string, Family>& families) {
  for (const auto& [name, f] : families) {
    std::printf(
        "%s: %zu of %zu compared, %zu masks, %zu of them equal in every token, %zu texts "
        "walked to their end, %zu left, %zu differ\n",
        name.c_str(), f.compared, f.cases, f.masks, f.equal, f.texts, f.cut, f.failed);
    for (const auto& [what, count] : f.differences) {
      std::printf("  %9zu tokens differ by %s\n", count, what.c_str());
    }
    for (const auto& [why, count] : f.refused) {
      std::printf("  %9zu refused by %s\n", count, why.c_str());
    }
  }
}

}  // namespace

int main(int count, char** arguments) {
  if (count != 4) return 2;
  std::setvbuf(stdout, nullptr, _IOLBF, 0);
  const auto tokenizer = Tokenizer::ForVocabulary(65536);
  const auto trie = std::make_shared<const TokenTrie>(*tokenizer, tokenizer->model_vocab());
  const OracleVocabulary vocabulary(*trie);
  const Shared shared{trie, &vocabulary, std::atoi(arguments[1]),
                      static_cast<size_t>(std::atoi(arguments[2]))};
  const std::vector<Case> cases = ReadCases(arguments[3]);
  std::map<std::string, Family> families;
  std::mutex mutex;
  std::atomic<size_t> next = 0;
  const auto work = [&] {
    RandomToken tokens(*trie);
    for (size_t i = next++; i < cases.size(); i = next++) {
      Family own;
      const auto problem = Compare(cases[i], shared, tokens, own);
      const std::lock_guard lock(mutex);
      if (problem) {
        std::printf("%s: %s\n  ours %s\n", cases[i].name.c_str(), problem->c_str(),
                    cases[i].ours.substr(0, 600).c_str());
      }
      Family& family = families[cases[i].family];
      family.cases += own.cases;
      family.compared += own.compared;
      family.masks += own.masks;
      family.equal += own.equal;
      family.texts += own.texts;
      family.cut += own.cut;
      family.failed += own.failed;
      for (const auto& [why, n] : own.refused) family.refused[why] += n;
      for (const auto& [what, n] : own.differences) family.differences[what] += n;
    }
  };
  std::vector<std::thread> threads;
  for (unsigned i = 0; i < std::max(1u, std::thread::hardware_concurrency()); ++i) {
    threads.emplace_back(work);
  }
  for (auto& thread : threads) thread.join();
  Print(families);
  // Nothing is left out silently. What llguidance refuses of other people's schemas is its own
  // matter.
  const bool failed = std::any_of(families.begin(), families.end(), [](const auto& family) {
    const auto& [name, f] = family;
    const size_t least = name.starts_with("schemastore") ? f.cases / 4 : f.cases * 9 / 10;
    return f.failed > 0 || f.compared < least;
  });
  return failed ? 1 : 0;
}
