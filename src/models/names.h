// Checkpoint: a file's tensors with BlinkDL's names and orientation, whichever program wrote it.
#ifndef LINNET_MODELS_NAMES_H_
#define LINNET_MODELS_NAMES_H_

#include <filesystem>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "io/tensor_file.h"
#include "models/header.h"
#include "models/match_experts.h"

namespace linnet {

// The program whose tensor names a checkpoint uses.
enum class TensorNaming : uint8_t {
  kBlinkDL,      // as released: blocks.0.att.time_decay, [in, out] low-rank matrices
  kWebRwkv,      // converted for web-rwkv: some renamed, low-rank matrices transposed
  kHuggingFace,  // transformers' RWKV-4, 5, 6: rwkv.blocks.0.attention.time_decay
  kFla,          // flash-linear-attention's RWKV-7: model.layers.0.attn.x_r, or without `model.`
  kLlamaCpp,     // GGUF: blk.0.time_mix_lerp_fused.weight
  kRwkvCpp,      // rwkv.cpp's .bin files: BlinkDL's names, some values transformed
};

const char* Name(TensorNaming naming);

// The tensor of a safetensors file that stores its vocabulary: U8 with one dimension, the text of a
// vocabulary file (World's format, or a tokenizer.json) compressed by DeflateText.
inline constexpr char kVocabularyTensor[] = "vocabulary";
inline constexpr size_t kMaxVocabularyBytes = size_t{16} << 20;  // of the text
// Prefix of the tensors that a training checkpoint stores in addition to the model.
inline constexpr char kTrainingPrefix[] = "training.";

// The tensor name of a layer's tuned initial state, in state files and in models:
// blocks.N.att.time_state.
std::string TimeStateName(size_t layer);
bool IsTimeState(std::string_view name);

// Removes the `model.` prefix that trainers add to BlinkDL's name (RWKV-PEFT's init_pissa.pth).
// Other names are unchanged.
std::string WithoutTrainersPrefix(const std::string& name);
// Whether the names are those of EmbeddingRWKV or its reranker, which put the layers under `rwkv.`
// or `reranker.`; and the name without that.
bool HasEmbeddingNames(const TensorFile& file);
std::string WithoutEmbeddingPrefix(const std::string& name);
// TensorFile::Open with such renames, for adapters and states, which use only BlinkDL's names.
TensorFile OpenTensors(const std::filesystem::path& path);
// The same of TensorFile::Parse.
TensorFile ParseTensors(std::span<const std::byte> bytes, const std::string& name);

// Owns the mapped file; the tensors are views into it. Immutable.
class Checkpoint {
 public:
  // Throws what TensorFile::Open and ReadHeader throw. Also reads packed files (packed.h).
  explicit Checkpoint(const std::filesystem::path& path);
  explicit Checkpoint(TensorFile file);

  const TensorFile& file() const { return file_; }
  TensorNaming naming() const { return naming_; }
  bool packed() const { return packed_; }
  const Header& header() const { return header_; }
  // Tensors whose names are not known and that were told by their shapes.
  std::span<const MatchedTensor> matched() const { return matched_; }
  std::span<const TensorView> tensors() const { return tensors_; }  // without the vocabulary
  const TensorView* Find(const std::string& name) const;            // null if absent
  bool Has(const std::string& name) const { return Find(name) != nullptr; }

  // The vocabulary stored in the file: the raw bytes, and the decompressed text, which is not
  // validated. Empty if there is none. Vocabulary throws Error kBadModel if it is damaged.
  std::span<const std::byte> stored_vocabulary() const { return vocabulary_; }
  std::string Vocabulary() const;

 private:
  void TakeVocabulary();
  void TieHead();

  TensorFile file_;
  bool packed_;
  TensorNaming naming_ = TensorNaming::kBlinkDL;
  std::vector<std::unique_ptr<Encoding>> encodings_;
  std::vector<TensorView> tensors_;
  std::vector<MatchedTensor> matched_;
  Header header_;
  std::map<std::string, size_t, std::less<>> index_;
  std::span<const std::byte> vocabulary_;
};

}  // namespace linnet

#endif  // LINNET_MODELS_NAMES_H_
