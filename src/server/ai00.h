// Ai00's routes, /api/oai/… and /api/…, with its defaults.
#ifndef LINNET_SERVER_AI00_H_
#define LINNET_SERVER_AI00_H_

#include <memory>

#include "server/router.h"
#include "server/served_model.h"

namespace linnet {

// chat/completions and completions, under /api/oai and /api/oai/v1.
void AddAi00Texts(Router& router, std::shared_ptr<const ServedModels> models);
// chooses, states, embeds and models, under the same; models/info, models/state and adapters under
// /api.
void AddAi00Others(Router& router, std::shared_ptr<const ServedModels> models);

}  // namespace linnet

#endif  // LINNET_SERVER_AI00_H_
