// Converts the tensors of llama.cpp's and rwkv.cpp's files back to BlinkDL's names, shapes,
// orientation and values, by undoing the changes of their converters.
#ifndef LINNET_MODELS_GGUF_NAMES_H_
#define LINNET_MODELS_GGUF_NAMES_H_

#include <memory>
#include <string>
#include <vector>

#include "io/tensor_file.h"
#include "models/schema.h"

namespace linnet {

// Views into a file, which must outlive them, and the encodings that some of them use.
struct RenamedTensors {
  std::vector<TensorView> views;
  std::vector<std::unique_ptr<Encoding>> encodings;
};

// Reads a GGUF file of architecture rwkv6 or rwkv7. Skips layer 0's v0, v1, v2, which are copies of
// a0, a1, a2. Throws Error kBadModel for other architectures, adapters and parts of a split file.
RenamedTensors FromGguf(const TensorFile& file);

// Reads a file of rwkv.cpp. RWKV-4's and 5's decays and `time_first` are recovered by logarithms in
// double precision, accurate to a few units in the last place of the values that the model computes
// from them.
RenamedTensors FromGgmf(const TensorFile& file);

// The power of two by which llama.cpp divides a layer's output matrices, as an exponent.
size_t GgufRescale(size_t layer, size_t every);

// llama.cpp's name of a parameter, empty if it has none: "blocks.3.att.w1" →
// "blk.3.time_mix_w1.weight".
std::string GgufName(const ParameterSpec& parameter);

}  // namespace linnet

#endif  // LINNET_MODELS_GGUF_NAMES_H_
