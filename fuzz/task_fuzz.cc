// Fuzzes the descriptions of tasks: YAML, and the fields of tasks.
#include <cstdint>
#include <string>

#include "eval/task_config.h"
#include "eval/task_names.h"
#include "eval/yaml_value.h"
#include "fuzz_target.h"
#include "linnet/error.h"

LINNET_FUZZ_TARGET(task) {
  try {
    const std::string text(reinterpret_cast<const char*>(data), size);
    for (const linnet::TaskJson& fields : linnet::ParseYaml(text, "task.yaml")) {
      if (!fields.is_object()) continue;
      for (const linnet::TaskJson& one : linnet::ExpandedTasks(fields))
        linnet::ParseTaskConfig(one, {});
    }
  } catch (const linnet::Error&) {
  }
}
