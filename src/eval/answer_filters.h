// Filters of answers: from what a model wrote to what is compared.
#ifndef LINNET_EVAL_ANSWER_FILTERS_H_
#define LINNET_EVAL_ANSWER_FILTERS_H_

#include <string>

#include "eval/task_config.h"

namespace linnet {

// The steps of a filter, in order: take_first, remove_whitespace, lowercase, uppercase, map, regex
// (lm_eval/filters). Throws Error kBadInput for another step or a bad pattern.
std::string FilterAnswer(const TaskFilter& filter, const std::string& answer);

}  // namespace linnet

#endif  // LINNET_EVAL_ANSWER_FILTERS_H_
