// Attention over a long context: decoding relative to reading the same rows, prompts relative to
// the machine's multiply-adds.
//   attention_bench [--threads N] [--isa NAME]
#include <fmt/format.h>
#include <time.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/arena.h"
#include "base/thread_pool.h"
#include "kernels/convert.h"
#include "kernels/isa.h"
#include "kernels/peaks.h"
#include "ops/ops.h"

namespace linnet {
namespace {

struct Shape {
  const char* name;
  size_t heads, key_size, value_size, layers;
  float cap;
};

// Of one thread its processor time, which other programs affect little; else the elapsed time.
double Now(size_t threads) {
  timespec t;
  clock_gettime(threads == 1 ? CLOCK_PROCESS_CPUTIME_ID : CLOCK_MONOTONIC, &t);
  return static_cast<double>(t.tv_sec) + 1e-9 * static_cast<double>(t.tv_nsec);
}

double Seconds(size_t threads, const std::function<void()>& run) {
  const double start = Now(threads);
  run();
  return Now(threads) - start;
}

std::vector<float> Values(size_t n) {
  std::vector<float> values(n);
  for (size_t i = 0; i < n; ++i) values[i] = std::sin(1.7f * static_cast<float>(i % 8191));
  return values;
}

class Context {
 public:
  Context(const Shape& shape, RowType type, size_t threads)
      : shape_(shape), pool_(threads), type_(type) {
    std::vector<RowSlot> slots;
    for (size_t layer = 0; layer < shape.layers; ++layer) {
      slots.push_back({"k", shape.heads * shape.key_size, type});
      slots.push_back({"v", shape.heads * shape.value_size, type});
    }
    memory_ = TokenMemory(std::make_shared<RowLayout>(slots));
  }

  void Fill(size_t tokens) {
    const size_t begin = memory_.tokens();
    memory_.Append(tokens);
    const auto values = Values(shape_.heads * std::max(shape_.key_size, shape_.value_size));
    for (size_t t = begin; t < memory_.tokens(); ++t) {
      for (size_t slot = 0; slot < 2 * shape_.layers; ++slot) {
        std::byte* row = memory_.MutableRow(slot, t);
        const size_t n = memory_.layout()->slots()[slot].width;
        if (type_ == RowType::kF16) {
          F32ToF16Row(values.data(), n, reinterpret_cast<uint16_t*>(row));
        } else {
          std::copy_n(values.data(), n, reinterpret_cast<float*>(row));
        }
      }
    }
  }

  // The last `rows` tokens attend, in every layer.
  void Attend(size_t rows) {
    const Segment segment{0, rows};
    Pass p{.arena = arena_, .pool = pool_, .segments = {&segment, 1}, .strides = {}};
    const size_t n = shape_.heads * shape_.key_size, m = shape_.heads * shape_.value_size;
    q_.resize(rows * n, 0.01f);
    v_.resize(rows * m, 0.5f);
    const Var q{{q_.data(), rows, n, n}, {}}, v{{v_.data(), rows, m, m}, {}};
    const AttentionShape shape{shape_.heads, 0.1f, shape_.cap};
    for (size_t layer = 0; layer < shape_.layers; ++layer) {
      const Arena::Scope scope(arena_);
      const PastRows past{&memory_, memory_.tokens() - rows, 2 * layer, 2 * layer + 1};
      Attention(p, q, q, v, shape, {&past, 1});
    }
  }

  // Reads all rows as decoding does: layer by layer, each thread its share of the pages.
  void Read() {
    for (size_t slot = 0; slot < 2 * shape_.layers; ++slot) {
      const size_t bytes = TokenMemory::kPageTokens * memory_.layout()->row_bytes(slot);
      pool_.ForRanges(memory_.pages(), 4, [&](size_t begin, size_t end) {
        for (size_t page = begin; page < end; ++page) {
          ReadWork(memory_.Row(slot, page * TokenMemory::kPageTokens), bytes);
        }
      });
    }
  }

  double bytes() const { return static_cast<double>(memory_.bytes()); }
  ThreadPool& pool() { return pool_; }

 private:
  Shape shape_;
  ThreadPool pool_;
  RowType type_;
  TokenMemory memory_;
  Arena arena_;
  std::vector<float> q_, v_;
};

void Decode(const Shape& shape, RowType type, size_t threads) {
  Context c(shape, type, threads);
  c.Fill(8192);
  double read = 1e9, attend = 1e9;
  for (int i = 0; i < 15; ++i) {
    read = std::min(read, Seconds(threads, [&] { c.Read(); }));
    attend = std::min(attend, Seconds(threads, [&] { c.Attend(1); }));
  }
  fmt::print("{:9} {} decode at 8192: {:5.1f} GB/s, {:3.0f} % of reading ({:.1f})\n", shape.name,
             type == RowType::kF16 ? "f16" : "f32", 1e-9 * c.bytes() / attend, 100 * read / attend,
             1e-9 * c.bytes() / read);
}

void Prompt(Shape shape, RowType type, size_t threads) {
  shape.layers = 1;
  double peak = 1e9, attend = 1e9;
  constexpr size_t kTokens = 4096, kPass = 256, kRounds = 1 << 18;
  const double work = static_cast<double>(threads) * static_cast<double>(F32Work(kRounds));
  for (int i = 0; i < 5; ++i) {
    Context c(shape, type, threads);
    peak = std::min(peak, Seconds(threads, [&] {
                            c.pool().For(threads, [](size_t) { F32Work(kRounds); });
                          }) / work);
    double sum = 0;
    for (size_t t = 0; t < kTokens; t += kPass) {
      c.Fill(kPass);
      sum += Seconds(threads, [&] { c.Attend(kPass); });
    }
    attend = std::min(attend, sum);
  }
  const double pairs = 0.5 * kTokens * (kTokens + 1) * static_cast<double>(shape.heads);
  const double flops = 2 * pairs * static_cast<double>(shape.key_size + shape.value_size);
  fmt::print("{:9} {} prompt of {}: {:5.1f} GFLOP/s, {:3.0f} % of multiply-adds ({:.0f})\n",
             shape.name, type == RowType::kF16 ? "f16" : "f32", kTokens, 1e-9 * flops / attend,
             100 * flops * peak / attend, 1e-9 / peak);
}

}  // namespace
}  // namespace linnet

int main(int argc, char** argv) {
  size_t threads = 1;
  for (int i = 1; i + 1 < argc; i += 2) {
    if (std::string_view(argv[i]) == "--isa") linnet::ForceIsa(*linnet::ParseIsa(argv[i + 1]));
    if (std::string_view(argv[i]) == "--threads") threads = std::stoul(argv[i + 1]);
  }
  const linnet::Shape shapes[] = {{"7b", 1, 256, 768, 6, 64.0f},
                                  {"GoldFinch", 12, 64, 64, 6, 0.0f}};
  for (const auto& shape : shapes) {
    for (const auto type : {linnet::RowType::kF16, linnet::RowType::kF32}) {
      linnet::Decode(shape, type, threads);
      linnet::Prompt(shape, type, threads);
    }
  }
}
