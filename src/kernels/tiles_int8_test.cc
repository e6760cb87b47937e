#include <cstring>
#include <vector>

#include "kernels/each_isa.h"
#include "kernels/int8_rows.h"
#include "kernels/matmul.h"
#include "kernels/tiles.h"

namespace linnet {
namespace {

constexpr size_t kPanels = 2, kInputs = 7 * kBlockInputs;

// The results of the kernels of each kind of core for two panels.
class Int8TilesTest : public testing::Test, protected NormalValues {
 protected:
  void SetUp() override {
    if (CurrentIsa() < Isa::kAvx512Vnni || CurrentCore() != Core::kZen) {
      GTEST_SKIP() << "needs a core of AMD's with VNNI, which runs the kernels of all";
    }
  }

  void Pack(DType dtype) {
    dtype_ = dtype;
    const auto weights = Normal(kPanels * kPanelRows * kInputs);
    packed_.resize(kPanels * PanelBytes(dtype, kInputs));
    for (size_t panel = 0; panel < kPanels; ++panel) {
      PackPanel(dtype, weights.data() + panel * kPanelRows * kInputs, kInputs, kPanelRows, kInputs,
                packed_.data() + panel * PanelBytes(dtype, kInputs));
    }
  }

  // One block of inputs in `one_in` keeps its values, the others are zeroed.
  void Prepare(size_t rows, size_t one_in) {
    auto x = Normal(rows * kInputs);
    for (size_t i = 0; i < x.size(); ++i) x[i] = i / kBlockInputs % one_in == 0 ? x[i] : 0.0f;
    rows_ = rows;
    x_.resize(rows * Int8RowBytes(kInputs));
    Int8Rows({x.data(), rows, kInputs, kInputs}, x_.data(), Int8RowBytes(kInputs));
  }

  std::vector<float> Products(Core core, bool pairs) const {
    const TileKernels& kernels = Int8Tiles(dtype_, core);
    const size_t bytes = PanelBytes(dtype_, kInputs), stride = kPanels * kPanelRows;
    std::vector<float> y(rows_ * stride, -1.0f);
    const std::byte *at = packed_.data(), *end = at + packed_.size();
    for (size_t panel = 0; panel < (pairs ? 1 : kPanels); ++panel, at += bytes) {
      const TileFunction function = pairs ? kernels.pairs : kernels.packed;
      function({rows_, x_.data(), Int8RowBytes(kInputs), at, kInputs, y.data() + panel * kPanelRows,
                stride, true, at, static_cast<size_t>(end - at), bytes});
    }
    return y;
  }

 private:
  DType dtype_ = DType::kI8;
  size_t rows_ = 0;
  std::vector<std::byte> packed_, x_;
};

// int8 and nf4 give the same bits on all makers' processors.
TEST_F(Int8TilesTest, EachCoreGivesTheSameBits) {
  for (const DType dtype : {DType::kI8, DType::kNF4}) {
    Pack(dtype);
    for (const size_t rows : {1, 2, 3, 4, 5, 6, 7, 13, 100}) {
      for (const size_t one_in : {1, 5}) {
        SCOPED_TRACE(testing::Message() << Name(dtype) << " " << rows << " 1/" << one_in);
        Prepare(rows, one_in);
        const auto panels = Products(Core::kZen, false);
        EXPECT_TRUE(BitEqual(panels, Products(Core::kAny, false)));
        if (rows > 4) continue;
        EXPECT_TRUE(BitEqual(panels, Products(Core::kZen, true)));
        EXPECT_TRUE(BitEqual(panels, Products(Core::kAny, true)));
      }
    }
  }
}

}  // namespace
}  // namespace linnet
