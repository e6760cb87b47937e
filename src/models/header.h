// Header: what a checkpoint says of its model beside the tensors' names and shapes.
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

// Keys of GGUF files, rwkv.cpp's first numbers, config.json under Hugging Face's names, and the
// metadata of our own files. Every key that changes numbers is here or refused.
struct Header {
  struct Size {
    std::string key;   // as the header spells it
    std::string what;  // "layers", "width", "heads", "head_size", "ffn", "vocab", or a rank's name
    size_t value;
  };
  std::string file;         // that holds it
  std::vector<Size> sizes;  // to be compared with what the tensors' shapes say
  // Epsilons other than the released models'.
  std::optional<double> norm_eps, ln_x_eps;
  bool norm_eps_per_channel = false;  // the group norm's is head_size × norm_eps
  bool tied = false;                  // the embedding is the head too
};

// Throws Error kBadModel for a header that is damaged, and for what it says that Linnet does not
// run.
Header ReadHeader(const TensorFile& file, TensorNaming naming);

// Sets the epsilons of `config`, which the tensors' shapes gave. Throws Error kBadModel where these
// contradict the header: a file that lost its last layer would run as a smaller model.
void ApplyHeader(const Header& header, const std::string& file, Config& config);

// A whole number of the metadata; none if the key is absent. Throws Error kBadModel for other text.
std::optional<size_t> NumberOf(const TensorFile& file, const std::string& key);

// The metadata that keeps a model's epsilons in a safetensors file; empty for those of released
// models, which need none.
std::map<std::string, std::string> EpsilonMetadata(const Config& config);

// Throws Error kBadModel if `out`, of a format without a place for them, would lose the epsilons of
// the model `in`: another program would compute other numbers from it.
void RefuseLostEpsilons(const Config& config, const std::filesystem::path& in,
                        const std::filesystem::path& out);

}  // namespace linnet

#endif  // LINNET_MODELS_HEADER_H_
