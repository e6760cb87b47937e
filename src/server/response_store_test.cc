#include "server/response_store.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <fstream>
#include <future>
#include <string>
#include <vector>

#include "base/scratch_folder.h"
#include "linnet/error.h"
#include "server/json_fields.h"

namespace linnet {
namespace {

using std::chrono::hours;
using test::TemporaryFolder;

StoredResponse Node(const std::string& id, const std::string& parent, const std::string& said,
                    const std::string& answer) {
  return {id,
          parent,
          "",
          Json::array({{{"id", "msg_" + id}, {"text", said}}}),
          {{"id", id}, {"output", Json::array({{{"id", "out_" + id}, {"text", answer}}})}}};
}

void PutAndWait(ResponseStore& store, const std::string& owner, const StoredResponse& node) {
  std::promise<void> done;
  store.Put(owner, node, [&] { done.set_value(); });
  done.get_future().wait();
}

std::string Texts(const ResponseHistory& history) {
  if (!history.missing.empty()) return "missing " + history.missing;
  std::string texts;
  for (const Json& item : history.items) texts += item.at("text").get<std::string>() + " ";
  return texts;
}

// In memory and in a folder.
class ResponseStoreTest : public testing::TestWithParam<bool> {
 protected:
  ResponseStoreOptions Options() const {
    ResponseStoreOptions options;
    if (GetParam()) options.folder = folder_ / "responses";
    options.now = [this] { return now_; };
    return options;
  }
  std::filesystem::path File() const { return folder_ / "responses" / "responses.sqlite"; }

