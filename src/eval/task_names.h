// Tasks that differ in a few words share one description.
#ifndef LINNET_EVAL_TASK_NAMES_H_
#define LINNET_EVAL_TASK_NAMES_H_

#include <vector>

#include "eval/python_text.h"

namespace linnet {

// One set of fields for each entry of metadata.names, {NAME: {WORD: TEXT}}: in all texts %name% is
// NAME and %WORD% is TEXT. The fields themselves if there is no such entry.
std::vector<TaskJson> ExpandedTasks(const TaskJson& fields);

}  // namespace linnet

#endif  // LINNET_EVAL_TASK_NAMES_H_
