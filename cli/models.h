// The models that are there without a file's name: the built-in one and those that were pulled.
#ifndef LINNET_CLI_MODELS_H_
#define LINNET_CLI_MODELS_H_

#include <cstddef>
#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

namespace linnet::cli {

struct ModelFacts {
  std::string generation;
  size_t layers = 0, width = 0;
  uint64_t parameters = 0;
};

struct ModelHere {
  std::string name, full_name, path;  // `path` is empty for the built-in model
  uint64_t bytes = 0;                 // of its files
  int64_t time = 0;                   // of the pull; 0: built in
  ModelFacts facts;
  std::string problem;  // why it cannot be used; then there are no facts

  std::string Describe() const;  // one line without the name
};

nlohmann::ordered_json ToJson(const ModelHere& model);

// Reads their headers. Does not throw for those that are damaged.
std::vector<ModelHere> ModelsHere();

}  // namespace linnet::cli

#endif  // LINNET_CLI_MODELS_H_
