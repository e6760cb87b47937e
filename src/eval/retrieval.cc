#include "eval/retrieval.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <numeric>
#include <unordered_map>
#include <utility>

#include "eval/python_text.h"
#include "eval/reading_order.h"
#include "eval/row_files.h"
#include "kernels/rows.h"
#include "linnet/error.h"
#include "text/passages.h"
#include "text/unicode.h"

namespace linnet {
namespace {

namespace fs = std::filesystem;

// Every so many of `count`, so that `limit` are left.
std::vector<size_t> Spread(size_t count, size_t limit) {
  const size_t kept = limit == 0 ? count : std::min(count, limit);
  std::vector<size_t> out(kept);
  for (size_t i = 0; i < kept; ++i) out[i] = i * count / kept;
  return out;
}

void KeepSpread(RetrievalSet& set, size_t limit) {
  RetrievalSet kept{.name = set.name, .choices = set.choices};
  for (const size_t i : Spread(set.queries.size(), limit)) {
    kept.queries.push_back(set.queries[i]);
    // Choices move with their query.
    const size_t first = set.choices * i, moved = kept.documents.size();
    kept.right.push_back(set.choices == 0 ? set.right[i] : set.right[i] - first + moved);
    for (size_t c = 0; c < set.choices; ++c) kept.documents.push_back(set.documents[first + c]);
  }
  if (set.choices == 0) kept.documents = std::move(set.documents);
  set = std::move(kept);
}

RetrievalSet TalesOf(const fs::path& folder) {
  RetrievalSet set{.name = "FairytaleQA"};
  for (const TaleQuestion& q : ReadTaleQuestions(folder, set.documents)) {
    set.queries.push_back(q.question);
    set.right.push_back(q.tale);
  }
  return set;
}

std::string TextOfRow(const TaskJson& row, const std::string& field, const fs::path& file) {
  if (row.contains(field) && row[field].is_string()) return row[field].get<std::string>();
  throw Error(ErrorKind::kBadInput,
              fmt::format("{}: a row has no text '{}'", file.string(), field));
}

int64_t NumberOfRow(const TaskJson& row, const std::string& field, const fs::path& file) {
  if (row.contains(field) && row[field].is_number_integer()) return row[field].get<int64_t>();
  throw Error(ErrorKind::kBadInput,
              fmt::format("{}: a row has no number '{}'", file.string(), field));
}

// The choice that fits, and the same premise in another language.
void AddXcopa(const std::vector<fs::path>& files, std::vector<RetrievalSet>& sets) {
  RetrievalSet choices{.name = "XCOPA, choices", .choices = 2},
      translations{.name = "XCOPA, translations"};
  std::map<int64_t, size_t> places;  // of premises in the first language, by idx
  for (size_t f = 0; f < files.size(); ++f) {
    for (const TaskJson& row : ReadRowFile(files[f])) {
      const std::string premise = TextOfRow(row, "premise", files[f]);
      const int64_t idx = NumberOfRow(row, "idx", files[f]);
      const int64_t label = NumberOfRow(row, "label", files[f]);
      if (label != 0 && label != 1) {
        throw Error(ErrorKind::kBadInput,
                    fmt::format("{}: a label is {}, expected 0 or 1", files[f].string(), label));
      }
      choices.right.push_back(choices.documents.size() + static_cast<size_t>(label));
      choices.queries.push_back(premise);
      choices.documents.push_back(TextOfRow(row, "choice1", files[f]));
      choices.documents.push_back(TextOfRow(row, "choice2", files[f]));
      if (f == 0) {
        places.emplace(idx, translations.documents.size());
        translations.documents.push_back(premise);
      } else if (const auto place = places.find(idx); place != places.end()) {
        translations.queries.push_back(premise);
        translations.right.push_back(place->second);
      }
    }
  }
  sets.push_back(std::move(choices));
  if (!translations.queries.empty()) sets.push_back(std::move(translations));
}

// What a query chooses from: [first, first + count).
std::pair<size_t, size_t> DocumentsFor(const RetrievalSet& set, size_t query) {
  if (set.choices == 0) return {0, set.documents.size()};
  return {query * set.choices, set.choices};
}

using Vectors = std::vector<std::vector<float>>;

std::vector<std::vector<int32_t>> TokensOfAll(const Embedder& embedder,
                                              std::span<const std::string> texts) {
  std::vector<std::vector<int32_t>> out;
  out.reserve(texts.size());
  for (const std::string& text : texts) out.push_back(embedder.TokensOf(text));
  return out;
}

// For each pooling the vectors of all texts.
std::vector<Vectors> VectorsOf(const Embedder& embedder, Workspace& workspace,
                               std::span<const std::string> texts,
                               std::span<const Pooling> poolings, const EmbedRun& run) {
  const auto tokens = TokensOfAll(embedder, texts);
  std::vector<Vectors> out(poolings.size(), Vectors(texts.size()));
  if (poolings.size() == 1 && poolings[0] == embedder.pooling()) {
    EmbedRun own = run;
    own.found = [&](size_t i, std::vector<float> vector) { out[0][i] = std::move(vector); };
    EmbedTexts(embedder, workspace, tokens, own);
    return out;
  }
  PoolTexts(embedder.model(), workspace, tokens, poolings, run,
            [&](size_t i, size_t p, std::vector<float> vector) { out[p][i] = std::move(vector); });
  return out;
}

std::vector<double> MeanOf(const Vectors& vectors) {
  std::vector<double> mean(vectors.empty() ? 0 : vectors[0].size());
  for (const auto& vector : vectors) {
    for (size_t c = 0; c < mean.size(); ++c) {
      mean[c] += double{vector[c]} / static_cast<double>(vectors.size());
    }
  }
  return mean;
}

Vectors Centred(const Vectors& vectors, const std::vector<double>& mean) {
  Vectors out;
  out.reserve(vectors.size());
  for (const auto& vector : vectors) {
    std::vector<float> moved(vector.size());
    for (size_t c = 0; c < moved.size(); ++c) {
      moved[c] = static_cast<float>(double{vector[c]} - mean[c]);
    }
    out.push_back(Normalized(moved));
  }
  return out;
}

// `owners`: the document of each of `parts`.
Recall RecallOfVectors(const RetrievalSet& set, const Vectors& queries, const Vectors& parts,
                       std::span<const size_t> owners) {
  return RecallOf(set, [&](size_t query) {
    const auto [first, count] = DocumentsFor(set, query);
    std::vector<double> scores(count, -2);
    const auto begin = std::lower_bound(owners.begin(), owners.end(), first);
    for (auto at = begin; at != owners.end() && *at < first + count; ++at) {
      const auto& part = parts[static_cast<size_t>(at - owners.begin())];
      double& score = scores[*at - first];
      score = std::max(score, double{Dot(queries[query].data(), part.data(), part.size())});
    }
    return scores;
  });
}

}  // namespace

std::vector<RetrievalSet> ReadRetrievalSets(const fs::path& folder, size_t limit) {
  std::error_code error;
  std::vector<RetrievalSet> sets;
  if (fs::exists(folder / "fairytaleqa_qa.jsonl", error)) sets.push_back(TalesOf(folder));
  for (const char* name : {"test.*.jsonl", "xcopa/test.*.jsonl"}) {
    const auto files = FindDataFiles(folder, {name});
    if (files.empty()) continue;
    AddXcopa(files, sets);
    break;
  }
  if (sets.empty()) {
    throw Error(ErrorKind::kBadInput,
                fmt::format("{}: has neither fairytaleqa_qa.jsonl nor XCOPA's test.LANGUAGE.jsonl",
                            folder.string()));
  }
  for (RetrievalSet& set : sets) KeepSpread(set, limit);
  return sets;
}

class Bm25::Impl {
 public:
  explicit Impl(std::span<const std::string> documents) : lengths_(documents.size()) {
    for (size_t i = 0; i < documents.size(); ++i) {
      std::map<std::string, size_t> counts;
      for (std::string& word : WordsOf(documents[i])) {
        ++counts[std::move(word)];
        ++lengths_[i];
      }
      for (const auto& [word, count] : counts) places_[word].push_back({i, count});
    }
    const double all = std::accumulate(lengths_.begin(), lengths_.end(), 0.0);
    mean_ = std::max(all / static_cast<double>(std::max<size_t>(lengths_.size(), 1)), 1.0);
  }

