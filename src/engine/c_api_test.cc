// The C interface with a model with attention, and its identities.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <filesystem>
#include <span>
#include <string>
#include <vector>

#include "base/scratch_folder.h"
#include "linnet/linnet.h"
#include "linnet/model.h"
#include "linnet/tokenizer.h"
#include "models/test_models.h"

namespace linnet {
namespace {

class CApiTest : public testing::Test {
 protected:
  void SetUp() override { ASSERT_EQ(linnet_context_new(2, 1, &context_), LINNET_OK); }
  void TearDown() override {
    for (linnet_state* state : states_) linnet_state_free(state);
    for (linnet_model* model : models_) linnet_model_free(model);
    linnet_context_free(context_);
  }

  linnet_model* Open(const std::filesystem::path& path, const linnet_open_options* options) {
    linnet_model* model = nullptr;
    EXPECT_EQ(linnet_model_open_with(path.c_str(), nullptr, options, &model), LINNET_OK)
        << linnet_last_error();
    models_.push_back(model);
    return model;
  }
  linnet_state* Keep(linnet_state* state) {
    states_.push_back(state);
    return state;
  }
  linnet_state* NewState(const linnet_model* model) {
    linnet_state* state = nullptr;
    EXPECT_EQ(linnet_state_new(model, &state), LINNET_OK) << linnet_last_error();
    return Keep(state);
  }

  // The logits after the last of the tokens; the status of the call.
  linnet_status Run(const linnet_model* model, linnet_state* state,
                    const std::vector<int32_t>& tokens, std::vector<float>* logits = nullptr) {
    if (logits != nullptr) logits->assign(linnet_model_vocab(model), 0);
    const linnet_turn turn{tokens.data(), tokens.size(), state,
                           logits != nullptr ? logits->data() : nullptr,
                           logits != nullptr ? logits->size() : 0};
    return linnet_forward(model, context_, &turn, 1);
  }

  std::string Identity(const linnet_model* model) const {
    char identity[65];
    EXPECT_EQ(linnet_model_identity(model, context_, "", identity, sizeof identity), LINNET_OK)
        << linnet_last_error();
    return identity;
  }

