// Config: a model's generation and sizes, read from its tensors. InitSizes: the sizes of a new
// model.
#ifndef LINNET_CONFIG_H_
#define LINNET_CONFIG_H_

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>

namespace linnet {

// k50 to k52 are BlinkDL's 5.0, 5.1 and 5.2 (Eagle); rwkv.cpp calls 5.0 "5.1".
enum class Generation : uint8_t { k4, k50, k51, k52, k6, k6moe, k7, k7a, k7b, kGoldFinch };

const char* Name(Generation generation);  // "4", "5.0", "5.1", "5.2", "6", "7", …

// What a model makes of a text: the next token, or in EmbeddingRWKV's files a vector, or how well a
// document answers a query.
enum class Purpose : uint8_t { kText, kEmbedding, kReranker };

const char* Name(Purpose purpose);  // "text", "embedding", "reranker"

struct Config {
  Generation generation = Generation::k7;
  Purpose purpose = Purpose::kText;
  size_t layers = 0;
  size_t width = 0;                 // n_embd, C
  size_t att_width = 0;             // dim_att: C in every released model
  size_t heads = 1, head_size = 0;  // v4 has no heads: 1 head of size att_width
  size_t ffn = 0;
  size_t vocab = 0;
  size_t experts = 0;  // of each layer, of which a token uses one; only 6moe has them
  // Inner sizes of the low-rank matrices: v6 mix and decay; v7 w, a, v, g. GoldFinch: also cache,
  // the values per token that keys are compressed to.
  std::map<std::string, size_t> ranks;
  size_t attention_from = 0;  // GoldFinch: the first layer of attention; 0: there is none
  float norm_eps = 1e-5f;     // epsilon of every LayerNorm
  // Epsilon of the group norm after WKV. Training uses 1e-5 on values divided by 8.
  float ln_x_eps = 64e-5f;
};

// The rule for the inner sizes of v7's low-rank matrices; v6 has only one rule.
enum class RankRule : uint8_t { kReleased, kTrain };

// The sizes of a new model.
struct InitSizes {
  Generation generation = Generation::k7;
  size_t layers = 0, width = 0;
  size_t vocab = 65536, head_size = 64;
  size_t ffn = 0;  // 0: the generation's default
  RankRule ranks = RankRule::kReleased;
  size_t experts = 0;  // of 6moe; 0: 8, as released
};

}  // namespace linnet

#endif  // LINNET_CONFIG_H_
