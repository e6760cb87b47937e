// The schema names every parameter once, and says of each what files, products and optimizers need.
#include "models/schema.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <set>
#include <string>

#include "linnet/state.h"
#include "models/detect.h"
#include "models/init.h"
#include "models/names.h"
#include "models/test_models.h"

namespace linnet {
namespace {

class SchemaTest : public testing::TestWithParam<Generation> {
 protected:
  const Config config_ = NewConfig({GetParam(), 3, 128, 320});
};

TEST_P(SchemaTest, NamesAreUniqueAndFound) {
  std::set<std::string> names;
  for (const ParameterSpec& p : ParametersOf(config_)) {
    EXPECT_TRUE(names.insert(p.name).second) << p.name;
    const ParameterSpec* found = FindParameter(GetParam(), p.name);
    ASSERT_NE(found, nullptr) << p.name;
    EXPECT_EQ(found->role, p.role) << p.name;
    EXPECT_EQ(found->shape.size(), p.shape.size()) << p.name;
    EXPECT_EQ(found->unused, p.unused) << p.name;
  }
}

// Files are packed, hashed and renamed by name, before the generation is known.
TEST_P(SchemaTest, RolesDoNotDependOnTheGeneration) {
  for (const ParameterSpec& p : ParametersOf(config_)) {
    EXPECT_EQ(FindParameter(p.name)->role, p.role) << p.name;
    EXPECT_EQ(IsUnused(p.name), p.unused) << p.name;
  }
}

TEST_P(SchemaTest, AModelOfItsParametersIsThatModel) {
  const Checkpoint checkpoint(test::RandomModel(Name(GetParam())));
  const Config found = ConfigOf(checkpoint);
  EXPECT_EQ(found.generation, GetParam());
  EXPECT_EQ(found.ranks, config_.ranks);
  EXPECT_EQ(found.heads, config_.heads);
  size_t used = 0;
  for (const ParameterSpec& p : ParametersOf(found)) {
    if (p.unused) continue;
    ++used;
    EXPECT_TRUE(checkpoint.Has(p.name)) << p.name;
  }
  EXPECT_EQ(checkpoint.tensors().size(), used);
}

// No program gives one name to two parameters.
TEST_P(SchemaTest, OtherNamesAreUnique) {
  for (const auto program :
       {&OtherNames::gguf, &OtherNames::fla, &OtherNames::hugging_face, &OtherNames::web_rwkv}) {
    std::set<std::string> names;
    for (const ParameterSpec& p : ParametersOf(config_)) {
      const std::string& other = p.others.*program;
      const auto place = SplitBlockName(p.name);
      if (other.empty()) continue;
      EXPECT_TRUE(names.insert(std::to_string(place ? place->layer : 99) + other).second) << other;
    }
  }
}

TEST_P(SchemaTest, ASlotIsATensorOfTheReferencesList) {
  State state(StateShapeOf(config_));
  std::vector<MemorySlot> slots;
  for (size_t layer = 0; layer < 3; ++layer) {
    for (MemorySlot& slot : MemoryOf(state.shape(), layer)) {
      if (slot.part != &LayerStrides::query_shift) slots.push_back(std::move(slot));
    }
  }
  const auto list = state.ToReference();
  ASSERT_GE(list.size(), slots.size());
  size_t floats = 0;
  for (size_t i = 0; i < list.size(); ++i) {
    floats += list[i].values.size();
    if (i >= slots.size()) continue;  // of attention
    EXPECT_EQ(list[i].shape, slots[i].shape);
    for (const float x : list[i].values) EXPECT_EQ(x, slots[i].first);
  }
  // The list may have places for queries of layers that the model does not have.
  const size_t absent = std::max<size_t>(SchemaOf(GetParam()).reference_layers, 3) - 3;
  EXPECT_EQ(floats, state.values().size() + absent * StridesOf(state.shape())[0].query_shift);
}

INSTANTIATE_TEST_SUITE_P(All, SchemaTest, testing::ValuesIn(kGenerations), [](const auto& test) {
  std::string name = Name(test.param);
  for (char& c : name) c = c == '.' ? '_' : c;
  return name;
});

TEST(BlockNameTest, IsALayerAndARest) {
  EXPECT_EQ(BlockName(12, "att.key.weight"), "blocks.12.att.key.weight");
  const auto place = SplitBlockName("blocks.12.att.key.weight");
  ASSERT_TRUE(place.has_value());
  EXPECT_EQ(place->layer, 12);
  EXPECT_EQ(place->rest, "att.key.weight");
  EXPECT_EQ(SplitBlockName("blk.3.attn_norm.weight", "blk.")->layer, 3);
  for (const char* name : {"blocks.", "blocks.x.att", "blocks.3", "blocks.-1.att", "emb.weight",
                           "blocks.99999999999999999999.att", "blocks.3att"}) {
    EXPECT_FALSE(SplitBlockName(name).has_value()) << name;
  }
}

}  // namespace
}  // namespace linnet
