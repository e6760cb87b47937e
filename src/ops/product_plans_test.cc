#include "ops/product_plans.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstddef>
#include <vector>

namespace linnet {
namespace {

OneProduct ProductWith(size_t outputs, size_t inputs, const std::byte* data) {
  OneProduct product;
  product.w = {DType::kBF16, outputs, inputs, data};
  return product;
}

// How often each panel of each product is multiplied.
std::vector<std::vector<int>> Counts(const ProductPlan& plan,
                                     const std::vector<OneProduct>& products) {
  std::vector<std::vector<int>> counts;
  for (const OneProduct& product : products) counts.emplace_back(product.w.panels(), 0);
  for (size_t task = 0; task < plan.tasks(); ++task) {
    plan.EachRange(task, [&](size_t i, size_t begin, size_t end) {
      for (size_t panel = begin; panel < end; ++panel) ++counts[i][panel];
    });
  }
  return counts;
}

void ExpectAllOnce(const ProductPlan& plan, const std::vector<OneProduct>& products) {
  for (const auto& product : Counts(plan, products)) {
    EXPECT_EQ(product, std::vector<int>(product.size(), 1));
  }
}

class ProductPlansTest : public testing::Test {
 protected:
  std::vector<std::byte> weights_ = std::vector<std::byte>(1 << 20);
  std::vector<OneProduct> large_ = {ProductWith(2048, 64, weights_.data()),
                                    ProductWith(96, 128, weights_.data() + (1 << 19)),
                                    ProductWith(65, 64, weights_.data() + (3 << 18))};
  std::vector<OneProduct> small_ = {ProductWith(64, 64, weights_.data())};
};

TEST_F(ProductPlansTest, CoverEveryPanelOnce) {
  for (const size_t threads : {1, 2, 3, 7, 64}) {
    ExpectAllOnce(ProductPlan(large_, threads), large_);
    ExpectAllOnce(ProductPlan(small_, threads), small_);
  }
}

TEST_F(ProductPlansTest, StayWhilePassesAreAlike) {
  ThreadPool pool(2);
  ProductPlans plans;
  std::vector<const ProductPlan*> first, second;
  for (auto* pass : {&first, &first, &second}) {
    pass->clear();
    plans.StartPass();
    for (const auto* products : {&large_, &small_, &large_}) {
      const ProductPlan& plan = plans.Next(*products, pool);
      ExpectAllOnce(plan, *products);
      pass->push_back(&plan);
    }
  }
  EXPECT_EQ(first, second);
}

// As when another model runs in the same workspace, or only some layers of this one.
TEST_F(ProductPlansTest, FollowPassesThatAreNot) {
  ThreadPool pool(2);
  ProductPlans plans;
  std::vector<OneProduct> moved = large_;
  for (OneProduct& product : moved) product.w.data += 64;
  std::vector<OneProduct> wider = large_;
  wider[1].w.rows = 512;
  const std::vector<std::vector<const std::vector<OneProduct>*>> passes = {
      {&large_, &small_}, {&small_}, {}, {&moved, &wider, &small_}, {&wider, &large_}};
  for (int round = 0; round < 2; ++round) {
    for (const auto& pass : passes) {
      plans.StartPass();
      for (const auto* products : pass) ExpectAllOnce(plans.Next(*products, pool), *products);
    }
  }
}

}  // namespace
}  // namespace linnet
