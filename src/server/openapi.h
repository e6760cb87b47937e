// The description of all routes in OpenAPI 3.1, for GET /openapi.json.
#ifndef LINNET_SERVER_OPENAPI_H_
#define LINNET_SERVER_OPENAPI_H_

#include <memory>
#include <string>
#include <vector>

#include "server/json_fields.h"
#include "server/router.h"
#include "server/served_model.h"

namespace linnet {

// With these names in place of the schema of `model`.
Json OpenApi(const std::vector<std::string>& models);

// GET /openapi.json.
void AddOpenApiRoute(Router& router, const ServedModels& models);

}  // namespace linnet

#endif  // LINNET_SERVER_OPENAPI_H_
