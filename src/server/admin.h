// Who may change what the server serves, and the routes for it.
#ifndef LINNET_SERVER_ADMIN_H_
#define LINNET_SERVER_ADMIN_H_

#include <memory>

#include "http/http.h"
#include "server/router.h"
#include "server/served_model.h"

namespace linnet {

// The request has one of the admin keys; or the server asks for no keys, and the request comes from
// this machine and from no proxy.
bool IsAdmin(const HttpRequest& request);

// Throws RequestError 403 otherwise.
void RequireAdmin(const HttpRequest& request);

// GET /v1/admin/models; POST /v1/admin/models/load, unload and switch. For administrators. Models
// are asked for by name: no path of a request is ever opened.
void AddAdminRoutes(Router& router, std::shared_ptr<const ServedModels> models);

}  // namespace linnet

#endif  // LINNET_SERVER_ADMIN_H_
