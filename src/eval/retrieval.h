// Retrieval: how often a model's vectors find the text that belongs to a query, beside BM25.
#ifndef LINNET_EVAL_RETRIEVAL_H_
#define LINNET_EVAL_RETRIEVAL_H_

#include <cstddef>
#include <filesystem>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "engine/embedder.h"

namespace linnet {

// Queries, and for each the one of the documents that is right.
struct RetrievalSet {
  std::string name{};
  std::vector<std::string> queries{}, documents{};
  std::vector<size_t> right{};
  size_t choices = 0;  // 0: all documents; else documents [choices · i, choices · (i + 1)) for i
};

// What is in a folder of the public files: FairytaleQA (fairytaleqa_qa.jsonl,
// fairytaleqa_stories.txt): from a question to its tale; and XCOPA (test.LANGUAGE.jsonl, here or in
// xcopa/): from a premise to the better of its two choices, all languages together, and from a
// premise in other languages to the same one in the first of them. At most `limit` queries of each,
// spread evenly; 0: all. Throws Error, also if there is none of them.
std::vector<RetrievalSet> ReadRetrievalSets(const std::filesystem::path& folder, size_t limit);

// Okapi BM25 (k1 1.2, b 0.75) over words: runs of letters and digits in lower case; the inverse
// document frequency is ln(1 + (N - n + 0.5) / (n + 0.5)).
class Bm25 {
 public:
  explicit Bm25(std::span<const std::string> documents);
  ~Bm25();
  Bm25(const Bm25&) = delete;
  Bm25& operator=(const Bm25&) = delete;
  std::vector<double> Scores(std::string_view query) const;  // of all documents

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

struct Recall {
  double at1 = 0, at5 = 0;  // shares of the queries
  size_t queries = 0;
};

// `scores(i)` are of the documents that query i chooses from, in order. The rank of the right one
// counts those that are better, and those before it that are equal.
Recall RecallOf(const RetrievalSet& set, const std::function<std::vector<double>(size_t)>& scores);

Recall RecallOfBm25(const RetrievalSet& set);

struct RetrievalScore {
  std::string method{};  // "mean", "mean, centred"
  Recall recall{};
};

// With each of the poolings, or EmbeddingRWKV's own; and of other models also centred: less the
// mean of the documents' vectors. With `passages` a document is as near as the nearest of its
// passages (text/passages.h).
std::vector<RetrievalScore> MeasureRetrieval(const RetrievalSet& set, const Embedder& embedder,
                                             Workspace& workspace, bool passages,
                                             const EmbedRun& run);

}  // namespace linnet

#endif  // LINNET_EVAL_RETRIEVAL_H_
