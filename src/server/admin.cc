#include "server/admin.h"

#include <string>
#include <string_view>
#include <utility>

#include "server/json_fields.h"
#include "server/openai_errors.h"

namespace linnet {
namespace {

OrderedJson AdminModel(const ModelEntry& model) {
  OrderedJson object = {{"id", model.name},
                        {"object", "model"},
                        {"loaded", model.served != nullptr},
                        {"default", model.is_default},
                        {"kept", model.kept},
                        {"bytes", model.bytes},
                        {"users", model.users},
                        {"unused_s", nullptr}};
  if (model.unused) object["unused_s"] = model.unused->count();
  return object;
}

void SendAdminModel(HttpReply& reply, const ServedModels& models, const std::string& name) {
  const auto entries = models.entries();
  for (const ModelEntry& model : entries) {
    if (model.name == name) return reply.Send(200, Dump(AdminModel(model)));
  }
  throw NoSuchModel(name, entries);
}

std::string ModelField(const RouteCall& call) {
  const Json body = ParseBody(call.request.body);
  return Fields(body).RequiredString("model");
}

void SwitchModel(const RouteCall& call, const ServedModels& models) {
  const Json json = ParseBody(call.request.body);
  const Fields body(json);
  const std::string name = models.Find(body.RequiredString("model"))->name;
  const bool keep = body.Bool("keep", false);
  std::string before;
  for (const ModelEntry& model : models.entries()) {
    if (model.is_default) before = model.name;
  }
  models.SetDefault(name);
  if (!keep && before != name) {
    try {
      models.Unload(before);
    } catch (const RequestError&) {
      // Its requests go on; it goes when room is needed.
    }
  }
  SendAdminModel(*call.reply, models, name);
}

}  // namespace

bool IsAdmin(const HttpRequest& request) {
  if (request.admin) return true;
  if (!request.owner.empty()) return false;  // a key that is no admin's
  const std::string_view peer = request.peer;
  const bool local = peer == "unix" || peer.starts_with("127.") || peer.starts_with("[::1]") ||
                     peer.starts_with("[::ffff:127.");
  return local && request.Header("x-forwarded-for").empty() && request.Header("forwarded").empty();
}

void RequireAdmin(const HttpRequest& request) {
  if (IsAdmin(request)) return;
  throw RequestError(403,
                     request.owner.empty()
                         ? "only a client on the server's own machine may do this, or one with an "
                           "administrator's key"
                         : "only an administrator's key may do this",
                     "", "admin_only");
}

bool MayChangeModels(const HttpRequest& request, const ModelChanges& changes) {
  return changes.store != nullptr && (request.admin || (changes.from_here && IsAdmin(request)));
}

ModelStore& StoreFor(const HttpRequest& request, const ModelChanges& changes) {
  if (MayChangeModels(request, changes)) return *changes.store;
  std::string message = changes.store == nullptr
                            ? "this server changes no models"
                            : "only an administrator may change which models there are";
  if (!changes.way_out.empty()) message += ": " + changes.way_out;
  throw RequestError(403, message, "", "permission_denied");
}

void AddAdminRoutes(Router& router, std::shared_ptr<const ServedModels> models,
                    const ModelChanges& changes) {
  const auto add = [&](const char* method, const std::string& what, auto answer) {
    router.Add(method, "/v1/admin/models" + what, [models, answer](const RouteCall& call) {
      RequireAdmin(call.request);
      answer(call, *models);
    });
  };
  add("GET", "", [changes](const RouteCall& call, const ServedModels& all) {
    OrderedJson data = OrderedJson::array();
    for (const ModelEntry& model : all.entries()) data.push_back(AdminModel(model));
    call.reply->Send(200, Dump(OrderedJson{{"object", "list"},
                                           {"data", std::move(data)},
                                           {"changes", MayChangeModels(call.request, changes)}}));
  });
  add("POST", "/load", [](const RouteCall& call, const ServedModels& all) {
    const std::string name = all.Find(ModelField(call))->name;
    SendAdminModel(*call.reply, all, name);
  });
  add("POST", "/unload", [](const RouteCall& call, const ServedModels& all) {
    const std::string name = ModelField(call);
    all.Unload(name);
    // It may be gone from the folder of models, too.
    ModelEntry left{.name = name, .kept = false};
    for (const ModelEntry& model : all.entries()) {
      if (model.name == name) left = model;
    }
    call.reply->Send(200, Dump(AdminModel(left)));
  });
  add("POST", "/switch", SwitchModel);
}

}  // namespace linnet
