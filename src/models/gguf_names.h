// The tensors of llama.cpp's and rwkv.cpp's files under BlinkDL's names, shapes and orientation,
// and with the values that the model was released with: what their converters did is undone.
#ifndef LINNET_MODELS_GGUF_NAMES_H_
#define LINNET_MODELS_GGUF_NAMES_H_

#include <memory>
#include <string>
#include <vector>

#include "io/tensor_file.h"

namespace linnet {

// Views into a file, which must outlive them, and what some of them are read through.
struct RenamedTensors {
  std::vector<TensorView> views;
  std::vector<std::unique_ptr<Encoding>> encodings;
};

// A GGUF file of architecture rwkv6 or rwkv7. Layer 0's v0, v1, v2, copies of a0, a1, a2, are left
// out. Throws Error kBadModel for other architectures, adapters and parts of a split file.
RenamedTensors FromGguf(const TensorFile& file);

// A file of rwkv.cpp. RWKV-4's and 5's decays and `time_first` come back by logarithms in double,
// good to a few units in the last place of what the model makes of them.
RenamedTensors FromGgmf(const TensorFile& file);

// How many powers of two llama.cpp divides a layer's output matrices by.
size_t GgufRescale(size_t layer, size_t every);

// A tensor of a model under llama.cpp's name; empty if that has none for it.
// "blocks.3.att.w1" → "blk.3.time_mix_w1.weight".
std::string GgufName(const std::string& name);

}  // namespace linnet

#endif  // LINNET_MODELS_GGUF_NAMES_H_
