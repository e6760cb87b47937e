// The routes of /v1/responses: responses that the server keeps and continues.
#ifndef LINNET_SERVER_RESPONSES_H_
#define LINNET_SERVER_RESPONSES_H_

#include <memory>

#include "server/response_store.h"
#include "server/router.h"
#include "server/served_model.h"

namespace linnet {

// POST /v1/responses and /v1/responses/input_tokens; GET and DELETE /v1/responses/{id}; POST
// /v1/responses/{id}/cancel; GET /v1/responses/{id}/input_items.
//
// A response is a node of a tree: any response of the same owner that has ended can be continued,
// any number of times. A conversation is a name for a path of this tree, which the first response
// that names it begins, and has one writer at a time. What is running is known to this process
// only; the rest is in the store.
void AddResponseRoutes(Router& router, std::shared_ptr<const ServedModels> models,
                       std::shared_ptr<ResponseStore> store);

}  // namespace linnet

#endif  // LINNET_SERVER_RESPONSES_H_
