#include "server/completion_job.h"

#include <fmt/format.h>

#include "server/chat_plan.h"
#include "server/openai_errors.h"
#include "server/reply_grammar.h"

namespace linnet {
namespace {

constexpr const char* kBetweenStop = "✿";

}  // namespace

Job CompletionJob(const CompletionRequest& request, const ServedModel& served) {
  const GenerationFields& generation = request.generation;
  SamplerOptions base = served.text_sampling;
  const bool limited = generation.format.kind != OutputFormat::Kind::kText;
  if (limited) base.presence_penalty = base.frequency_penalty = 0;
  Job job = JobFor(generation, base, request.owner, served);
  job.choices = request.best_of;
  if (request.best_of > generation.choices) job.want_logprobs = true;
  job.score_prompt = request.echo && generation.logprobs;
  if (request.suffix) job.text.stops.emplace_back(kBetweenStop);
  if (limited) {
    const ReplyLimits limits{.format = generation.format};
    job.grammar = served.grammars->Find(request.owner + KeyOf(limits),
                                        [&] { return GrammarOfReply(limits); });
  }
  return job;
}

}  // namespace linnet
