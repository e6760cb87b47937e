// Schema: what a model consists of, said once. Every parameter with its shape, role and initial
// values, every slot of a state. Binding, detection, new models, files, names of other programs,
// optimizer groups and states read it here.
#ifndef LINNET_MODELS_SCHEMA_H_
#define LINNET_MODELS_SCHEMA_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "linnet/config.h"
#include "linnet/state.h"
#include "ops/pass.h"

namespace linnet {

// All generations, in the order of their release.
inline constexpr std::array kGenerations = {
    Generation::k4,    Generation::k50, Generation::k51, Generation::k52, Generation::k6,
    Generation::k6moe, Generation::k7,  Generation::k7a, Generation::k7b, Generation::kGoldFinch};

// ---- Names of tensors ----

// "blocks.12.att.key.weight" → 12, "att.key.weight". `rest` points into the name.
struct NameInBlock {
  size_t layer;
  std::string_view rest;
};
// nullopt if the name is not PREFIX, a number, a dot and more.
std::optional<NameInBlock> SplitBlockName(std::string_view name,
                                          std::string_view prefix = "blocks.");
std::string BlockName(size_t layer, std::string_view rest);

// The experts of a layer: "ffn.moe.deepspeed_moe.experts.deepspeed_experts.3.ffn_key.weight" → 3,
// "ffn_key.weight", from the name of the tensor in its layer.
std::optional<NameInBlock> SplitExpertName(std::string_view rest);
std::string ExpertName(size_t expert, std::string_view rest);

// ---- Parameters ----

// How a parameter is read.
enum class ParameterRole : uint8_t {
  kVector,  // as f32 values: mixes, decays, norms
  kMatrix,  // [out, in]: by products
  kFactor,  // a low-rank factor [in, out], or a stack of them [slices, in, out]: by products
  kTable,   // row by row: one row per token
  kExpert,  // [out, in], one of a stack: by products with the rows of its tokens, read when needed
};

// The initial values of a parameter.
enum class StartKind : uint8_t {
  kConstant,    // `scale` everywhere
  kCurve,       // curve(i) of the element's index
  kUniform,     // in (-scale, scale)
  kOrthogonal,  // rows or columns, whichever are fewer, orthonormal and times `scale`
};

// What other programs call a parameter, within a layer; empty if that follows from rules (names.cc,
// gguf_names.cc) or the program does not have it.
struct OtherNames {
  std::string gguf{}, fla{}, hugging_face{}, web_rwkv{};
};

struct ParameterSpec {
  std::string name;           // as released: blocks.0.att.key.weight
  std::vector<size_t> shape;  // as released
  StartKind start = StartKind::kConstant;
  double scale = 0;
  std::function<double(size_t)> curve{};
  // Center and half-width of random values, chosen so that a model of any size stays finite.
  double center = 0, spread = 0;

  ParameterRole role = ParameterRole::kVector;
  double rate = 1;      // factor of the learning rate, as in RWKV-LM's configure_optimizers
  bool unused = false;  // some files have it, nothing reads it
  bool idle = false;    // all files have it; it tells the number of heads, no equation reads it
  std::string also{};   // another name under which some files have it
  OtherNames others{};

  size_t elements() const;
  // Whether weight decay applies: to matrices and tables.
  bool decays() const {
    return role == ParameterRole::kMatrix || role == ParameterRole::kTable ||
           role == ParameterRole::kExpert;
  }
};

// Every parameter of a model in the order of the released files, unused ones included.
std::vector<ParameterSpec> ParametersOf(const Config& config);

// The parameters of some model with two layers, by name. All later layers are like its second.
using SpecsByName = std::map<std::string, ParameterSpec, std::less<>>;
const SpecsByName& ParametersIn(Generation generation);

// The parameter of this name in models of a generation, with the sizes of that model. The second
// form returns that of the first generation with the name; roles do not differ between them. Null
// if there is none. Thread-safe.
const ParameterSpec* FindParameter(Generation generation, const std::string& name);
const ParameterSpec* FindParameter(const std::string& name);

// Whether nothing reads this tensor in any generation, so that files of one model may differ in it.
bool IsUnused(const std::string& name);

// ---- Blocks ----

class Block;
class BlockBinder;
class BlockBuilder;

// A vector or the matrices of heads that a layer keeps in a state. Slots follow each other in a
// state's memory in the order in which they are listed.
struct MemorySlot {
  std::string name;                                 // att_shift, wkv, aa, …
  std::vector<size_t> shape;                        // in the reference's list of a state
  size_t LayerStrides::*part = &LayerStrides::wkv;  // where ops find it
  float first = 0;                                  // the value at the start of a sequence
  // The reference stores [heads, value, key], ours is [heads, key, value].
  bool transposed = false;

  size_t floats() const;
};

// The size of a low-rank factor, which the model's tensors tell: the columns of TENSOR.
struct RankSource {
  const char* rank;
  const char* tensor;
  size_t slices = 1;  // the columns are so many times the rank
  size_t layer = 0;   // the first layer that has the tensor
};

struct BlockSchema {
  void (*parameters)(BlockBuilder& block) = nullptr;
  std::vector<MemorySlot> (*memory)(size_t width, size_t heads, size_t head_size) = nullptr;
  // Of attention, per token: the rows that a state keeps, and the keys and values that follow from
  // them, whose type is RowStorage'.
  std::vector<RowSlot> (*kept)(const StateShape& shape, size_t layer) = nullptr;
  std::vector<RowSlot> (*finished)(const StateShape& shape, size_t layer) = nullptr;
  // The reference's list has places for the rows and queries of at least so many layers.
  size_t reference_layers = 0;
  std::vector<RankSource> ranks{};
  // The first dimension of this tensor is the number of heads; null: one head.
  const char* heads_from = nullptr;
  size_t heads_dimensions = 0;   // that the tensor must have; 0: any
  bool reads_embedding = false;  // layers read Pass::embedding
  // The layer with these parameters and its equations (block.h).
  std::unique_ptr<Block> (*bind)(BlockBinder& b) = nullptr;
  // If a model has two kinds of layers: the schema of those from Config::attention_from on.
  const BlockSchema* attention = nullptr;
  void (*model)(BlockBuilder& b) = nullptr;  // parameters of no layer, besides those that all have
};

// Of the first layer.
const BlockSchema& SchemaOf(Generation generation);
const BlockSchema& SchemaOf(Generation generation, size_t layer, size_t attention_from);
// Whether models of a generation keep rows per token.
bool HasAttention(Generation generation);

// ---- States ----

StateShape StateShapeOf(const Config& config);
// The slots of a layer, and where ops find them (ops/pass.h), for all layers.
std::vector<MemorySlot> MemoryOf(const StateShape& shape, size_t layer);
std::vector<LayerStrides> StridesOf(const StateShape& shape);

// The rows per token of all layers, empty without attention. Before those that a state keeps are
// the token ids.
std::vector<RowSlot> KeptRows(const StateShape& shape);
std::vector<RowSlot> FinishedRows(const StateShape& shape);

}  // namespace linnet

#endif  // LINNET_MODELS_SCHEMA_H_
