#include "linnet/model.h"

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <pthread.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <functional>
#include <thread>

#include "base/sanitized.h"
#include "io/test_bytes.h"
#include "linnet/error.h"
#include "models/convert.h"
#include "models/gguf_convert.h"
#include "models/goldens.h"
#include "models/test_models.h"

namespace linnet {
namespace {

using goldens::Data;
using test::MessageOf;
using test::RandomModel;

const std::vector<int32_t> kTokens = {1, 5, 9, 200, 31, 7, 7, 0, 42};

std::vector<float> LastLogits(const Model& model, Workspace& workspace) {
  State state = model.NewState();
  std::vector<float> logits(model.config().vocab);
  model.Forward({kTokens, &state, logits}, workspace);
  return logits;
}

TEST(ModelTest, OverlappingThreadedCallsGiveTheSameBits) {
  const Model model = Model::Open(RandomModel("v7"));
  Workspace alone({.threads = 1});
  const auto expected = LastLogits(model, alone);
  std::vector<std::thread> threads;
  std::vector<std::vector<float>> got(3);
  for (auto& out : got) {
    threads.emplace_back([&] {
      Workspace workspace({.threads = 2});
      for (int i = 0; i < 5; ++i) out = LastLogits(model, workspace);
    });
  }
  for (auto& thread : threads) thread.join();
  for (const auto& out : got) EXPECT_EQ(out, expected);
}

// What musl gives a thread; other programs' threads may have no more. Behind it lies enough that
// nothing steps over.
constexpr size_t kSmallStack = 128 << 10, kGuard = 1 << 20;

void RunOnASmallStack(std::function<void()> body) {
  const auto call = [](void* f) -> void* {
    (*static_cast<std::function<void()>*>(f))();
    return nullptr;
  };
  pthread_attr_t attributes;
  ASSERT_EQ(pthread_attr_init(&attributes), 0);
  ASSERT_EQ(pthread_attr_setstacksize(&attributes, kSmallStack), 0);
  ASSERT_EQ(pthread_attr_setguardsize(&attributes, kGuard), 0);
  pthread_t thread;
  ASSERT_EQ(pthread_create(&thread, &attributes, call, &body), 0);
  ASSERT_EQ(pthread_join(thread, nullptr), 0);
  pthread_attr_destroy(&attributes);
}

TEST(ModelTest, RunsOnASmallStack) {
  if (kSanitized) GTEST_SKIP() << "a sanitizer's frames are larger";
  std::vector<int32_t> many(300);
  for (size_t i = 0; i < many.size(); ++i) many[i] = static_cast<int32_t>(7 * i % 320);
  for (const char* name : {"v4", "v5.2", "v6", "v7"}) {
    for (const DType dtype : {DType::kF32, DType::kF16, DType::kBF16, DType::kI8, DType::kNF4}) {
      OpenOptions options;
      options.quant = dtype;
      const Model model = Model::Open(RandomModel(name), options);
      for (const bool exact : {false, true}) {
        Workspace workspace({.threads = 1, .exact = exact});
        std::vector<float> whole(model.config().vocab), parts(whole.size());
        const auto run = [&](std::vector<float>& logits) {
          State state = model.NewState();
          model.Forward({many, &state, logits}, workspace);
          model.Forward({kTokens, &state, logits}, workspace);
          model.Forward({std::span(kTokens).first(1), &state, logits}, workspace);
        };
        run(whole);
        RunOnASmallStack([&] { run(parts); });
        EXPECT_EQ(whole, parts) << name;
      }
    }
  }
}

TEST(ModelTest, LastLogitsAreTheLastOfAllLogits) {
  const Model model = Model::Open(RandomModel("v6"));
  Workspace workspace;
  State state = model.NewState();
  const size_t vocab = model.config().vocab;
  std::vector<float> all(kTokens.size() * vocab);
  model.Forward({kTokens, &state, all}, workspace);
  EXPECT_EQ(LastLogits(model, workspace),
            std::vector<float>(all.end() - static_cast<ptrdiff_t>(vocab), all.end()));
}

TEST(ModelTest, BadTurnsChangeNothing) {
  const Model model = Model::Open(RandomModel("v5.2"));
  const Model other = Model::Open(RandomModel("v4"));
  Workspace workspace;
  State good = model.NewState(), wrong = other.NewState();
  const std::vector<float> before(good.values().begin(), good.values().end());
  std::vector<float> logits(3);
  const std::vector<int32_t> outside = {1, 320}, negative = {-1}, none;
  const Turn first{kTokens, &good, {}};
  for (const Turn& second :
       {Turn{outside, &wrong, {}}, Turn{negative, &wrong, {}}, Turn{none, &wrong, {}},
        Turn{kTokens, &wrong, {}}, Turn{kTokens, &good, logits}, Turn{kTokens, nullptr, {}}}) {
    const std::vector<Turn> turns = {first, second};
    EXPECT_THROW(model.Forward(turns, workspace), Error);
    EXPECT_EQ(std::vector<float>(good.values().begin(), good.values().end()), before);
  }
}

TEST(ModelTest, TwoTurnsMayNotShareAState) {
  const Model model = Model::Open(RandomModel("v7"));
  Workspace workspace;
  State state = model.NewState();
  const std::vector<Turn> turns = {{kTokens, &state, {}}, {kTokens, &state, {}}};
  EXPECT_NE(MessageOf([&] { model.Forward(turns, workspace); }), "");
}

TEST(ModelTest, HashIsTheSameForEveryContainerAndAnotherForEveryModel) {
  const test::TemporaryFolder folder;
  const auto copy = folder / "copy.safetensors", gguf = folder / "copy.gguf";
  const Checkpoint source(RandomModel("v7"));
  ConvertCheckpoint(source, copy);
  ConvertToGguf(source, gguf, GgufType::kF32, {});
  const std::string hash = Model::Open(RandomModel("v7")).hash();
  EXPECT_EQ(Model::Open(copy).hash(), hash);
  EXPECT_EQ(Model::Open(gguf).hash(), hash);
  EXPECT_NE(Model::Open(RandomModel("v5.0")).hash(), Model::Open(test::ByteModel("v5.0")).hash());
}

TEST(ModelTest, HashIsTheSameUnderFlasNames) {
  if (goldens::Missing()) GTEST_SKIP() << "../shared/data is absent";
  EXPECT_EQ(Model::Open(Data("golden/random-v7.pth")).hash(),
            Model::Open(Data("golden/random-v7.fla.safetensors")).hash());
}

TEST(ModelTest, OtherFilesAreRefusedByWhatTheyAre) {
  const test::TemporaryFolder folder;
  const auto message = [](const std::filesystem::path& path) {
    return MessageOf([&] { Model::Open(path); });
  };
  EXPECT_NE(message(test::TunedState("v7")).find("tuned initial state"), std::string::npos);
  const auto other = folder / "other.safetensors";
  const auto writer = TensorWriter::Create(other, {{"logits", SourceType::kF32, {1}}});
  writer->AppendFloats(SourceType::kF32, std::vector<float>{1});
  writer->Finish();
  EXPECT_NE(message(other).find("expected an RWKV model"), std::string::npos);
  EXPECT_NE(message(folder.Write("tokenizer.json", R"({"model": {"type": "BPE"}})")), "");
  EXPECT_NE(message("no-such-file.pth").find("no-such-file.pth"), std::string::npos);
}

// A file with holes claims a terabyte and takes no disk.
TEST(ModelTest, LargerThanMemoryIsRefusedWithBothNumbers) {
  const auto path = std::filesystem::temp_directory_path() /
                    ("linnet-large-" + std::to_string(getpid()) + ".safetensors");
  const uint64_t rows = uint64_t{1} << 33, width = 64, emb = rows * width * 2;
  const auto tensor = [&](const char* name, const std::string& shape, uint64_t begin,
                          uint64_t end) {
    return fmt::format(R"("{}":{{"dtype":"BF16","shape":[{}],"data_offsets":[{},{}]}})", name,
                       shape, begin, end);
  };
  std::string header = "{";
  header += tensor("emb.weight", fmt::format("{},{}", rows, width), 0, emb);
  uint64_t end = emb;
  for (const char* name : {"blocks.0.ln1.weight", "blocks.0.att.time_mix_k"}) {
    header += ",";
    header += tensor(name, "64", end, end + 128);
    end += 128;
  }
  for (const char* name : {"blocks.0.att.key.weight", "blocks.0.ffn.key.weight", "head.weight"}) {
    header += ",";
    header += tensor(name, "64,64", end, end + 8192);
    end += 8192;
  }
  header += "}";
  header.resize((header.size() + 7) / 8 * 8, ' ');
  const uint64_t length = header.size();
  std::ofstream(path, std::ios::binary)
      .write(reinterpret_cast<const char*>(&length), sizeof(length))
      .write(header.data(), static_cast<std::streamsize>(length));
  std::error_code full;
  std::filesystem::resize_file(path, sizeof(length) + length + end, full);
  if (full) {
    std::filesystem::remove(path);
    GTEST_SKIP() << "no file system for a file with holes here";
  }
  const std::string message = MessageOf([&] { Model::Open(path); });
  std::filesystem::remove(path);
  EXPECT_NE(message.find("1099."), std::string::npos) << message;
  EXPECT_NE(message.find("GB are available"), std::string::npos) << message;
}

TEST(ModelTest, EpsilonOfTheGroupNormCanBeSet) {
  OpenOptions options;
  options.ln_x_eps = 1e-5f;
  const Model other = Model::Open(RandomModel("v5.2"), options);
  const Model usual = Model::Open(RandomModel("v5.2"));
  Workspace workspace;
  EXPECT_NE(LastLogits(other, workspace), LastLogits(usual, workspace));
}

}  // namespace
}  // namespace linnet
