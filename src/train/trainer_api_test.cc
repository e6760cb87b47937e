// The trainer of programs: it is the one of `linnet train`, and says what is wrong with a row.
#include <gtest/gtest.h>

#include <cstring>
#include <filesystem>
#include <fstream>

#include "io/deflated_text.h"
#include "linnet/adapter.h"
#include "linnet/trainer.h"
#include "models/convert.h"
#include "models/quantize.h"
#include "train/test_adapters.h"

namespace linnet {
namespace {

std::vector<SampleRow> TwoRows() {
  const auto rows = test_adapters::Rows();
  return {rows[0], rows[1]};
}

std::vector<float> LogitsOf(const Model& model) {
  Workspace workspace({.threads = 1, .exact = true});
  State state = model.NewState();
  std::vector<float> logits(model.config().vocab);
  model.Forward(Turn{test_adapters::kTokens, &state, logits}, workspace);
  return logits;
}

class TrainerTest : public testing::Test {
 protected:
  TrainerTest() : model_(folder_ / "model.safetensors") {
    InitSizes sizes;
    sizes.layers = 2;
    sizes.width = 64;
    sizes.vocab = 320;
    WriteNewModel(sizes, 7, model_);
  }

  test::TemporaryFolder folder_;
  std::filesystem::path model_;
};

TEST_F(TrainerTest, LearnsAndLeavesAModelThatRuns) {
  Trainer trainer = Trainer::Open(model_, {.threads = 2, .precision = DType::kF32});
  const std::vector<SampleRow> rows = {RowOf(test_adapters::kTokens)};
  const double first = trainer.Step(rows, 1e-2).loss;
  StepReport last;
  for (int i = 0; i < 30; ++i) last = trainer.Step(rows, 1e-2);
  EXPECT_LT(last.loss, 0.2 * first);
  EXPECT_EQ(last.tokens, test_adapters::kTokens.size() - 1);
  EXPECT_EQ(trainer.steps(), 31u);
  trainer.SaveModel(folder_ / "learnt.pth", DType::kF32);
  EXPECT_EQ(LogitsOf(Model::Open(folder_ / "learnt.pth")), LogitsOf(trainer.AsModel()));
  EXPECT_THROW(trainer.SaveModel(folder_ / "packed.pth", DType::kNF4), Error);
}

// Of a base in whatever format, which the size of the vocabulary alone would not tell.
TEST_F(TrainerTest, AModelKeepsTheVocabularyInItsBase) {
  const std::string text = "1 'a' 1\n2 'b' 1\n";
  const std::filesystem::path holds = folder_ / "holds.safetensors", packed = folder_ / "nf4.st",
                              learnt = folder_ / "learnt.safetensors",
                              plain = folder_ / "learnt.pth";
  const auto vocabulary = DeflateText(text);
  ConvertCheckpoint(Checkpoint(model_), holds, {.vocabulary = vocabulary});
  ThreadPool pool(1);
  QuantizeCheckpoint(Checkpoint(holds), packed, pool, {.packing = {.type = DType::kNF4}});
  for (const auto& base : {holds, packed}) {
    Trainer trainer = Trainer::Open(base);
    trainer.Step(TwoRows(), 1e-3);
    trainer.SaveModel(learnt);
    EXPECT_EQ(Checkpoint(learnt).Vocabulary(), text);
    EXPECT_EQ(Model::Open(learnt).vocabulary(), text);
    trainer.SaveModel(plain);  // which has no place for it
    EXPECT_EQ(Checkpoint(plain).tensors().size(), Checkpoint(learnt).tensors().size());
    EXPECT_EQ(TensorFile::Open(plain).Find(kVocabularyTensor), nullptr);
  }
}

TEST_F(TrainerTest, RestoredGoesOnToTheSameBits) {
  const TrainerOptions options{.dropout = 0.1f};
  const auto step = [](Trainer& trainer, int times) {
    for (int i = 0; i < times; ++i) trainer.Step(TwoRows(), 1e-3);
  };
  Trainer whole = Trainer::Open(model_, options);
  step(whole, 4);
  Trainer cut = Trainer::Open(model_, options);
  step(cut, 2);
  cut.Save(folder_ / "half.safetensors");
  cut =
      Trainer::Open(model_, {.threads = 1, .recompute = true, .rows_per_pass = 1, .dropout = 0.1f});
  cut.Restore(folder_ / "half.safetensors");
  EXPECT_EQ(cut.steps(), 2u);
  step(cut, 2);
  EXPECT_EQ(LogitsOf(cut.AsModel()), LogitsOf(whole.AsModel()));
}

TEST_F(TrainerTest, WhatWasDamagedSinceItWasSavedIsNotRestored) {
  Trainer trainer = Trainer::Open(model_);
  trainer.Step(TwoRows(), 1e-3);
  const auto saved = folder_ / "saved.safetensors";
  trainer.Save(saved);
  std::fstream file(saved, std::ios::in | std::ios::out | std::ios::binary);
  file.seekp(static_cast<std::streamoff>(std::filesystem::file_size(saved) / 2));
  file << "odd";
  file.close();
  try {
    trainer.Restore(saved);
    FAIL() << "it was taken";
  } catch (const Error& error) {
    EXPECT_NE(std::string(error.what()).find("is damaged (its checksum is wrong)"),
              std::string::npos)
        << error.what();
  }
}

TEST_F(TrainerTest, WhatIsSavedIsAModelWhichConvertsWithoutTheMoments) {
  Trainer trainer = Trainer::Open(model_);
  trainer.Step(TwoRows(), 1e-3);
  const auto saved = folder_ / "saved.safetensors", alone = folder_ / "alone.pth";
  trainer.Save(saved);
  ConvertCheckpoint(Checkpoint(saved), alone);
  EXPECT_EQ(Checkpoint(alone).tensors().size(), Checkpoint(model_).tensors().size());
  EXPECT_EQ(Checkpoint(saved).tensors().size(), Checkpoint(model_).tensors().size() + 3);
  EXPECT_EQ(LogitsOf(Model::Open(alone)), LogitsOf(Model::Open(saved)));
  EXPECT_EQ(Model::Open(alone).hash(), Model::Open(saved).hash());
}

TEST_F(TrainerTest, ChunksReachThroughTheWholeRow) {
  const auto norm = [](size_t chunk, size_t bptt) {
    Trainer trainer = Trainer::Open(test_adapters::Base("7"),
                                    {.precision = DType::kF32, .chunk = chunk, .bptt = bptt});
    return trainer.Step(TwoRows(), 1e-3).grad_norm;
  };
  const double whole = norm(0, 0);
  EXPECT_NEAR(norm(7, 0), whole, 1e-5 * whole);
  EXPECT_GT(std::abs(norm(7, 1) - whole), 1e-4 * whole);
}

TEST_F(TrainerTest, AnAdapterLearnsBesideThePackedModel) {
  // A new model's zeros would leave PiSSA nothing to begin with.
  const std::filesystem::path base = test_adapters::Base("7");
  const std::filesystem::path start = folder_ / "start.safetensors";
  for (const AdapterKind kind : {AdapterKind::kLora, AdapterKind::kPissa, AdapterKind::kDisha}) {
    WriteNewAdapter(base, {.kind = kind, .rank = 4}, start);
    Trainer trainer =
        Trainer::Open(base, {.precision = DType::kF32, .adapter = start, .quant = DType::kNF4});
    const auto before = LogitsOf(Model::Open(base, {.quant = DType::kNF4}));
    const std::vector<SampleRow> rows = {RowOf(test_adapters::kTokens)};
    const double first = trainer.Step(rows, 3e-2).loss;
    double last = first;
    for (int i = 0; i < 30; ++i) last = trainer.Step(rows, 3e-2).loss;
    EXPECT_LT(last, 0.7 * first) << Name(kind);
    const std::filesystem::path learnt = folder_ / "learnt.safetensors";
    trainer.SaveAdapter(learnt);
    const Model model = Model::Open(base, {.quant = DType::kNF4, .adapters = {{.path = learnt}}});
    EXPECT_EQ(LogitsOf(model), LogitsOf(trainer.AsModel())) << Name(kind);
    EXPECT_NE(LogitsOf(model), before);
    EXPECT_EQ(LogitsOf(Model::Open(base, {.quant = DType::kNF4})), before);
    EXPECT_THROW(trainer.SaveModel(folder_ / "whole.pth"), Error);
  }
  // The last one under the names of another program, which may keep a part elsewhere.
  std::vector<test_adapters::Values> others;
  const TensorFile own = TensorFile::Open(start);
  for (const TensorView& t : own.tensors()) {
    others.push_back({t.name, t.shape, ReadAll(t)});
  }
  test_adapters::WriteValues(folder_ / "other.safetensors", others);
  EXPECT_THROW(Trainer::Open(base, {.adapter = folder_ / "other.safetensors"}), Error);
  EXPECT_THROW(WriteNewAdapter(base, {.kind = AdapterKind::kBone}, start), Error);
  EXPECT_THROW(WriteNewAdapter(base, {.rank = 1000}, start), Error);
  EXPECT_THROW(WriteNewAdapter(base, {}, folder_ / "start.pth"), Error);
  EXPECT_THROW(Trainer::Open(base).SaveAdapter(folder_ / "none.safetensors"), Error);
}

TEST_F(TrainerTest, StatesLearnAndGoOnToTheSameBits) {
  const std::filesystem::path base = test_adapters::Base("7"), start = folder_ / "start.pth";
  WriteNewStates(base, start);
  const TrainerOptions options{.adapter = start};
  Trainer whole = Trainer::Open(base, options), cut = Trainer::Open(base, options);
  const double first = whole.Step(TwoRows(), 1).loss;
  cut.Step(TwoRows(), 1);
  EXPECT_LT(whole.Step(TwoRows(), 1).loss, first);
  cut.Save(folder_ / "half.safetensors");
  cut = Trainer::Open(base, options);
  cut.Restore(folder_ / "half.safetensors");
  cut.Step(TwoRows(), 1);
  EXPECT_EQ(LogitsOf(cut.AsModel()), LogitsOf(whole.AsModel()));
}

TEST_F(TrainerTest, WrongRowsAndOptionsAreRefused) {
  Trainer trainer = Trainer::Open(model_);
  const SampleRow good = RowOf(test_adapters::kTokens);
  EXPECT_THROW(RowOf(std::span(test_adapters::kTokens).first(1)), Error);
  EXPECT_THROW(trainer.Step({}, 1e-3), Error);
  const auto refused = [&](auto spoil) {
    SampleRow row = good;
    spoil(row);
    EXPECT_THROW(trainer.Step({&row, 1}, 1e-3), Error);
  };
  refused([](SampleRow& r) { r = {}; });
  refused([](SampleRow& r) { r.targets.pop_back(); });
  refused([](SampleRow& r) { r.starts.clear(); });
  refused([](SampleRow& r) { r.starts = {1}; });
  refused([](SampleRow& r) { r.starts = {0, 4, 4}; });
  refused([](SampleRow& r) { r.starts = {0, 12}; });
  refused([](SampleRow& r) { r.inputs[0] = 320; });
  refused([](SampleRow& r) { r.inputs[0] = -1; });
  EXPECT_EQ(trainer.steps(), 0u);
  EXPECT_THROW(Trainer::Open(model_, {.precision = DType::kF16}), Error);
  EXPECT_THROW(Trainer::Open(model_, {.dropout = 1}), Error);
  EXPECT_THROW(Trainer::Open(folder_ / "none.pth"), Error);
  TrainerOptions nothing;
  nothing.learns = [](const std::string&) { return false; };
  EXPECT_THROW(Trainer::Open(model_, nothing), Error);
}

}  // namespace
}  // namespace linnet
