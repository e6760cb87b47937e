// The description of all routes in OpenAPI 3.1, for GET /openapi.json.
#ifndef LINNET_SERVER_OPENAPI_H_
#define LINNET_SERVER_OPENAPI_H_

#include "server/json_fields.h"
#include "server/router.h"
#include "server/served_model.h"

namespace linnet {

// What the description says of these models: their names, token ids that all of them have, and the
// sizes of embeddings.
Json OpenApi(const ServedModels& models);

// GET /openapi.json.
void AddOpenApiRoute(Router& router, std::shared_ptr<const ServedModels> models);

}  // namespace linnet

#endif  // LINNET_SERVER_OPENAPI_H_
