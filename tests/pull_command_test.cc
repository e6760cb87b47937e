// linnet pull, linnet models: a model that was pulled is a MODEL for every command.
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>
#include <system_error>
#include <thread>
#include <vector>

#include "download/fake_hub.h"
#include "program.h"

namespace linnet {
namespace {

using test::FakeHub;
using test::HubConnection;
using test::HubRequest;

class PullCommandTest : public testing::Test {
 protected:
  PullCommandTest() {
    setenv("XDG_DATA_HOME", (scratch_ / "data").c_str(), 1);
    setenv("no_proxy", "127.0.0.1", 1);
    for (const char* variable : {"HF_TOKEN", "HF_TOKEN_PATH", "HF_ENDPOINT", "LINNET_HUB"}) {
      unsetenv(variable);
    }
    const std::string file = scratch_ / "tiny.safetensors";
    EXPECT_EQ(RunLinnet({"init", "--generation", "7", "--layers", "2", "--width", "64", "--vocab",
                         "256", "--random", file})
                  .exit_code,
              0);
    model_ = ReadFile(file);
  }
  ~PullCommandTest() override { unsetenv("XDG_DATA_HOME"); }

  ScratchFolder scratch_;
  std::string model_;
};

TEST_F(PullCommandTest, PulledModelHasAShortNameEverywhere) {
  FakeHub hub({{"rwkv-tiny.safetensors", {model_}}, {"README.md", {"text", false}}});
  const Outcome pulled = RunLinnet({"pull", "any/model", "--endpoint", hub.url()});
  EXPECT_EQ(pulled.exit_code, 0) << pulled.err;
  const std::string path = scratch_ / "data/linnet/models/any/model/rwkv-tiny.safetensors";
  EXPECT_EQ(pulled.out, path + "\n");
  EXPECT_EQ(ReadFile(path), model_);

  const auto list = nlohmann::json::parse(RunLinnet({"models", "--json"}).out);
  bool listed = false;
  for (const auto& model : list["models"]) {
    if (model["name"] != "rwkv-tiny") continue;
    listed = true;
    EXPECT_EQ(model["path"], path);
    EXPECT_EQ(model["bytes"], model_.size());
    EXPECT_EQ(model["generation"], "7");
  }
  EXPECT_TRUE(listed) << list;
  EXPECT_NE(RunLinnet({"models"}).out.find("rwkv-tiny"), std::string::npos);

  const std::string out = scratch_ / "out.safetensors";
  const std::vector<Words> commands = {
      {"inspect", "rwkv-tiny"},
      {"inspect", "any/model/rwkv-tiny"},
      {"generate", "rwkv-tiny", "--prompt", "a", "--max-tokens", "2"},
      {"tokenize", "--model", "rwkv-tiny"},
      {"tokenize", "--vocab", "rwkv-tiny"},
      {"perplexity", "rwkv-tiny", "LICENSE", "--chunk", "64"},
      {"logits", "rwkv-tiny", "--tokens", "1,2", "--out", out},
      {"convert", "rwkv-tiny", scratch_ / "out.pth"},
      {"quantize", "rwkv-tiny", scratch_ / "nf4.safetensors", "--type", "nf4"},
      {"bench", "rwkv-tiny", "--prompt", "0", "--decode", "0", "--batch", "0"}};
  for (const Words& command : commands) {
    const Outcome run = RunLinnet(command, "a");
    // A model of bytes has no vocabulary in its file; the error must be about that.
    const bool no_vocabulary = command[1] == "--vocab";
    EXPECT_EQ(run.exit_code, no_vocabulary ? 1 : 0) << command[0] << ": " << run.err;
    if (no_vocabulary) {
      EXPECT_NE(run.err.find("rwkv-tiny.safetensors"), std::string::npos);
    }
  }

  EXPECT_EQ(RunLinnet({"models", "--remove", "rwkv-tiny"}).exit_code, 0);
  EXPECT_FALSE(std::filesystem::exists(path));
  EXPECT_EQ(RunLinnet({"inspect", "rwkv-tiny"}).exit_code, 1);
  const Outcome again = RunLinnet({"models", "--remove", "rwkv-tiny"});
  EXPECT_EQ(again.exit_code, 1);
  EXPECT_NE(again.err.find("no pulled model"), std::string::npos);
}

TEST_F(PullCommandTest, InterruptedPullIsResumed) {
  FakeHub hub({{"a.safetensors", {model_}}});
  std::atomic<bool> stalled = false;
  std::atomic<bool> go_on = false;
  hub.fault = [&](const HubRequest& request, const HubConnection& to) {
    if (request.target.starts_with("/api/") || stalled.exchange(true)) return false;
    to.Send("HTTP/1.1 200 OK\r\nETag: \"" + Hex(Sha256Of(model_)) + "\"\r\nContent-Length: " +
            std::to_string(model_.size()) + "\r\n\r\n" + model_.substr(0, model_.size() / 2));
    while (!go_on) std::this_thread::sleep_for(std::chrono::milliseconds(1));
    return true;
  };
  const std::filesystem::path part = scratch_ / "data/linnet/models/any/model/.a.safetensors.part";
  const auto half = [&](const std::string&) {
    std::error_code error;
    return std::filesystem::file_size(part, error) >= model_.size() / 2 && !error;
  };
  const Outcome stopped =
      SignalLinnet({"pull", "any/model", "--endpoint", hub.url()}, half, SIGINT);
  go_on = true;
  EXPECT_EQ(stopped.exit_code, 130) << stopped.err;
  EXPECT_EQ(stopped.out, "");
  const Outcome pulled = RunLinnet({"pull", "any/model", "--endpoint", hub.url(), "--json"});
  EXPECT_EQ(pulled.exit_code, 0) << pulled.err;
  EXPECT_EQ(hub.requests().back().Header("range"),
            "bytes=" + std::to_string(model_.size() / 2) + "-");
  const auto told = nlohmann::json::parse(pulled.out);
  EXPECT_EQ(told["files"][0]["sha256"], Hex(Sha256Of(model_)));
  EXPECT_EQ(told["files"][0]["checked"], true);
  EXPECT_EQ(ReadFile(told["path"].get<std::string>()), model_);
}

// The token of the environment is for its own hub, or the mirror that the environment names.
TEST_F(PullCommandTest, TokenGoesToTheHubOfTheEnvironmentOnly) {
  FakeHub hub({{"a.safetensors", {model_}}});
  setenv("HF_TOKEN", "secret", 1);
  EXPECT_EQ(RunLinnet({"pull", "any/model", "--endpoint", hub.url()}).exit_code, 0);
  for (const HubRequest& request : hub.requests()) EXPECT_EQ(request.Header("authorization"), "");
  setenv("HF_ENDPOINT", hub.url().c_str(), 1);
  EXPECT_EQ(RunLinnet({"pull", "any/model"}).exit_code, 0);
  EXPECT_EQ(hub.requests().back().Header("authorization"), "Bearer secret");
  unsetenv("HF_TOKEN");
  unsetenv("HF_ENDPOINT");
}

TEST_F(PullCommandTest, FailureIsOneLineAndLeavesNoFile) {
  FakeHub hub({{"a.safetensors", {model_}}});
  hub.fault = [](const HubRequest& request, const HubConnection& to) {
    if (request.target.starts_with("/api/")) return false;
    to.Reply("200 OK", "", "short");
    return true;
  };
  for (const Words& name : {Words{"any/model"}, Words{"any/other"}, Words{"nothing"}}) {
    const Outcome failed = RunLinnet(Words{"pull"} + name + Words{"--endpoint", hub.url()});
    EXPECT_EQ(failed.exit_code, 1) << failed.err;
    EXPECT_EQ(failed.out, "");
    EXPECT_EQ(std::count(failed.err.begin(), failed.err.end(), '\n'), 1) << failed.err;
  }
  EXPECT_FALSE(std::filesystem::exists(scratch_ / "data/linnet/models/any/model/a.safetensors"));
}

}  // namespace
}  // namespace linnet
