// The routes of /v1/states: states as things that clients make, keep, copy, compare and take away.
#ifndef LINNET_SERVER_STATES_H_
#define LINNET_SERVER_STATES_H_

#include <memory>

#include "server/json_fields.h"
#include "server/kept_states.h"
#include "server/router.h"
#include "server/served_model.h"

namespace linnet {

// The object of a kept state.
OrderedJson StateObject(const KeptState& state);

// POST and GET /v1/states, POST /v1/states/diff; GET, PUT and DELETE /v1/states/{state_id}; POST
// /v1/states/{state_id}/fork; GET /v1/states/{state_id}/content.
void AddStateRoutes(Router& router, std::shared_ptr<const ServedModels> models,
                    std::shared_ptr<KeptStates> states);

}  // namespace linnet

#endif  // LINNET_SERVER_STATES_H_
