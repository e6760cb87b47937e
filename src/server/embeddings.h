// POST /v1/embeddings: texts as vectors.
#ifndef LINNET_SERVER_EMBEDDINGS_H_
#define LINNET_SERVER_EMBEDDINGS_H_

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "engine/job.h"
#include "server/json_fields.h"
#include "server/router.h"
#include "server/served_model.h"

namespace linnet {

struct EmbeddingRequest {
  std::string model{};
  std::vector<std::vector<int32_t>> inputs{};  // tokens
  bool base64 = false;
  std::optional<size_t> dimensions{};
  std::optional<EmbeddingUse> use{};
};

// `input` is a text, tokens, or a list of either. Throws RequestError naming the field: an empty
// input, an id outside the vocabulary, too many inputs.
EmbeddingRequest ParseEmbedding(const Json& body, const ServedModels& models);

// The job that embeds these tokens, and the vector, divided by its length, of what its listener
// gets. Throws Error kBadInput if the model has no head for this use.
Job EmbeddingJob(const ServedModel& served, std::vector<int32_t> tokens, const std::string& owner);
std::vector<float> EmbeddingOf(const ServedModel& served, std::span<const float> pooled,
                               std::optional<EmbeddingUse> use = {});

// A vector as a JSON list with the digits that a float needs, or as a JSON string of the base64 of
// its bytes, little-endian.
std::string EmbeddingText(std::span<const float> vector, bool base64);

// The body of the answer, of the vectors as EmbeddingText and the number of tokens of all inputs.
using EmbeddingAnswer = std::function<std::string(std::span<const std::string>, size_t tokens)>;

// Answers `call` with what `answer` makes of the vectors. Each input is a job of its own; some run
// at a time, so that a long list does not fill the queue. Throws what the scheduler throws for the
// first one.
void RunEmbeddings(std::shared_ptr<const ServedModel> served, EmbeddingRequest request,
                   const RouteCall& call, EmbeddingAnswer answer);

// `dimensions` must be the model's width: the first values of a longer vector mean nothing by
// themselves.
void AddEmbeddingRoutes(Router& router, std::shared_ptr<const ServedModels> models);

}  // namespace linnet

#endif  // LINNET_SERVER_EMBEDDINGS_H_
