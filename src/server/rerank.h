// POST /v1/rerank: documents by how well they fit a query, in the form of Cohere's and Jina's
// routes.
#ifndef LINNET_SERVER_RERANK_H_
#define LINNET_SERVER_RERANK_H_

#include <memory>

#include "server/router.h"
#include "server/served_model.h"

namespace linnet {

// Also at the paths of llama-server and vLLM. A language model that was not trained for it: the
// relevance of a document is exp(mean log-probability of a token of the query after "DOCUMENT\n\n
// Question:"). Each document is a job, and its state is kept for other queries. An embedding model
// with a reranker gives the reranker's probability, one without the cosine of the vectors.
void AddRerankRoutes(Router& router, std::shared_ptr<const ServedModels> models);

}  // namespace linnet

#endif  // LINNET_SERVER_RERANK_H_
