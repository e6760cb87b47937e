// linnet bench as programs read it, and what it refuses before it takes the memory.
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <set>
#include <string>

#include "base/sanitized.h"
#include "program.h"

namespace linnet {
namespace {

using nlohmann::json;

class BenchTest : public testing::Test {
 protected:
  void SetUp() override {
    const Outcome made = RunLinnet({"init", "--generation", "7", "--layers", "4", "--width", "256",
                                    "--head-size", "256", "--vocab", "256", "--random", model_});
    ASSERT_EQ(made.exit_code, 0) << made.err;
  }

  ScratchFolder scratch_;
  std::string model_ = scratch_ / "model.safetensors";
};

std::set<std::string> KeysOf(const json& object) {
  std::set<std::string> keys;
  for (const auto& [key, value] : object.items()) keys.insert(key);
  return keys;
}

using Keys = std::set<std::string>;

TEST_F(BenchTest, SaysWhatOthersReadUnderItsNames) {
  const Outcome outcome =
      RunLinnet({"bench", model_, "--prompt", "16", "--decode", "4", "--batch", "3", "--json"});
  ASSERT_EQ(outcome.exit_code, 0) << outcome.err;
  const json r = json::parse(outcome.out);
  EXPECT_EQ(KeysOf(r), (Keys{"machine", "prompt", "decode", "batch", "bytes_per_token",
                             "resident_mb", "load_s"}));
  EXPECT_EQ(KeysOf(r["machine"]), (Keys{"read_gb_s", "f32_gflops", "bf16_gflops", "int8_gops"}));
  EXPECT_EQ(KeysOf(r["prompt"]), (Keys{"tokens", "tokens_per_s", "gflops"}));
  EXPECT_EQ(KeysOf(r["decode"]), (Keys{"tokens", "tokens_per_s", "gb_s"}));
  EXPECT_EQ(KeysOf(r["batch"]), (Keys{"sequences", "tokens_per_s", "gflops"}));
  EXPECT_EQ(r["prompt"]["tokens"], 16);
  EXPECT_EQ(r["decode"]["tokens"], 4);
  EXPECT_EQ(r["batch"]["sequences"], 3);
  for (const char* part : {"machine", "prompt", "decode", "batch"}) {
    for (const auto& [key, value] : r[part].items()) EXPECT_GT(value, 0) << part << "." << key;
  }
  EXPECT_GT(r["bytes_per_token"], 4 * 12 * 256 * 256 * 2);  // the layers' matrices in bf16
  EXPECT_GT(r["resident_mb"], 0);
  EXPECT_GT(r["load_s"], 0);
  const json& machine = r["machine"];
  EXPECT_GE(machine["bf16_gflops"], machine["f32_gflops"]);
  EXPECT_GE(machine["int8_gops"], machine["f32_gflops"]);
}

TEST_F(BenchTest, TakesNoMoreThanThereIs) {
  for (const char* option : {"--prompt", "--decode", "--batch"}) {
    EXPECT_EQ(RunLinnet({"bench", model_, option, "18446744073709551615"}).exit_code, 2) << option;
  }
  // A megabyte of state each.
  const Outcome outcome = RunLinnet({"bench", model_, "--batch", "1048576"});
  EXPECT_EQ(outcome.exit_code, 1);
  EXPECT_NE(outcome.err.find("--batch 1048576 takes 110"), std::string::npos) << outcome.err;
  // A sanitizer takes memory of its own.
  if (!kSanitized) {
    EXPECT_LT(outcome.peak_bytes, 100'000'000u);
  }
}

}  // namespace
}  // namespace linnet