  TemporaryFolder folder_;
  std::chrono::system_clock::time_point now_{hours(24 * 20000)};
};
INSTANTIATE_TEST_SUITE_P(Places, ResponseStoreTest, testing::Bool());

TEST_P(ResponseStoreTest, AResponseContinuesEachOfTheTree) {
  ResponseStore store(Options());
  PutAndWait(store, "", Node("a", "", "1", "2"));
  PutAndWait(store, "", Node("b", "a", "3", "4"));
  PutAndWait(store, "", Node("c", "a", "5", "6"));
  PutAndWait(store, "", Node("d", "c", "7", "8"));
  EXPECT_EQ(Texts(store.History("", "a")), "1 2 ");
  EXPECT_EQ(Texts(store.History("", "b")), "1 2 3 4 ");
  EXPECT_EQ(Texts(store.History("", "d")), "1 2 5 6 7 8 ");
  EXPECT_EQ(store.Get("", "d")->parent, "c");
  EXPECT_EQ(store.statistics().responses, 4u);
}

TEST_P(ResponseStoreTest, OwnersDoNotSeeEachOther) {
  ResponseStore store(Options());
  PutAndWait(store, "one", Node("a", "", "1", "2"));
  PutAndWait(store, "two", Node("a", "", "3", "4"));
  PutAndWait(store, "one", Node("b", "", "5", "6"));
  EXPECT_EQ(Texts(store.History("two", "a")), "3 4 ");
  EXPECT_FALSE(store.Get("two", "b"));
  EXPECT_FALSE(store.Get("", "a"));
  EXPECT_EQ(Texts(store.History("two", "b")), "missing b");
  EXPECT_FALSE(store.Erase("two", "b"));
  EXPECT_TRUE(store.Get("one", "b"));
}

TEST_P(ResponseStoreTest, AnErasedResponseIsGoneAndCannotBeContinued) {
  ResponseStore store(Options());
  PutAndWait(store, "", Node("a", "", "1", "2"));
  PutAndWait(store, "", Node("b", "a", "3", "4"));
  EXPECT_TRUE(store.Erase("", "a"));
  EXPECT_FALSE(store.Erase("", "a"));
  EXPECT_FALSE(store.Get("", "a"));
  EXPECT_TRUE(store.Get("", "b"));
  EXPECT_EQ(Texts(store.History("", "b")), "missing a");
}

TEST_P(ResponseStoreTest, PutReplaces) {
  ResponseStore store(Options());
  PutAndWait(store, "", Node("a", "", "1", "2"));
  PutAndWait(store, "", Node("a", "", "1", "3"));
  EXPECT_EQ(Texts(store.History("", "a")), "1 3 ");
  EXPECT_EQ(store.statistics().responses, 1u);
}

TEST_P(ResponseStoreTest, AConversationGoesOnFromItsLatestResponse) {
  ResponseStore store(Options());
  EXPECT_EQ(store.Latest("", "talk"), "");
  for (const std::string id : {"a", "b"}) {
    StoredResponse node = Node(id, id == "b" ? "a" : "", "1", "2");
    node.conversation = "talk";
    PutAndWait(store, "", node);
  }
  StoredResponse again = Node("a", "", "1", "9");
  again.conversation = "talk";
  PutAndWait(store, "", again);
  EXPECT_EQ(store.Latest("", "talk"), "b") << "replaced, not continued";
  EXPECT_EQ(store.Latest("other", "talk"), "");
}

TEST_P(ResponseStoreTest, OldOnesExpireUnlessUsed) {
  ResponseStoreOptions options = Options();
  options.expiry = hours(10);
  ResponseStore store(options);
  PutAndWait(store, "", Node("a", "", "1", "2"));
  PutAndWait(store, "", Node("b", "a", "3", "4"));
  PutAndWait(store, "", Node("c", "", "5", "6"));
  now_ += hours(6);
  EXPECT_EQ(Texts(store.History("", "b")), "1 2 3 4 ");
  PutAndWait(store, "", Node("d", "", "7", "8"));  // after the use above was noted
  now_ += hours(6);
  EXPECT_EQ(Texts(store.History("", "b")), "1 2 3 4 ");
  EXPECT_FALSE(store.Get("", "c"));
  PutAndWait(store, "", Node("e", "", "7", "8"));
  EXPECT_EQ(store.statistics().responses, 4u);
}

TEST_P(ResponseStoreTest, AnOwnerIsBoundedAndRootsAreDroppedLast) {
  ResponseStoreOptions options = Options();
  options.owner_bytes = 4000;
  ResponseStore store(options);
  PutAndWait(store, "other", Node("z", "", "1", "2"));
  PutAndWait(store, "", Node("root", "", "1", "2"));
  for (int i = 0; i < 50; ++i) {
    PutAndWait(store, "", Node("n" + std::to_string(i), "root", "1", std::string(100, 'x')));
    EXPECT_EQ(store.History("", "n" + std::to_string(i)).items.size(), 4u);
  }
  EXPECT_TRUE(store.Get("", "root"));
  EXPECT_FALSE(store.Get("", "n0"));
  EXPECT_TRUE(store.Get("", "n49"));
  EXPECT_TRUE(store.Get("other", "z"));
  EXPECT_LE(store.statistics().bytes, 4000u + 300u);
  // One that is larger than the limit is kept until the next.
  PutAndWait(store, "", Node("big", "", "1", std::string(5000, 'x')));
  EXPECT_TRUE(store.Get("", "big"));
  EXPECT_EQ(store.statistics().responses, 2u);
}

TEST_P(ResponseStoreTest, AllOwnersTogetherAreBounded) {
  ResponseStoreOptions options = Options();
  options.total_bytes = 3000;
  ResponseStore store(options);
  for (int i = 0; i < 30; ++i) {
    PutAndWait(store, std::to_string(i), Node("a", "", "1", std::string(100, 'x')));
  }
  EXPECT_LE(store.statistics().bytes, 3000u);
  EXPECT_FALSE(store.Get("0", "a"));
  EXPECT_TRUE(store.Get("29", "a"));
}

TEST_P(ResponseStoreTest, SomeThreadsAtOnce) {
  ResponseStore store(Options());
  std::vector<std::thread> threads;
  threads.reserve(4);
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&, owner = std::to_string(t)] {
      std::string parent;
      for (int i = 0; i < 20; ++i) {
        const std::string id = "r" + std::to_string(i);
        PutAndWait(store, owner, Node(id, parent, "1", "2"));
        EXPECT_EQ(store.History(owner, id).items.size(), 2 * (i + 1u));
        parent = id;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(store.statistics().responses, 80u);
}

TEST_P(ResponseStoreTest, CanBeDroppedByItsOwnThread) {
  auto store = std::make_shared<ResponseStore>(Options());
  std::promise<void> may_drop, dropped;
  const auto wait = may_drop.get_future().share();
  store->Put("", Node("a", "", "1", "2"), [store, wait, &dropped]() mutable {
    wait.wait();
    store.reset();
    dropped.set_value();
  });
  store.reset();
  may_drop.set_value();
  dropped.get_future().wait();
}

class ResponseFileTest : public ResponseStoreTest {};
INSTANTIATE_TEST_SUITE_P(Folder, ResponseFileTest, testing::Values(true));

TEST_P(ResponseFileTest, SurvivesARestart) {
  {
    ResponseStore store(Options());
    store.Put("me", Node("a", "", "1", "2"), {});
    store.Put("me", Node("b", "a", "3", "4"), {});
  }
  ResponseStore store(Options());
  EXPECT_EQ(Texts(store.History("me", "b")), "1 2 3 4 ");
  EXPECT_EQ(store.statistics().responses, 2u);
  struct stat status {};
  ASSERT_EQ(stat((folder_ / "responses").c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777, 0700u);
  ASSERT_EQ(stat(File().c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777, 0600u);
}

TEST_P(ResponseFileTest, WhatPutReportedSurvivesAKill) {
  ResponseStore store(Options());
  PutAndWait(store, "", Node("a", "", "1", "2"));
  // A copy of the files, taken while the store is open, is what a killed process leaves.
  std::filesystem::copy(folder_ / "responses", folder_ / "copy");
  ResponseStoreOptions options = Options();
  options.folder = folder_ / "copy";
  ResponseStore copy(options);
  EXPECT_EQ(Texts(copy.History("", "a")), "1 2 ");
}

TEST_P(ResponseFileTest, AFileOfAnotherKindIsReplaced) {
  for (const std::string& bytes : {std::string("no database"), std::string(5000, 'x')}) {
    std::filesystem::create_directories(folder_ / "responses");
    std::ofstream(File(), std::ios::binary) << bytes;
    ResponseStore store(Options());
    EXPECT_EQ(store.statistics().responses, 0u);
    PutAndWait(store, "", Node("a", "", "1", "2"));
    EXPECT_TRUE(store.Get("", "a"));
    EXPECT_EQ(store.statistics().failures, 0u);
  }
}

TEST_P(ResponseFileTest, AnUnknownSchemaIsReplaced) {
  {
    ResponseStore store(Options());
    PutAndWait(store, "", Node("a", "", "1", "2"));
  }
  std::fstream file(File(), std::ios::binary | std::ios::in | std::ios::out);
  file.seekp(60);  // the header's user_version, big endian
  file.write("\0\0\0\7", 4);
  file.close();
  ResponseStore store(Options());
  EXPECT_EQ(store.statistics().responses, 0u);
  PutAndWait(store, "", Node("b", "", "1", "2"));
  EXPECT_TRUE(store.Get("", "b"));
}

TEST_P(ResponseFileTest, AFlippedByteIsNeverAnsweredFrom) {
  {
    ResponseStore store(Options());
    for (int i = 0; i < 8; ++i) {
      PutAndWait(store, "", Node("r" + std::to_string(i), "", "said", std::string(900, 'y')));
    }
  }
  std::string bytes;
  {
    std::ifstream in(File(), std::ios::binary);
    bytes.assign(std::istreambuf_iterator<char>(in), {});
  }
  const Json whole = Node("r0", "", "said", std::string(900, 'y')).response.at("output");
  for (size_t at = 100; at < bytes.size(); at += 397) {
    std::string flipped = bytes;
    flipped[at] = static_cast<char>(flipped[at] ^ 4);
    std::filesystem::remove_all(folder_ / "responses");
    std::filesystem::create_directories(folder_ / "responses");
    std::ofstream(File(), std::ios::binary) << flipped;
    ResponseStore store(Options());
    for (int i = 0; i < 8; ++i) {
      const auto node = store.Get("", "r" + std::to_string(i));
      if (!node) continue;
      EXPECT_EQ(node->input.at(0).at("text"), "said");
      if (i == 0) {
        EXPECT_EQ(node->response.at("output"), whole);
      }
    }
    PutAndWait(store, "", Node("new", "", "1", "2"));
    PutAndWait(store, "", Node("new", "", "1", "2"));  // the first may have found the damage
    EXPECT_TRUE(store.Get("", "new")) << at;
  }
}

TEST_P(ResponseFileTest, AFolderThatCannotBeMadeIsAnError) {
  ResponseStoreOptions options;
  options.folder = folder_.Write("file", "") / "below";
  EXPECT_THROW(ResponseStore{options}, Error);
}

}  // namespace
}  // namespace linnet
