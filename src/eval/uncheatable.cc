#include "eval/uncheatable.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numbers>

#include "linnet/error.h"

namespace linnet {

double CompressionScore::bits_per_byte() const {
  return nats / std::numbers::ln2 / static_cast<double>(bytes);
}
double CompressionScore::compression_rate() const { return bits_per_byte() * 0.125 * 100; }

std::vector<std::string> ReadDocuments(const std::filesystem::path& path) {
  std::vector<std::string> out;
  for (const TaskJson& row : ReadRowFile(path)) {
    const auto text = row.find("text");
    if (text == row.end() || !text->is_string()) {
      throw Error(ErrorKind::kBadInput, fmt::format("{}: found {}, expected a list of texts",
                                                    path.string(), PythonRepr(row).substr(0, 80)));
    }
    out.push_back(text->get<std::string>());
  }
  return out;
}

CompressionScore ScoreCompression(const Model& model, const Tokenizer& tokenizer,
                                  Workspace& workspace, std::span<const std::string> documents,
                                  const EvaluationOptions& options) {
  CompressionScore score{.documents = documents.size()};
  std::vector<TokenRequest> requests;
  std::vector<size_t> owners;  // the document of each
  // The documents of process r are at [bounds[r], bounds[r + 1]) of `nats`.
  std::vector<double> nats(documents.size());
  std::vector<size_t> bounds = {0}, places(documents.size());
  for (size_t r = 0, at = 0; r < options.processes; ++r) {
    for (size_t d = r; d < documents.size(); d += options.processes) places[d] = at++;
    bounds.push_back(at);
  }
  for (size_t d = 0; d < documents.size(); ++d) {
    const std::vector<int32_t> ids = tokenizer.Encode(documents[d]);
    score.tokens += ids.size();
    score.bytes += documents[d].size();
    score.characters += CountCharacters(documents[d]);
    if (d % options.processes != options.process) continue;
    for (size_t begin = 0; begin < ids.size(); begin += kUncheatableChunk) {
      const size_t count = std::min(kUncheatableChunk, ids.size() - begin);
      if (count < 2) continue;
      const auto first = ids.begin() + static_cast<std::ptrdiff_t>(begin);
      TokenRequest request{.tokens = {first, first + static_cast<std::ptrdiff_t>(count)},
                           .scored = 1};
      if (options.journal != nullptr) {
        if (const auto found = options.journal->Find(request)) {
          nats[places[d]] -= found->logprob;
          continue;
        }
      }
      requests.push_back(std::move(request));
      owners.push_back(d);
    }
  }
  ScoringOptions scoring = options.scoring;
  scoring.progress = [&](size_t done, size_t total) {
    if (options.progress) options.progress("scoring", done, total);
  };
  scoring.scored = [&](size_t i, const TokenScore& found) {
    if (options.journal != nullptr) options.journal->Add(requests[i], found);
  };
  const std::vector<TokenScore> found = ScoreContinuations(model, workspace, requests, scoring);
  for (size_t i = 0; i < owners.size(); ++i) nats[places[owners[i]]] -= found[i].logprob;
  if (options.processes > 1) options.exchange(nats, bounds);
  for (const size_t place : places) score.nats += nats[place];
  if (!std::isfinite(score.nats)) {
    throw Error(ErrorKind::kBadModel,
                "the loss is not finite: the weights hold infinities or NaN, or values that "
                "overflow on the way");
  }
  return score;
}

}  // namespace linnet
