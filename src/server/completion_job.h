// Jobs of raw prompts, for all routes that continue texts.
#ifndef LINNET_SERVER_COMPLETION_JOB_H_
#define LINNET_SERVER_COMPLETION_JOB_H_

#include <cstdint>
#include <vector>

#include "engine/job.h"
#include "server/completion_request.h"
#include "server/served_model.h"

namespace linnet {

// All but the prompt and its marks. Throws RequestError 400 for what the fields ask.
Job CompletionJob(const CompletionRequest& request, const ServedModel& served);

}  // namespace linnet

#endif  // LINNET_SERVER_COMPLETION_JOB_H_
