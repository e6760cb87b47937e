// POST /v1/score: how likely the model finds given continuations of a context.
#ifndef LINNET_SERVER_SCORE_H_
#define LINNET_SERVER_SCORE_H_

#include <memory>

#include "server/router.h"
#include "server/served_model.h"

namespace linnet {

// The continuations share one job, which reads the context once (Job::continuations).
void AddScoreRoutes(Router& router, std::shared_ptr<const ServedModels> models);

}  // namespace linnet

#endif  // LINNET_SERVER_SCORE_H_
