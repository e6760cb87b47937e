// Pulling: a file arrives whole and right, or there is an error and no file.
#include "download/pull.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <nlohmann/json.hpp>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "base/scratch_folder.h"
#include "download/fake_hub.h"
#include "download/fetch.h"
#include "linnet/error.h"

namespace linnet {
namespace {

namespace fs = std::filesystem;
using test::FakeHub;
using test::FakeServer;
using test::HubConnection;
using test::HubRequest;

// Bytes that differ everywhere.
std::string BytesOf(size_t count, uint32_t seed = 1) {
  std::string bytes(count, '\0');
  for (char& c : bytes) {
    seed = seed * 1664525 + 1013904223;
    c = static_cast<char>(seed >> 24);
  }
  return bytes;
}

std::string ReadWhole(const fs::path& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

// Everything below a folder that is a file, hidden ones too.
std::vector<std::string> FilesIn(const fs::path& folder) {
  std::vector<std::string> names;
  for (const auto& entry : fs::recursive_directory_iterator(folder)) {
    if (entry.is_regular_file()) names.push_back(entry.path().filename().string());
  }
  std::sort(names.begin(), names.end());
  return names;
}

class PullTest : public testing::Test {
 protected:
  PullOptions Options(const std::string& url) const {
    PullOptions options;
    options.hub.endpoint = url;
    options.folder = scratch_.path();
    options.tries = 3;
    options.pause = [](int) {};
    return options;
  }
  std::string Pull(const FakeHub& hub, const std::string& name) const {
    return ReadWhole(PullModel(name, Options(hub.url())).path);
  }
  // The message of a pull that must fail.
  std::string Fails(const std::string& name, const PullOptions& options) const {
    try {
      PullModel(name, options);
    } catch (const Error& error) {
      EXPECT_EQ(std::string(error.what()).find('\n'), std::string::npos);
      return error.what();
    }
    ADD_FAILURE() << name << " was pulled";
    return "";
  }

  const std::string big_ = BytesOf(3'000'000);
  test::TemporaryFolder scratch_;
};

TEST_F(PullTest, FileIsWholeCheckedAndHasShortNames) {
  FakeHub hub({{"a-1.pth", {big_}}, {"b.pth", {"other"}}, {"README.md", {"text", false}}});
  uint64_t last = 0;
  PullOptions options = Options(hub.url());
  options.progress = [&](const PullProgress& now) {
    EXPECT_GE(now.done, last);
    last = now.done;
    if (now.doing == PullProgress::Doing::kFetching) {
      EXPECT_EQ(now.total, big_.size());
    }
  };
  const PulledModel model = PullModel("any/model/a-1.pth", options);
  EXPECT_EQ(last, big_.size());
  EXPECT_EQ(model.path, scratch_ / "any/model/a-1.pth");
  EXPECT_EQ(ReadWhole(model.path), big_);
  EXPECT_TRUE(model.files.at(0).checked);
  EXPECT_EQ(FilesIn(scratch_.path()),
            (std::vector<std::string>{".a-1.pth.pulled.json", "a-1.pth"}));
  for (const char* name : {"a-1", "a-1.pth", "any/model/a-1", "any/model/a-1.pth"}) {
    const auto found = FindPulled(scratch_.path(), name);
    ASSERT_TRUE(found) << name;
    EXPECT_EQ(found->path, model.path);
    EXPECT_EQ(found->bytes(), big_.size());
  }
  EXPECT_FALSE(FindPulled(scratch_.path(), "b"));

  // It is there: only checked, not fetched.
  const size_t fetches = hub.fetches();
  PullModel("any/model/a-1", Options(hub.url()));
  EXPECT_EQ(hub.fetches(), fetches);

  RemovePulled(scratch_.path(), model);
  EXPECT_TRUE(fs::is_empty(scratch_.path()));
}

TEST_F(PullTest, FolderOfAReleasedModelHasAllItNeeds) {
  FakeHub hub({{"model-00001-of-00002.safetensors", {"one"}},
               {"model-00002-of-00002.safetensors", {"two"}},
               {"model.safetensors.index.json", {"{}", false}},
               {"config.json", {"{}", false}},
               {"rwkv_vocab_v20230424.txt", {"1 'a' 1", false}},
               {"modeling.py", {"import os", false}},
               {"deep/model.safetensors", {"no"}}});
  const PulledModel model = PullModel("any/model", Options(hub.url()));
  EXPECT_EQ(model.path, scratch_ / "any/model");
  EXPECT_EQ(model.name, "model");
  EXPECT_EQ(
      FilesIn(model.path),
      (std::vector<std::string>{".pulled.json", "config.json", "model-00001-of-00002.safetensors",
                                "model-00002-of-00002.safetensors", "model.safetensors.index.json",
                                "rwkv_vocab_v20230424.txt"}));
  EXPECT_EQ(FindPulled(scratch_.path(), "any/model")->path, model.path);
}

TEST_F(PullTest, OnlyCheckpointNeedsNoNameAndSeveralAreListed) {
  FakeHub one({{"only.gguf", {"gguf"}}, {"README.md", {"x", false}}});
  EXPECT_EQ(Pull(one, "any/model"), "gguf");
  FakeHub two({{"a.pth", {"a"}}, {"b.pth", {"b"}}});
  const std::string message = Fails("any/model", Options(two.url()));
  EXPECT_NE(message.find("holds 2 checkpoints"), std::string::npos) << message;
  EXPECT_NE(message.find("a.pth, b.pth"), std::string::npos) << message;
  EXPECT_NE(Fails("any/model/c.pth", Options(two.url())).find("no file 'c.pth'"),
            std::string::npos);
}

TEST_F(PullTest, BrokenConnectionGoesOnWhereItBroke) {
  FakeHub hub({{"a.pth", {big_}}});
  int broken = 0;
  hub.fault = [&](const HubRequest& request, const HubConnection& to) {
    if (request.target.starts_with("/api/") || broken == 2) return false;
    ++broken;
    const std::string range = request.Header("range");
    const size_t begin = range.empty() ? 0 : std::strtoull(range.c_str() + 6, nullptr, 10);
    const std::string tag = "\"" + Hex(Sha256Of(big_)) + "\"";
    EXPECT_EQ(request.Header("if-range"), begin > 0 ? tag : "");
    const std::string rest = big_.substr(begin);
    const std::string head =
        begin == 0 ? "" : "Content-Range: bytes " + std::to_string(begin) + "-2999999/3000000\r\n";
    to.Reply(
        begin == 0 ? "200 OK" : "206 Partial Content",
        "ETag: " + tag + "\r\n" + head + "Content-Length: " + std::to_string(rest.size()) + "\r\n",
        rest.substr(0, 1'000'000));  // and closes
    return true;
  };
  EXPECT_EQ(Pull(hub, "any/model/a.pth"), big_);
  EXPECT_EQ(broken, 2);
  const auto requests = hub.requests();
  EXPECT_EQ(requests.back().Header("range"), "bytes=2000000-");
}

TEST_F(PullTest, LaterPullTakesUpWhatAnEarlierOneLeft) {
  FakeHub hub({{"a.pth", {big_}}});
  PullOptions options = Options(hub.url());
  options.progress = [](const PullProgress& now) {
    if (now.done > 500'000) throw std::runtime_error("stopped");
  };
  EXPECT_THROW(PullModel("any/model/a.pth", options), std::runtime_error);
  EXPECT_FALSE(fs::exists(scratch_ / "any/model/a.pth"));
  EXPECT_FALSE(FindPulled(scratch_.path(), "a"));
  EXPECT_EQ(Pull(hub, "any/model/a.pth"), big_);
  EXPECT_TRUE(hub.requests().back().Header("range").starts_with("bytes="));
}

TEST_F(PullTest, PartOfAnotherFileIsThrownAway) {
  const std::string newer = BytesOf(3'000'000, 7);
  {
    FakeHub hub({{"a.pth", {big_}}});
    PullOptions options = Options(hub.url());
    options.progress = [](const PullProgress& now) {
      if (now.done > 500'000) throw std::runtime_error("stopped");
    };
    EXPECT_THROW(PullModel("any/model/a.pth", options), std::runtime_error);
  }
  FakeHub hub({{"a.pth", {newer}}});
  EXPECT_EQ(Pull(hub, "any/model/a.pth"), newer);
}

TEST_F(PullTest, ServerThatIgnoresRangesStartsAnew) {
  FakeHub hub({{"a.pth", {big_}}});
  int fetches = 0;
  hub.fault = [&](const HubRequest& request, const HubConnection& to) {
    if (request.target.starts_with("/api/")) return false;
    const bool first = ++fetches == 1;
    to.Reply("200 OK", "Content-Length: 3000000\r\n", first ? big_.substr(0, 1000) : big_);
    return true;
  };
  EXPECT_EQ(Pull(hub, "any/model/a.pth"), big_);
  EXPECT_EQ(fetches, 2);
}

TEST_F(PullTest, ServerThatNeverEndsAFileIsGivenUp) {
  FakeHub hub({{"a.pth", {big_}}});
  int fetches = 0;
  hub.fault = [&](const HubRequest& request, const HubConnection& to) {
    if (request.target.starts_with("/api/")) return false;
    ++fetches;
    // Enough for progress each time, but from the start.
    to.Reply("200 OK", "Content-Length: 3000000\r\n", big_.substr(0, 2'000'000));
    return true;
  };
  Fails("any/model/a.pth", Options(hub.url()));
  EXPECT_LT(fetches, 20);
}

TEST_F(PullTest, WrongBytesMakeNoFile) {
  FakeHub hub({{"a.pth", {big_}}});
  hub.fault = [&](const HubRequest& request, const HubConnection& to) {
    if (request.target.starts_with("/api/")) return false;
    to.Reply("200 OK", "", BytesOf(big_.size(), 9));
    return true;
  };
  const std::string message = Fails("any/model/a.pth", Options(hub.url()));
  EXPECT_NE(message.find("SHA-256"), std::string::npos) << message;
  EXPECT_FALSE(fs::exists(scratch_ / "any/model/a.pth"));
  EXPECT_FALSE(FindPulled(scratch_.path(), "a"));
}

TEST_F(PullTest, WrongSizesMakeNoFile) {
  const std::map<std::string, std::string> lies = {
      {"Content-Length: 2999999\r\n", "by another"},     // less than listed
      {"Content-Length: 3000001\r\n", "by another"},     // more
      {"X-Linked-Size: 5\r\n", "by another"},            //
      {"Content-Length: 99999999999999999999\r\n", ""},  // no number
      {"Transfer-Encoding: chunked\r\n", ""}};           // and then no chunks
  for (const auto& [header, expected] : lies) {
    FakeHub hub({{"a.pth", {big_}}});
    hub.fault = [&, lie = header](const HubRequest& request, const HubConnection& to) {
      if (request.target.starts_with("/api/")) return false;
      to.Send("HTTP/1.1 200 OK\r\nConnection: close\r\n" + lie + "\r\n");
      to.Send(big_.substr(0, 1000));
      return true;
    };
    const std::string message = Fails("any/model/a.pth", Options(hub.url()));
    EXPECT_NE(message.find(expected), std::string::npos) << header << message;
    EXPECT_FALSE(fs::exists(scratch_ / "any/model/a.pth"));
  }
}

TEST_F(PullTest, EndlessBodyEnds) {
  for (const bool list : {true, false}) {
    FakeHub hub({{"a.pth", {big_}}});
    std::atomic<uint64_t> sent = 0;
    hub.fault = [&](const HubRequest& request, const HubConnection& to) {
      if (request.target.starts_with("/api/") != list) return false;
      to.Send("HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n");  // until the connection ends
      const std::string piece(1 << 20, '[');
      while (to.Send(piece)) sent += piece.size();
      return true;
    };
    const std::string message = Fails("any/model/a.pth", Options(hub.url()));
    EXPECT_NE(message.find("sends more than"), std::string::npos) << message;
    EXPECT_LT(sent, uint64_t{64} << 20);
  }
}

TEST_F(PullTest, RedirectIsFollowedWithoutTheToken) {
  FakeServer store([&](const HubRequest& request, const HubConnection& to) {
    FakeHub::SendFile(request, to, big_);
  });
  FakeHub hub({{"a.pth", {big_}}});
  hub.fault = [&](const HubRequest& request, const HubConnection& to) {
    EXPECT_EQ(request.Header("authorization"), "Bearer secret");
    if (request.target.starts_with("/api/")) return false;
    to.Reply("302 Found",
             "Location: " + store.url() + "/cdn?signature=x\r\nX-Linked-Size: 3000000\r\n" +
                 "X-Linked-Etag: \"" + Hex(Sha256Of(big_)) + "\"\r\n",
             "elsewhere");
    return true;
  };
  PullOptions options = Options(hub.url());
  options.hub.token = "secret";
  EXPECT_EQ(ReadWhole(PullModel("any/model/a.pth", options).path), big_);
  ASSERT_EQ(store.requests().size(), 1u);
  EXPECT_EQ(store.requests()[0].target, "/cdn?signature=x");
  EXPECT_EQ(store.requests()[0].Header("authorization"), "");
}

TEST_F(PullTest, RedirectsInACircleAndToFilesEnd) {
  for (const char* where : {"/any/model/resolve/main/a.pth", "file:///etc/passwd",
                            "ftp://127.0.0.1/a.pth", "gopher://127.0.0.1/"}) {
    FakeHub hub({{"a.pth", {big_}}});
    hub.fault = [&](const HubRequest& request, const HubConnection& to) {
      if (request.target.starts_with("/api/")) return false;
      to.Reply("302 Found", "Location: " + std::string(where) + "\r\n", "");
      return true;
    };
    Fails("any/model/a.pth", Options(hub.url()));
    EXPECT_LT(hub.fetches(), 40u);
    EXPECT_FALSE(fs::exists(scratch_ / "any/model/a.pth"));
  }
}

TEST_F(PullTest, RefusalsSayWhy) {
  const std::map<std::string, std::string> refusals = {{"401 Unauthorized", "token"},
                                                       {"403 Forbidden", "token"},
                                                       {"404 Not Found", "not found"},
                                                       {"429 Too Many Requests", "too many"},
                                                       {"503 Service Unavailable", "503"}};
  for (const auto& [status, expected] : refusals) {
    for (const bool list : {true, false}) {
      FakeHub hub({{"a.pth", {big_}}});
      hub.fault = [&, code = status](const HubRequest& request, const HubConnection& to) {
        if (request.target.starts_with("/api/") != list) return false;
        to.Reply(code, "", "no");
        return true;
      };
      const std::string message = Fails("any/model/a.pth", Options(hub.url()));
      EXPECT_NE(message.find(expected), std::string::npos) << message;
    }
  }
}

TEST_F(PullTest, BusyServerIsAskedAgain) {
  FakeHub hub({{"a.pth", {big_}}});
  int refused = 0;
  hub.fault = [&](const HubRequest&, const HubConnection& to) {
    if (refused == 2) return false;
    ++refused;
    to.Reply("503 Service Unavailable", "", "");
    return true;
  };
  EXPECT_EQ(Pull(hub, "any/model/a.pth"), big_);
}

TEST_F(PullTest, ListsThatAreNoneAreErrors) {
  for (const char* list : {"", "{", "null", "[1, {}, {\"type\": \"file\"}]", "{\"error\": \"no\"}",
                           "[{\"type\": \"file\", \"path\": \"a.pth\", \"size\": -1, \"lfs\": 7}]",
                           "[{\"type\": \"file\", \"path\": [\"a.pth\"]}]"}) {
    FakeHub hub({});
    hub.fault = [&](const HubRequest& request, const HubConnection& to) {
      if (!request.target.starts_with("/api/")) return false;
      to.Reply("200 OK", "", list);
      return true;
    };
    Fails("any/model", Options(hub.url()));
  }
}

TEST_F(PullTest, NoNameLeavesTheFolder) {
  for (const char* path : {"../a.pth", "a/../../a.pth", "/tmp/a.pth", ".hidden.pth", "a//b.pth",
                           "a/./b.pth", "a\\b.pth", "a\nb.pth", "", "x/", "..", "b/.a.pth.part"}) {
    EXPECT_FALSE(IsSafePath(path)) << path;
    // A file with such a name is as if it were not listed.
    std::map<std::string, FakeHub::File> files;
    files["good.pth"] = {"good"};
    files[path] = {"evil"};
    FakeHub hub(std::move(files));
    EXPECT_EQ(Pull(hub, "any/model"), "good");
    EXPECT_EQ(FilesIn(scratch_.path()),
              (std::vector<std::string>{".good.pth.pulled.json", "good.pth"}));
  }
  EXPECT_TRUE(IsSafePath("a/b-1.5_c.pth"));
  const PullOptions options = Options("http://127.0.0.1:1");
  for (const char* name : {"", "a", "/", "a/", "/b", "../b", "a/..", "a/b/../c", "a/b/.c", "a b/c",
                           "a/b:../c", "https://example.com/a/b", "a/b\n/c", "hf.co/a"}) {
    Fails(name, options);
  }
}

TEST_F(PullTest, OddRecordsAreNotModels) {
  const fs::path folder = scratch_ / "any/model";
  fs::create_directories(folder);
  const auto record = [&](const std::string& text) {
    std::ofstream(folder / ".a.pth.pulled.json") << text;
    return PulledModels(scratch_.path()).size();
  };
  std::ofstream(folder / "a.pth") << "a";
  std::ofstream(scratch_ / "b.pth") << "b";
  const std::string files = R"("files": [{"path": "a.pth", "bytes": 1}])";
  EXPECT_EQ(record(R"({"name": "any/model/a.pth", )" + files + "}"), 1u);
  EXPECT_EQ(record(R"({"name": "any/../../model/a.pth", )" + files + "}"), 0u);
  EXPECT_EQ(
      record(R"({"name": "any/model/a.pth", "files": [{"path": "../../b.pth", "bytes": 1}]})"), 0u);
  EXPECT_EQ(record(R"({"name": "any/model/a.pth", "files": [{"path": "c.pth", "bytes": 1}]})"), 0u);
  EXPECT_EQ(record(R"({"name": 5})"), 0u);
  EXPECT_EQ(record("{"), 0u);
  EXPECT_EQ(record(std::string(100'000, '[')), 0u);
}

TEST_F(PullTest, NameOfTwoModelsIsRefused) {
  FakeHub hub({{"x/a.pth", {"1"}}, {"y/a.pth", {"2"}}});
  EXPECT_EQ(Pull(hub, "any/model/x/a.pth"), "1");
  EXPECT_EQ(Pull(hub, "any/model/y/a.pth"), "2");
  EXPECT_THROW(FindPulled(scratch_.path(), "a"), Error);
  EXPECT_EQ(ReadWhole(FindPulled(scratch_.path(), "any/model/y/a")->path), "2");
}

TEST_F(PullTest, TwoPullsOfOneFileExcludeEachOther) {
  FakeHub hub({{"a.pth", {big_}}});
  std::string message;
  PullOptions options = Options(hub.url());
  options.progress = [&](const PullProgress& now) {
    if (now.done == 0 || !message.empty()) return;
    const RemoteFile file{"a.pth", hub.url() + "/any/model/resolve/main/a.pth", {}, {}};
    try {
      DownloadFile(file, scratch_ / "any/model/a.pth", {});
    } catch (const Error& error) {
      message = error.what();
    }
  };
  PullModel("any/model/a.pth", options);
  EXPECT_NE(message.find("another download"), std::string::npos) << message;
}

TEST_F(PullTest, PlainFolderGetsTheFileAlone) {
  FakeHub hub({{"x/a.pth", FakeHub::File{"1"}}});
  PullOptions options = Options(hub.url());
  options.plain_folder = scratch_ / "out";
  EXPECT_EQ(PullModel("any/model", options).path, scratch_ / "out/a.pth");
  EXPECT_EQ(FilesIn(scratch_.path()), (std::vector<std::string>{"a.pth"}));
}

TEST_F(PullTest, ModelScopeAndWiseModelHaveTheirOwnAddresses) {
  FakeServer server([&](const HubRequest& request, const HubConnection& to) {
    if (request.target == "/api/v1/models/any/model/repo/files?Revision=master&Recursive=true") {
      const nlohmann::json list = {{"Data",
                                    {{"Files",
                                      {{{"Type", "tree"}, {"Path", "x"}},
                                       {{"Type", "blob"},
                                        {"Path", "x/a b.pth"},
                                        {"Size", big_.size()},
                                        {"Sha256", Hex(Sha256Of(big_))}}}}}}};
      return to.Reply("200 OK", "", list.dump());
    }
    if (request.target == "/models/any/model/resolve/master/x/a%20b.pth" ||
        request.target == "/file-proxy/any/model/-/raw/main/a.pth") {
      return FakeHub::SendFile(request, to, big_);
    }
    to.Reply("404 Not Found", "", "");
  });
  PullOptions options = Options(server.url());
  options.hub.kind = HubKind::kModelScope;
  EXPECT_EQ(ReadWhole(PullModel("any/model", options).path), big_);
  options.hub.kind = HubKind::kWiseModel;
  const PulledModel model = PullModel("any/model/a.pth", options);
  EXPECT_EQ(ReadWhole(model.path), big_);
  EXPECT_FALSE(model.files.at(0).checked);
  EXPECT_NE(Fails("any/model", options).find("no list"), std::string::npos);
}

TEST_F(PullTest, AModelMayHaveOtherNames) {
  FakeHub hub({{"x/big.pth", {big_}}, {"other.pth", {big_}}});
  const PullOptions options = Options(hub.url());
  PulledModel model = PullModel("any/model/x/big", options);
  const auto found = [&](const std::string& name) {
    const auto one = FindPulled(options.folder, name);
    return one ? one->full_name : "none";
  };
  EXPECT_EQ(found("any/model"), "any/model/x/big.pth");  // the only one of the repository
  EXPECT_EQ(found("second"), "none");
  model.other_names = {"second", "a/third"};
  WriteRecord(model);
  EXPECT_EQ(found("second"), "any/model/x/big.pth");
  EXPECT_EQ(found("a/third"), "any/model/x/big.pth");
  for (const std::string& name : model.Spellings(true)) EXPECT_EQ(found(name), found("big"));
  // They stay when it is pulled again.
  PullModel("any/model/x/big", options);
  EXPECT_EQ(found("second"), "any/model/x/big.pth");
  PullModel("any/model/other", options);
  EXPECT_THROW(FindPulled(options.folder, "any/model"), Error);
}

TEST_F(PullTest, NamesMayBeAddresses) {
  for (const char* text : {"https://huggingface.co/any/model/blob/main/x/a.pth",
                           "hf.co/any/model/x/a.pth", "any/model:x/a.pth", "any/model/x/a.pth",
                           "https://huggingface.co/any/model/resolve/main/x/a.pth?download=true"}) {
    EXPECT_EQ(ParseHubName(text).Shown(), "any/model/x/a.pth") << text;
  }
  const HubName scope = ParseHubName("https://modelscope.cn/models/any/model/resolve/v2/a.pth");
  EXPECT_EQ(scope.Shown(), "any/model/a.pth");
  EXPECT_EQ(scope.revision, "v2");
  EXPECT_EQ(scope.kind, HubKind::kModelScope);
  const HubName wise =
      ParseHubName("https://awsdownload.wisemodel.cn/file-proxy/any/model/-/raw/main/a.pth");
  EXPECT_EQ(wise.Shown(), "any/model/a.pth");
  EXPECT_EQ(wise.kind, HubKind::kWiseModel);
}

TEST_F(PullTest, SecretsOfAnAddressAreNotShown) {
  EXPECT_EQ(ShownUrl("https://me:key@host/path?token=x#y"), "https://host/path");
  EXPECT_EQ(ShownUrl("https://host/a b\n"), "https://host/a?b?");
}

}  // namespace
}  // namespace linnet
