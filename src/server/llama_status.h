// /props, /slots and /infill: what llama-server tells about itself.
#ifndef LINNET_SERVER_LLAMA_STATUS_H_
#define LINNET_SERVER_LLAMA_STATUS_H_

#include <memory>

#include "server/router.h"
#include "server/served_model.h"

namespace linnet {

// A slot is a place for a text that runs; texts are not tied to one. Nothing is told of prompts.
// /infill is refused: models here have no tokens for it.
void AddLlamaStatus(Router& router, std::shared_ptr<const ServedModels> models);

}  // namespace linnet

#endif  // LINNET_SERVER_LLAMA_STATUS_H_
