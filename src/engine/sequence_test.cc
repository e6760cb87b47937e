#include "engine/sequence.h"

#include <gtest/gtest.h>
#include <sys/resource.h>

#include <cstdlib>
#include <new>
#include <string>

#include "base/sanitized.h"
#include "base/scratch_folder.h"
#include "linnet/error.h"
#include "models/init.h"
#include "models/quantize.h"

namespace linnet {
namespace {

constexpr size_t kVocab = 300;

class AdvanceTest : public testing::Test {
 protected:
  AdvanceTest() : model_(NewModel(scratch_)), workspace_({.threads = 1}) {}

  static Model NewModel(const test::TemporaryFolder& scratch) {
    ThreadPool pool(1);
    const auto file = scratch / "model.safetensors";
    QuantizeOptions options;
    options.packing.type = DType::kF32;
    WriteNewPacked(
        NewConfig({.generation = Generation::k7, .layers = 2, .width = 256, .vocab = kVocab}),
        Filling::kRandom, 1, file, pool, options);
    return Model::Open(file);
  }
  Sequence NewSequence() const { return {{model_.NewState(), {}}, Sampler(SamplerOptions())}; }
  size_t Run(Sequence& sequence) {
    Sequence* const all[] = {&sequence};
    return Advance(model_, all, 1 << 20, workspace_);
  }

  test::TemporaryFolder scratch_;
  Model model_;
  Workspace workspace_;
};

TEST_F(AdvanceTest, AnIdOutsideTheVocabularyChangesNothing) {
  for (const bool began : {false, true}) {
    Sequence sequence = NewSequence();
    if (began) {
      sequence.Feed(std::vector<int32_t>{1, 2, 3});
      Run(sequence);
    }
    const Snapshot before = sequence.at().Clone();
    sequence.Feed(std::vector<int32_t>{4, kVocab});
    EXPECT_THROW(Run(sequence), Error);
    EXPECT_EQ(sequence.waiting(), 2u);
    EXPECT_EQ(sequence.at().logits, before.logits);
    const auto a = before.state.values(), b = sequence.at().state.values();
    EXPECT_TRUE(std::equal(a.begin(), a.end(), b.begin(), b.end()));
    sequence.DropWaiting();
    EXPECT_EQ(sequence.ready(), began);
  }
}

// A child process, since the limit stays. It exits with 0 if all holds.
TEST_F(AdvanceTest, WithoutMemoryASequenceIsNotReadyUntilItIsRestored) {
  if (kSanitized) GTEST_SKIP() << "a sanitizer takes memory of its own";
  const auto run = [&] {
    Sequence sequence = NewSequence();
    sequence.Feed(std::vector<int32_t>(4096, 1));
    // The first pass wants tens of megabytes.
    const rlimit none = {1, 1};
    if (setrlimit(RLIMIT_AS, &none) != 0) std::_Exit(2);
    bool threw = false;
    try {
      Run(sequence);
    } catch (const std::bad_alloc&) {
      threw = true;
    }
    const bool broken = sequence.waiting() == 0 && !sequence.ready();
    std::_Exit(threw && broken ? 0 : 1);
  };
  EXPECT_EXIT(run(), testing::ExitedWithCode(0), "");
}

}  // namespace
}  // namespace linnet
