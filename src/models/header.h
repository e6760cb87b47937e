// Header: what a checkpoint states about its model in addition to the tensors.
#ifndef LINNET_MODELS_HEADER_H_
#define LINNET_MODELS_HEADER_H_

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "io/tensor_file.h"
#include "linnet/config.h"

namespace linnet {

enum class TensorNaming : uint8_t;

// Read from keys of GGUF files, rwkv.cpp's first numbers, config.json under Hugging Face's names,
// and the metadata of our own files. Every key that affects results is supported or rejected.
struct Header {
  struct Size {
    std::string key;   // as spelled in the header
    std::string what;  // "layers", "width", "heads", "head_size", "ffn", "vocab", or a rank's name
    size_t value;
  };
  std::string file;         // the file that contains the header
  std::vector<Size> sizes;  // compared with the sizes from the tensors' shapes
  // Set only if the header has them.
  std::optional<double> norm_eps, ln_x_eps;
  bool norm_eps_per_channel = false;  // the group norm's is head_size × norm_eps
  bool tied = false;                  // the embedding is the head too
};

// Throws Error kBadModel if the header is damaged, or asks for something that Linnet does not
// support.
Header ReadHeader(const TensorFile& file, TensorNaming naming);

// Sets the epsilons of `config`, whose sizes come from the tensors' shapes. Throws Error kBadModel
// if these sizes contradict the header: a file that lost its last layer would run as a smaller
// model.
void ApplyHeader(const Header& header, const std::string& file, Config& config);

// An integer from the metadata; nullopt if the key is absent. Throws Error kBadModel if it is not
// an integer.
std::optional<size_t> NumberOf(const TensorFile& file, const std::string& key);

// The metadata that stores a model's epsilons in a safetensors file; empty if they are the released
// models' defaults.
std::map<std::string, std::string> EpsilonMetadata(const Config& config);

// Throws Error kBadModel if the format of `out` cannot store the non-default epsilons of the model
// `in`: other programs would compute different results from it.
void RefuseLostEpsilons(const Config& config, const std::filesystem::path& in,
                        const std::filesystem::path& out);

}  // namespace linnet

#endif  // LINNET_MODELS_HEADER_H_