  linnet_context* context_ = nullptr;
  std::vector<linnet_model*> models_;
  std::vector<linnet_state*> states_;
  const test::TemporaryFolder folder_;
};

TEST_F(CApiTest, StatesTellTheirTokensAndBytes) {
  const linnet_model* plain = Open(test::RandomModel("7"), nullptr);
  EXPECT_EQ(linnet_model_token_bytes(plain), 0u);
  const linnet_state* fixed = NewState(plain);
  EXPECT_EQ(linnet_state_tokens(fixed), 0u);
  EXPECT_EQ(linnet_state_bytes(fixed), 3 * (2 * 128 + 2 * 64 * 64) * sizeof(float));

  // Per token and layer: keys and values of 256 and 128 numbers, and 64 that they follow from.
  const size_t kept = 3 * 64 * 4 + 4;
  for (const auto& [rows, bytes] :
       {std::pair{LINNET_ROWS_F16, kept + 3 * 384 * 2},
        std::pair{LINNET_ROWS_F32, kept + 3 * 384 * 4}, std::pair{LINNET_ROWS_COMPACT, kept}}) {
    linnet_open_options options = linnet_open_defaults();
    options.rows = rows;
    const linnet_model* model = Open(test::RandomModel("7b"), &options);
    EXPECT_STREQ(linnet_model_generation(model), "7b");
    EXPECT_EQ(linnet_model_token_bytes(model), bytes);
    linnet_state* state = NewState(model);
    const size_t empty = linnet_state_bytes(state);
    ASSERT_EQ(Run(model, state, {1, 2, 3}), LINNET_OK) << linnet_last_error();
    EXPECT_EQ(linnet_state_tokens(state), 3u);
    EXPECT_GE(linnet_state_bytes(state), empty + 64 * bytes);  // pages of 64 tokens
  }
}

TEST_F(CApiTest, ClonesAndFilesGoOnWithTheSameBits) {
  const linnet_model* model = Open(test::RandomModel("7b"), nullptr);
  linnet_state* state = NewState(model);
  std::vector<int32_t> tokens(80);
  for (size_t i = 0; i < tokens.size(); ++i) tokens[i] = static_cast<int32_t>(i * 7 % 320);
  ASSERT_EQ(Run(model, state, tokens), LINNET_OK);
  linnet_state* copy = nullptr;
  ASSERT_EQ(linnet_state_clone(state, &copy), LINNET_OK);
  Keep(copy);
  const std::string file = folder_ / "a.state";
  ASSERT_EQ(linnet_state_save(state, file.c_str()), LINNET_OK) << linnet_last_error();
  linnet_state* loaded = nullptr;
  ASSERT_EQ(linnet_state_load(model, file.c_str(), &loaded), LINNET_OK) << linnet_last_error();
  Keep(loaded);
  EXPECT_EQ(linnet_state_tokens(loaded), 80u);

  std::vector<float> expected, logits;
  ASSERT_EQ(Run(model, copy, {9, 9}), LINNET_OK);  // goes its own way, and changes nothing else
  ASSERT_EQ(Run(model, state, {5, 6}, &expected), LINNET_OK);
  ASSERT_EQ(Run(model, loaded, {5, 6}, &logits), LINNET_OK);
  EXPECT_EQ(std::memcmp(logits.data(), expected.data(), logits.size() * sizeof(float)), 0);
  EXPECT_EQ(linnet_state_tokens(copy), 82u);

  // The rows of a clone outlive the original.
  linnet_state* original = nullptr;
  ASSERT_EQ(linnet_state_load(model, file.c_str(), &original), LINNET_OK);
  linnet_state* heir = nullptr;
  ASSERT_EQ(linnet_state_clone(original, &heir), LINNET_OK);
  linnet_state_free(original);
  ASSERT_EQ(Run(model, Keep(heir), {5, 6}, &logits), LINNET_OK);
  EXPECT_EQ(std::memcmp(logits.data(), expected.data(), logits.size() * sizeof(float)), 0);
}

TEST_F(CApiTest, TheLimitOfRowsIsAnErrorAndChangesNothing) {
  linnet_open_options options = linnet_open_defaults();
  options.row_limit = 10 * linnet_model_token_bytes(Open(test::RandomModel("7b"), nullptr));
  const linnet_model* model = Open(test::RandomModel("7b"), &options);
  linnet_state* state = NewState(model);
  ASSERT_EQ(Run(model, state, std::vector<int32_t>(10, 1)), LINNET_OK);
  EXPECT_EQ(Run(model, state, {2}), LINNET_ERROR_NO_MEMORY);
  EXPECT_NE(std::string(linnet_last_error()).find("the rows of 11 tokens"), std::string::npos)
      << linnet_last_error();
  EXPECT_EQ(linnet_state_tokens(state), 10u);
  options.rows = static_cast<linnet_rows>(3);
  linnet_model* none = nullptr;
  EXPECT_EQ(linnet_model_open_with(test::RandomModel("7b").c_str(), nullptr, &options, &none),
            LINNET_ERROR_BAD_INPUT);
  EXPECT_EQ(none, nullptr);
}

TEST_F(CApiTest, AnIdentityIsThatOfTheCppInterface) {
  const linnet_model* model = Open(test::ByteModel("7"), nullptr);
  const std::string identity = Identity(model);
  const Model same = Model::Open(test::ByteModel("7"));
  const Workspace exact({.threads = 1, .exact = true});
  EXPECT_EQ(identity, same.Identity(exact, {.tokenizer = Tokenizer::ForVocabulary(256)->Digest(),
                                            .cache = std::filesystem::path()}));
  EXPECT_EQ(Identity(model), identity);
  EXPECT_NE(Identity(Open(test::ByteModel("6"), nullptr)), identity);
  linnet_context* fast = nullptr;
  ASSERT_EQ(linnet_context_new(1, 0, &fast), LINNET_OK);
  char other[65];
  ASSERT_EQ(linnet_model_identity(model, fast, "", other, sizeof other), LINNET_OK);
  EXPECT_NE(other, identity);
  linnet_context_free(fast);
}

TEST_F(CApiTest, AnIdentityKeepsItsDigestsInTheFolderThatIsGiven) {
  const linnet_model* model = Open(test::ByteModel("7"), nullptr);
  const std::string cache = folder_ / "cache";
  char kept[65];
  ASSERT_EQ(linnet_model_identity(model, context_, cache.c_str(), kept, sizeof kept), LINNET_OK)
      << linnet_last_error();
  EXPECT_EQ(kept, Identity(model));
}

TEST_F(CApiTest, AnIdentityNeedsRoomAndPointers) {
  const linnet_model* model = Open(test::ByteModel("7"), nullptr);
  char identity[65] = "untouched";
  EXPECT_EQ(linnet_model_identity(model, context_, "", identity, 64), LINNET_ERROR_BAD_INPUT);
  EXPECT_STREQ(linnet_last_error(), "identity holds 64 bytes, expected 65");
  EXPECT_STREQ(identity, "untouched");
  EXPECT_EQ(linnet_model_identity(model, context_, "", nullptr, 65), LINNET_ERROR_BAD_INPUT);
  EXPECT_EQ(linnet_model_identity(model, nullptr, "", identity, 65), LINNET_ERROR_BAD_INPUT);
  EXPECT_EQ(linnet_model_identity(nullptr, context_, "", identity, 65), LINNET_ERROR_BAD_INPUT);
}

}  // namespace
}  // namespace linnet
