#include "cli/processes.h"

#include <fmt/format.h>

#include <cstdlib>

#include "cli/cli.h"
#include "linnet/error.h"

#if defined(LINNET_WITH_MPI)

#define OMPI_SKIP_MPICXX 1
#include <mpi.h>

#include <algorithm>
#include <cstdio>
#include <vector>

#include "ops/sum_tree.h"

namespace linnet::cli {
namespace {

// Values sent at a time: limits the memory of a sum to a few megabytes per process.
constexpr size_t kPiece = size_t{1} << 20;

void Check(int code, const char* what) {
  if (code == MPI_SUCCESS) return;
  char text[MPI_MAX_ERROR_STRING] = {};
  int length = 0;
  MPI_Error_string(code, text, &length);
  throw Error(ErrorKind::kIo, fmt::format("{}: a process is lost: {}", what, text));
}

class MpiWorld final : public World {
 public:
  MpiWorld() {
    // Only this thread communicates with other processes; the pool's threads compute.
    int provided = 0;
    Check(MPI_Init_thread(nullptr, nullptr, MPI_THREAD_FUNNELED, &provided), "start");
    MPI_Comm_set_errhandler(MPI_COMM_WORLD, MPI_ERRORS_RETURN);
    int index = 0, size = 1;
    MPI_Comm_rank(MPI_COMM_WORLD, &index);
    MPI_Comm_size(MPI_COMM_WORLD, &size);
    index_ = static_cast<size_t>(index);
    size_ = static_cast<size_t>(size);
  }
  ~MpiWorld() override { MPI_Finalize(); }

  size_t index() const override { return index_; }
  size_t size() const override { return size_; }

  // One piece of every shard at a time: each process receives all processes' values of its own
  // shard and adds them in a fixed order.
  void ReduceScatter(std::span<float> values, ShardBounds shards) override {
    size_t longest = 0;
    for (size_t r = 0; r < size_; ++r) longest = std::max(longest, shards[r + 1] - shards[r]);
    const size_t piece = std::max<size_t>(1, kPiece / size_);
    received_.resize(size_ * piece);
    scratch_.resize((SumTreeDepth(size_) + 1) * piece);
    std::vector<int> counts(size_), offsets(size_), own(size_), places(size_);
    for (size_t begin = 0; begin < longest; begin += piece) {
      const auto length = [&](size_t r) {
        const size_t whole = shards[r + 1] - shards[r];
        return begin >= whole ? 0 : std::min(piece, whole - begin);
      };
      const size_t n = length(index_);
      // Displacements are ints, so the pieces are copied to a contiguous buffer.
      sent_.resize(size_ * piece);
      for (size_t r = 0, at = 0; r < size_; at += length(r), ++r) {
        counts[r] = static_cast<int>(length(r));
        offsets[r] = static_cast<int>(at);
        own[r] = static_cast<int>(n);
        places[r] = static_cast<int>(r * n);
        std::copy_n(values.begin() + shards[r] + std::min(begin, shards[r + 1] - shards[r]),
                    length(r), sent_.begin() + at);
      }
      Check(MPI_Alltoallv(sent_.data(), counts.data(), offsets.data(), MPI_FLOAT, received_.data(),
                          own.data(), places.data(), MPI_FLOAT, MPI_COMM_WORLD),
            "sum of gradients");
      if (n == 0) continue;
      const auto leaf = [&](size_t r, float* out) {
        std::copy_n(received_.data() + r * n, n, out);
      };
      SumInHalves(0, size_, n, leaf, values.data() + shards[index_] + begin, scratch_.data());
    }
  }

  void AllGather(std::span<float> values, ShardBounds shards) override {
    Share(values.data(), shards, MPI_FLOAT);
  }
  void AllGather(std::span<double> values, ShardBounds shards) override {
    Share(values.data(), shards, MPI_DOUBLE);
  }

  double Sum(double value) override {
    std::vector<double> all(size_);
    Check(MPI_Allgather(&value, 1, MPI_DOUBLE, all.data(), 1, MPI_DOUBLE, MPI_COMM_WORLD), "sum");
    return SumInHalves(all);
  }

  void Gather(std::span<const float> own, ShardBounds shards,
              const std::function<void(std::span<const float>)>& take) override {
    std::vector<float> piece(kPiece);
    for (size_t r = 0; r < size_; ++r) {
      const size_t whole = shards[r + 1] - shards[r];
      for (size_t begin = 0; begin < whole; begin += kPiece) {
        const size_t n = std::min(kPiece, whole - begin);
        if (r == 0 && index_ == 0) {
          take(own.subspan(begin, n));
        } else if (r == index_) {
          Check(MPI_Send(own.data() + begin, static_cast<int>(n), MPI_FLOAT, 0, 0, MPI_COMM_WORLD),
                "checkpoint");
        } else if (index_ == 0) {
          Check(MPI_Recv(piece.data(), static_cast<int>(n), MPI_FLOAT, static_cast<int>(r), 0,
                         MPI_COMM_WORLD, MPI_STATUS_IGNORE),
                "checkpoint");
          take(std::span(piece).first(n));
        }
      }
    }
  }

  int64_t FromFirst(int64_t value) override {
    Check(MPI_Bcast(&value, 1, MPI_INT64_T, 0, MPI_COMM_WORLD), "broadcast of process 0");
    return value;
  }

 private:
  template <class T>
  void Share(T* values, ShardBounds shards, MPI_Datatype type) {
    for (size_t r = 0; r < size_; ++r) {
      for (size_t at = shards[r]; at < shards[r + 1]; at += kPiece) {
        const auto n = static_cast<int>(std::min(kPiece, shards[r + 1] - at));
        Check(MPI_Bcast(values + at, n, type, static_cast<int>(r), MPI_COMM_WORLD),
              "exchange of values");
      }
    }
  }

  size_t index_ = 0, size_ = 1;
  std::vector<float> sent_, received_, scratch_;
};

}  // namespace

std::unique_ptr<World> JoinWorld() {
  // Set by Open MPI's mpirun and related launchers.
  if (std::getenv("OMPI_COMM_WORLD_SIZE") == nullptr) return std::make_unique<World>();
  return std::make_unique<MpiWorld>();
}

void AbandonWorld(const World& world, const char* why, int exit_code) {
  if (world.size() == 1) return;
  Say(fmt::format("linnet: process {}: {}\n", world.index(), why));
  MPI_Abort(MPI_COMM_WORLD, exit_code);
}

}  // namespace linnet::cli

#else

namespace linnet::cli {

std::unique_ptr<World> JoinWorld() {
  const char* size = std::getenv("OMPI_COMM_WORLD_SIZE");
  if (size != nullptr && std::atoi(size) > 1) {
    throw Error(ErrorKind::kBadInput,
                "started by mpirun, but built without MPI; install libopenmpi-dev and build again");
  }
  return std::make_unique<World>();
}

void AbandonWorld(const World&, const char*, int) {}

}  // namespace linnet::cli

#endif
