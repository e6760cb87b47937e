// What is written from the same seed keeps its bytes: models, packed files, GGUF, states. A change
// of an expected digest is a change of a format or of numbers, and belongs in the CHANGELOG.
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "base/mapped_file.h"
#include "base/scratch_folder.h"
#include "base/sha256.h"
#include "base/thread_pool.h"
#include "kernels/isa.h"
#include "linnet/model.h"
#include "models/quantize.h"
#include "models/test_models.h"

namespace linnet {
namespace {

std::string DigestOfFile(const std::filesystem::path& path) {
  const MappedFile file(path);
  const auto* text = reinterpret_cast<const char*>(file.bytes().data());
  return Hex(Sha256Of({text, file.bytes().size()})).substr(0, 16);
}

struct Written {
  const char *version, *model, *odd, *int8, *nf4, *state;
};

std::ostream& operator<<(std::ostream& os, const Written& w) { return os << w.version; }

class WrittenFilesTest : public testing::TestWithParam<Written> {
 protected:
  const test::TemporaryFolder folder_;
};

TEST_P(WrittenFilesTest, ModelsKeepTheirBytes) {
  EXPECT_EQ(DigestOfFile(test::RandomModel(GetParam().version)), GetParam().model);
  EXPECT_EQ(DigestOfFile(test::OddModel(GetParam().version)), GetParam().odd);
}

TEST_P(WrittenFilesTest, PackedFilesKeepTheirBytes) {
  ThreadPool pool(2);
  const auto packed = folder_ / "packed.safetensors";
  for (const auto& [type, digest] :
       {std::pair(DType::kI8, GetParam().int8), {DType::kNF4, GetParam().nf4}}) {
    QuantizeCheckpoint(Checkpoint(test::RandomModel(GetParam().version)), packed, pool,
                       {.packing = {.type = type}});
    EXPECT_EQ(DigestOfFile(packed), digest) << Name(type);
  }
}

// At the level that every x86-64 machine has.
TEST_P(WrittenFilesTest, StatesKeepTheirBytes) {
#if !defined(__x86_64__)
  GTEST_SKIP() << "the expected digests are those of x86-64";
#endif
  ForceIsa(Isa::kPortable);
  const Model model = Model::Open(test::RandomModel(GetParam().version));
  Workspace workspace({.threads = 1, .exact = true});
  State state = model.NewState();
  std::vector<float> logits(model.config().vocab);
  const std::vector<int32_t> tokens = {5, 17, 100, 2, 9, 44, 7, 7, 61};
  model.Forward({tokens, &state, logits}, workspace);
  const auto path = folder_ / "state.safetensors";
  state.Save(path, logits);
  ForceIsa(SupportedIsas().back());
  EXPECT_EQ(DigestOfFile(path), GetParam().state);
}

INSTANTIATE_TEST_SUITE_P(
    Generations, WrittenFilesTest,
    testing::Values(Written{"4", "585d4322eb794812", "c7e62c37beb0c8e7", "435154c443c0e415",
                            "d238150ab8a27487", "c0a57f0b86eedfae"},
                    Written{"5.0", "6dad7087020344e3", "801a8b1f5249d3d6", "d6c33f55c8911d82",
                            "e8d7a3dcc357029f", "2c3db63d857f472d"},
                    Written{"5.1", "44dacdc8bea29f92", "b4deaf6b574c246b", "23c7ad5aa0a8dcda",
                            "ee0e555a42430b7d", "f58e387d48508065"},
                    Written{"5.2", "9c877779385bfd92", "564df897950f617a", "afbbe87c82ea6012",
                            "1d3ccebc24eb643f", "ebcc0e5aca288f95"},
                    Written{"6", "7e4cff98fcc8f27b", "1e0a0f748660bd71", "042c02b2ef09fdff",
                            "2cf02d9df336fdba", "e7da10d9130a51aa"},
                    Written{"7", "9b14686f1e710b7c", "5289ffb7a69644ce", "c2de843d4beae412",
                            "a9f774806ec2c6e9", "43f8c7fbeac698a1"},
                    Written{"7a", "540a0dc256daae40", "36eff7cc50148fb8", "c9c4c34e2fae2c19",
                            "104d1520b92908ec", "9b229d0a323bc375"}),
    [](const auto& test) {
      std::string name = test.param.version;
      std::erase(name, '.');
      return name;
    });

}  // namespace
}  // namespace linnet
