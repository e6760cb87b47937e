// Who may change what the server serves, and the routes for it.
#ifndef LINNET_SERVER_ADMIN_H_
#define LINNET_SERVER_ADMIN_H_

#include <memory>

#include "http/http.h"
#include "server/model_store.h"
#include "server/router.h"
#include "server/served_model.h"

namespace linnet {

// The request has one of the admin keys; or the server asks for no keys, and the request comes from
// this machine and from no proxy.
bool IsAdmin(const HttpRequest& request);

// Throws RequestError 403 otherwise.
void RequireAdmin(const HttpRequest& request);

// The request has one of the admin keys; or the operator allows it from this machine, and IsAdmin.
bool MayChangeModels(const HttpRequest& request, const ModelChanges& changes);
// The store. Throws RequestError 403 unless there is one and MayChangeModels.
ModelStore& StoreFor(const HttpRequest& request, const ModelChanges& changes);

// GET /v1/admin/models; POST /v1/admin/models/load, unload and switch. For administrators. Models
// are asked for by name: no path of a request is ever opened.
void AddAdminRoutes(Router& router, std::shared_ptr<const ServedModels> models,
                    const ModelChanges& changes = {});

}  // namespace linnet

#endif  // LINNET_SERVER_ADMIN_H_
