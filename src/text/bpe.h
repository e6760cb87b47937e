// Bpe: byte-pair merges of one word.
#ifndef LINNET_TEXT_BPE_H_
#define LINNET_TEXT_BPE_H_

#include <array>
#include <cstdint>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace linnet {

// Set up once, then immutable: any number of threads may use it at the same time, each with its own
// Scratch.
class Bpe {
 public:
  // Working memory, reused for every word.
  struct Scratch {
    struct Symbol {
      int32_t id;
      int32_t next;  // -1: none
      int32_t previous;
    };
    struct Candidate {
      uint32_t rank;
      int32_t at;  // the left symbol
      int32_t left, right, merged;
    };
    std::vector<Symbol> symbols;
    std::vector<Candidate> heap;
  };

  Bpe() { byte_ids_.fill(-1); }
  void SetByte(uint8_t byte, int32_t id) { byte_ids_[byte] = id; }
  int32_t ByteId(uint8_t byte) const { return byte_ids_[byte]; }
  // Lower ranks merge first. If a pair is set twice, the last call counts.
  void SetMerge(int32_t left, int32_t right, uint32_t rank, int32_t merged);

  // Appends the ids of `word`; all of its bytes must have been set. Merges the pair of lowest rank
  // first, the leftmost among equals. Takes O(n log n) time.
  void Encode(std::string_view word, Scratch& scratch, std::vector<int32_t>& ids) const;

 private:
  struct Merge {
    uint32_t rank;
    int32_t merged;
  };
  void Consider(int32_t at, Scratch& scratch) const;

  std::array<int32_t, 256> byte_ids_;
  std::unordered_map<uint64_t, Merge> merges_;  // by left id << 32 | right id
};

}  // namespace linnet

#endif  // LINNET_TEXT_BPE_H_