  std::vector<double> Scores(std::string_view query) const {
    constexpr double kK1 = 1.2, kB = 0.75;
    std::vector<double> scores(lengths_.size());
    const auto n = static_cast<double>(lengths_.size());
    for (const std::string& word : WordsOf(query)) {
      const auto it = places_.find(word);
      if (it == places_.end()) continue;
      const auto with = static_cast<double>(it->second.size());
      const double idf = std::log(1 + (n - with + 0.5) / (with + 0.5));
      for (const auto& [document, count] : it->second) {
        const auto f = static_cast<double>(count);
        const double length = lengths_[document] / mean_;
        scores[document] += idf * f * (kK1 + 1) / (f + kK1 * (1 - kB + kB * length));
      }
    }
    return scores;
  }

 private:
  static std::vector<std::string> WordsOf(std::string_view text) {
    std::vector<std::string> words;
    std::u32string word;
    for (const char32_t c : ToCharacters(PythonLower(text)) + U' ') {
      if (IsWordChar(c)) {
        word += c;
      } else if (!word.empty()) {
        words.push_back(FromCharacters(word));
        word.clear();
      }
    }
    return words;
  }

  std::vector<double> lengths_;  // in words
  double mean_ = 1;
  std::unordered_map<std::string, std::vector<std::pair<size_t, size_t>>> places_;
};

Bm25::Bm25(std::span<const std::string> documents) : impl_(std::make_unique<Impl>(documents)) {}
Bm25::~Bm25() = default;
std::vector<double> Bm25::Scores(std::string_view query) const { return impl_->Scores(query); }

Recall RecallOf(const RetrievalSet& set, const std::function<std::vector<double>(size_t)>& scores) {
  Recall recall{.queries = set.queries.size()};
  size_t first = 0, five = 0;
  for (size_t query = 0; query < set.queries.size(); ++query) {
    const std::vector<double> all = scores(query);
    const size_t right = set.right[query] - DocumentsFor(set, query).first;
    size_t better = 0;
    for (size_t i = 0; i < all.size(); ++i) {
      if (all[i] > all[right] || (all[i] == all[right] && i < right)) ++better;
    }
    first += better < 1 ? 1 : 0;
    five += better < 5 ? 1 : 0;
  }
  const auto count = static_cast<double>(std::max<size_t>(set.queries.size(), 1));
  recall.at1 = static_cast<double>(first) / count;
  recall.at5 = static_cast<double>(five) / count;
  return recall;
}

Recall RecallOfBm25(const RetrievalSet& set) {
  const Bm25 bm25(set.documents);
  return RecallOf(set, [&](size_t query) {
    const auto [first, count] = DocumentsFor(set, query);
    const auto all = bm25.Scores(set.queries[query]);
    const auto begin = all.begin() + static_cast<ptrdiff_t>(first);
    return std::vector<double>(begin, begin + static_cast<ptrdiff_t>(count));
  });
}

std::vector<RetrievalScore> MeasureRetrieval(const RetrievalSet& set, const Embedder& embedder,
                                             Workspace& workspace, bool passages,
                                             const EmbedRun& run) {
  const bool trained = embedder.model().config().purpose == Purpose::kEmbedding;
  std::vector<Pooling> poolings = {Pooling::kMean, Pooling::kWeighted, Pooling::kLast};
  if (trained) poolings = {embedder.pooling()};
  std::vector<std::string> parts;
  std::vector<size_t> owners;
  for (size_t d = 0; d < set.documents.size(); ++d) {
    if (!passages) {
      parts.push_back(set.documents[d]);
      owners.push_back(d);
      continue;
    }
    for (const Passage& p : SplitPassages(set.documents[d])) {
      parts.push_back(set.documents[d].substr(p.begin, p.bytes));
      owners.push_back(d);
    }
  }
  // Queries and parts in one run: its progress is that of all.
  std::vector<std::string> texts = set.queries;
  texts.insert(texts.end(), parts.begin(), parts.end());
  auto all = VectorsOf(embedder, workspace, texts, poolings, run);
  std::vector<RetrievalScore> out;
  for (size_t p = 0; p < poolings.size(); ++p) {
    const auto middle = all[p].begin() + static_cast<ptrdiff_t>(set.queries.size());
    const Vectors queries(all[p].begin(), middle), documents(middle, all[p].end());
    out.push_back({Name(poolings[p]), RecallOfVectors(set, queries, documents, owners)});
    if (trained) continue;
    const auto mean = MeanOf(documents);
    out.push_back({fmt::format("{}, centred", Name(poolings[p])),
                   RecallOfVectors(set, Centred(queries, mean), Centred(documents, mean), owners)});
  }
  return out;
}

}  // namespace linnet
