// The state cache on disk: what comes back is exact or a miss, whatever happened to the files.
#include "engine/state_store.h"

#include <gtest/gtest.h>
#include <sqlite3.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <csignal>
#include <fstream>
#include <iterator>
#include <mutex>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "base/scratch_folder.h"
#include "engine/state_cache.h"
#include "engine/test_states.h"
#include "linnet/error.h"

namespace linnet {
namespace {

namespace fs = std::filesystem;
using test::BytesOf;
using test::RandomTexts;
using test::SlowCache;
using test::SmallShape;
using test::StateOf;
using test::TextTokens;

std::string ReadFile(const fs::path& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

void WriteFile(const fs::path& path, const std::string& bytes) {
  std::ofstream(path, std::ios::binary) << bytes;
}

class StateStoreTest : public testing::TestWithParam<Generation> {
 protected:
  State Of(const std::string& owner, std::span<const int32_t> tokens) const {
    return StateOf(shape_, owner, tokens);
  }
  CacheOptions Options() const {
    CacheOptions options;
    options.folder = folder_ / "cache";
    options.log = [this](const std::string& line) {
      const std::lock_guard lock(mutex_);
      log_ += line + "\n";
    };
    return options;
  }
  std::string Log() const {
    const std::lock_guard lock(mutex_);
    return log_;
  }
  std::vector<fs::path> Blobs() const {
    std::vector<fs::path> blobs;
    for (const auto& entry : fs::directory_iterator(folder_ / "cache" / "states")) {
      blobs.push_back(entry.path());
    }
    std::sort(blobs.begin(), blobs.end());
    return blobs;
  }
  fs::path Index() const { return folder_ / "cache" / "index.sqlite"; }
  void Sql(const std::string& sql) const {
    sqlite3* db = nullptr;
    ASSERT_EQ(sqlite3_open(Index().c_str(), &db), SQLITE_OK);
    EXPECT_EQ(sqlite3_exec(db, sql.c_str(), nullptr, nullptr, nullptr), SQLITE_OK) << sql;
    sqlite3_close(db);
  }

  // The tokens of the hit, which must be exact.
  size_t Check(const std::optional<CacheHit>& hit, const std::string& owner,
               const TextTokens& text) const {
    if (!hit) return 0;
    EXPECT_LT(hit->tokens, text.size());
    EXPECT_EQ(BytesOf(hit->state), BytesOf(Of(owner, std::span(text).first(hit->tokens))));
    return hit->tokens;
  }
  // Keeps n texts of different lengths, which end in -1.
  std::vector<TextTokens> KeepSome(StateCache& cache, int32_t n) const {
    std::vector<TextTokens> texts;
    for (int32_t i = 0; i < n; ++i) {
      TextTokens text(static_cast<size_t>(i % 7) + 1, i);
      cache.Keep("a", text, Of("a", text));
      text.push_back(-1);
      texts.push_back(std::move(text));
    }
    return texts;
  }
  size_t Found(StateCache& cache, const std::vector<TextTokens>& texts) const {
    size_t found = 0;
    for (const TextTokens& text : texts) {
      const size_t tokens = Check(cache.Find("a", text), "a", text);
      EXPECT_TRUE(tokens == 0 || tokens == text.size() - 1);
      found += tokens > 0;
    }
    return found;
  }

  const StateShape shape_ = SmallShape(GetParam());
  const test::TemporaryFolder folder_;
  mutable std::mutex mutex_;
  mutable std::string log_;
};

TEST_P(StateStoreTest, ARestartFindsAllThatWasKept) {
  for (uint64_t seed = 0; seed < 3; ++seed) {
    SlowCache slow;
    RandomTexts texts(seed);
    CacheOptions options = Options();
    options.folder = folder_ / std::to_string(seed);
    for (int restart = 0; restart < 4; ++restart) {
      StateCache cache(shape_, "model", options);
      EXPECT_EQ(cache.statistics().on_disk, slow.all().size());
      EXPECT_EQ(cache.statistics().in_memory, 0u);
      for (int i = 0; i < 100; ++i) {
        const std::string owner = texts.Owner();
        const TextTokens text = texts.Next();
        ASSERT_EQ(Check(cache.Find(owner, text), owner, text), slow.Find(owner, text));
        cache.Keep(owner, text, Of(owner, text));
        slow.Keep(owner, text);
      }
      EXPECT_EQ(cache.statistics().damaged, 0u);
    }
  }
  EXPECT_EQ(Log(), "");
}

TEST_P(StateStoreTest, WhatDoesNotFitInMemoryComesFromDisk) {
  CacheOptions options = Options();
  options.memory_bytes = 25 * (1500 + Of("a", TextTokens{1}).bytes());
  StateCache cache(shape_, "model", options);
  std::vector<TextTokens> texts;
  for (int32_t i = 0; i < 10; ++i) {
    for (TextTokens& text : KeepSome(cache, 10)) texts.push_back(std::move(text));
    cache.Flush();
  }
  EXPECT_EQ(Found(cache, texts), texts.size());
  EXPECT_LE(cache.statistics().memory_bytes, options.memory_bytes);
  EXPECT_EQ(cache.statistics().evictions, 0u);
}

TEST_P(StateStoreTest, FetchReadsFromDiskForWhoMustNotWait) {
  TextTokens text(5, 1), other(6, 2);
  {
    StateCache cache(shape_, "model", Options());
    cache.Keep("a", text, Of("a", text));
  }
  StateCache cache(shape_, "model", Options());
  text.push_back(0);
  EXPECT_FALSE(cache.FindInMemory("a", text).has_value());
  EXPECT_FALSE(cache.Fetch("a", other, [] { ADD_FAILURE(); }));
  EXPECT_FALSE(cache.Fetch("b", text, [] { ADD_FAILURE(); }));
  std::atomic<bool> done = false;
  ASSERT_TRUE(cache.Fetch("a", text, [&] {
    done = true;
    done.notify_all();
  }));
  done.wait(false);
  EXPECT_EQ(Check(cache.FindInMemory("a", text), "a", text), 5u);
  EXPECT_FALSE(cache.Fetch("a", text, [] { ADD_FAILURE(); }));
}

TEST_P(StateStoreTest, ThreadsFetchWhileOthersKeepAndFind) {
  CacheOptions options = Options();
  options.memory_bytes = 40'000;
  options.disk_bytes = 400'000;
  std::atomic<int> wanted = 0, done = 0;
  {
    StateCache cache(shape_, "model", options);
    std::vector<std::thread> threads;
    threads.reserve(3);
    for (uint64_t seed = 0; seed < 3; ++seed) {
      threads.emplace_back([&, seed] {
        RandomTexts texts(seed);
        for (int i = 0; i < 150; ++i) {
          const std::string owner = texts.Owner();
          const TextTokens text = texts.Next();
          if (cache.Fetch(owner, text, [&] { ++done; })) ++wanted;
          Check(i % 2 == 0 ? cache.Find(owner, text) : cache.FindInMemory(owner, text), owner,
                text);
          cache.Keep(owner, text, Of(owner, text));
          if (i % 50 == 0) cache.Flush();
        }
      });
    }
    for (std::thread& thread : threads) thread.join();
    EXPECT_LE(cache.statistics().memory_bytes, options.memory_bytes);
    EXPECT_LE(cache.statistics().disk_bytes, options.disk_bytes);
    EXPECT_EQ(cache.statistics().damaged, 0u);
  }
  EXPECT_EQ(wanted, done);
  EXPECT_EQ(Log(), "");
}

TEST_P(StateStoreTest, KeepsTheBudgetOfTheDisk) {
  CacheOptions options = Options();
  options.disk_bytes = 100'000;
  for (int restart = 0; restart < 3; ++restart) {
    StateCache cache(shape_, "model", options);
    RandomTexts texts(7);
    for (int i = 0; i < 100; ++i) {
      const TextTokens text = texts.Next();
      cache.Keep("a", text, Of("a", text));
      if (i % 20 != 0) continue;
      cache.Flush();
      uint64_t bytes = 0;
      for (const fs::path& blob : Blobs()) bytes += fs::file_size(blob);
      ASSERT_LE(bytes, options.disk_bytes);
      ASSERT_LE(cache.statistics().disk_bytes, options.disk_bytes);
    }
    EXPECT_GT(cache.statistics().on_disk, 10u);
  }
  options.disk_bytes = 20'000;  // a smaller budget is kept at once
  StateCache cache(shape_, "model", options);
  cache.Flush();
  EXPECT_LE(cache.statistics().disk_bytes, options.disk_bytes);
  EXPECT_EQ(Blobs().size(), cache.statistics().on_disk);
}

TEST_P(StateStoreTest, ACutOrFlippedFileIsAMiss) {
  std::mt19937_64 random(1);
  std::vector<TextTokens> texts;
  {
    StateCache cache(shape_, "model", Options());
    texts = KeepSome(cache, 60);
  }
  const auto blobs = Blobs();
  ASSERT_EQ(blobs.size(), 60u);
  for (size_t i = 0; i < blobs.size(); ++i) {
    std::string bytes = ReadFile(blobs[i]);
    switch (i % 4) {
      case 0:
        bytes[random() % bytes.size()] ^= static_cast<char>(1 << random() % 8);
        break;
      case 1:
        bytes.resize(random() % bytes.size());
        break;
      case 2:
        bytes += 'x';
        break;
      default:
        continue;
    }
    WriteFile(blobs[i], bytes);
  }
  StateCache cache(shape_, "model", Options());
  EXPECT_EQ(Found(cache, texts), 15u);
  EXPECT_EQ(cache.statistics().damaged, 45u);
  cache.Flush();
  EXPECT_EQ(Blobs().size(), 15u);
}

TEST_P(StateStoreTest, EveryFlippedByteOfABlobIsFound) {
  const TextTokens text{1, 2, 3};
  const BlobKey key{Sha256Of("model"), Sha256Of("a"), text};
  const std::vector<std::byte> blob = EncodeBlob(key, Of("a", text));
  EXPECT_EQ(BytesOf(DecodeBlob(blob, key, shape_)), BytesOf(Of("a", text)));
  for (size_t i = 0; i < blob.size(); ++i) {
    std::vector<std::byte> other = blob;
    other[i] ^= std::byte{4};
    EXPECT_THROW(DecodeBlob(other, key, shape_), Error) << i;
    EXPECT_THROW(DecodeBlob(std::span(blob).first(i), key, shape_), Error) << i;
  }
  BlobKey other = key;
  other.owner = Sha256Of("b");
  EXPECT_THROW(DecodeBlob(blob, other, shape_), Error);
  other = key;
  other.identity = Sha256Of("another model");
  EXPECT_THROW(DecodeBlob(blob, other, shape_), Error);
  other = key;
  other.tokens.back() = 4;
  EXPECT_THROW(DecodeBlob(blob, other, shape_), Error);
}

// The index is not trusted: what a file holds is said by the file.
TEST_P(StateStoreTest, ExchangedFilesAndALyingIndexAreMisses) {
  std::vector<TextTokens> texts;
  {
    StateCache cache(shape_, "model", Options());
    texts = KeepSome(cache, 8);
  }
  const auto blobs = Blobs();
  fs::rename(blobs[0], folder_ / "kept");
  fs::rename(blobs[1], blobs[0]);
  fs::rename(folder_ / "kept", blobs[1]);
  Sql("UPDATE entries SET tokens = x'0100000002000000' WHERE file = 3");
  Sql("UPDATE entries SET tokens = x'010000' WHERE file = 4");
  Sql("UPDATE entries SET owner = x'00' WHERE file = 5");
  Sql("UPDATE entries SET bytes = -5, base = -1e300 WHERE file = 6");
  StateCache cache(shape_, "model", Options());
  const TextTokens lie{1, 2, 3};
  EXPECT_FALSE(cache.Find("a", lie).has_value());
  EXPECT_LE(Found(cache, texts), 5u);
  EXPECT_GE(Found(cache, texts), 2u);
  EXPECT_GE(cache.statistics().damaged, 3u);
}

TEST_P(StateStoreTest, AnotherVersionOrADamagedIndexIsMadeAnewFromTheFiles) {
  std::vector<TextTokens> texts;
  {
    StateCache cache(shape_, "model", Options());
    texts = KeepSome(cache, 20);
  }
  const std::string good = ReadFile(Index());
  const std::vector<std::function<void()>> harms = {
      [&] { Sql("PRAGMA user_version = 2"); },
      [&] { Sql("PRAGMA user_version = 0"); },
      [&] { Sql("DROP TABLE entries"); },
      [&] { Sql("ALTER TABLE entries RENAME COLUMN tokens TO text"); },
      [&] { fs::remove(Index()); },
      [&] { WriteFile(Index(), ""); },
      [&] { WriteFile(Index(), "no database at all, but a text of some length ..."); },
      [&] { WriteFile(Index(), good.substr(0, good.size() / 2)); },
      [&] { WriteFile(Index(), good.substr(0, 100) + std::string(good.size() - 100, 'x')); },
  };
  for (size_t i = 0; i < harms.size(); ++i) {
    harms[i]();
    StateCache cache(shape_, "model", Options());
    EXPECT_EQ(Found(cache, texts), 20u) << i;
  }
  EXPECT_EQ(Log(), "");
}

TEST_P(StateStoreTest, AFlippedByteOfTheIndexIsNeverAWrongState) {
  std::vector<TextTokens> texts;
  {
    StateCache cache(shape_, "model", Options());
    texts = KeepSome(cache, 20);
  }
  const std::string good = ReadFile(Index());
  fs::copy(folder_ / "cache" / "states", folder_ / "states");
  std::mt19937_64 random(2);
  for (int i = 0; i < 30; ++i) {
    std::string bytes = good;
    for (int k = 0; k < 1 + i % 3; ++k) {
      bytes[random() % bytes.size()] ^= static_cast<char>(1 << random() % 8);
    }
    fs::remove_all(folder_ / "cache" / "states");
    fs::copy(folder_ / "states", folder_ / "cache" / "states");
    WriteFile(Index(), bytes);
    StateCache cache(shape_, "model", Options());
    EXPECT_GE(Found(cache, texts), 10u) << i;
  }
  EXPECT_EQ(Log(), "");
}

// The child keeps and finds until it is killed, at a random moment.
TEST_P(StateStoreTest, AfterKillEveryAnswerIsExactOrAMiss) {
  std::mt19937_64 random(3);
  SlowCache slow;
  RandomTexts plan(5);
  std::vector<std::pair<std::string, TextTokens>> texts;
  for (int i = 0; i < 400; ++i) {
    texts.emplace_back(plan.Owner(), plan.Next());
    slow.Keep(texts.back().first, texts.back().second);
  }
  size_t found = 0;
  for (int round = 0; round < 12; ++round) {
    int pipe_ends[2];
    ASSERT_EQ(pipe(pipe_ends), 0);
    const pid_t child = fork();
    ASSERT_GE(child, 0);
    if (child == 0) {
      StateCache cache(shape_, "model", Options());
      for (int i = round * 10;; ++i) {
        const auto& [owner, text] = texts[static_cast<size_t>(i) % texts.size()];
        cache.Keep(owner, text, Of(owner, text));
        if (write(pipe_ends[1], "x", 1) != 1) _exit(1);
        if (i % 16 == 0) cache.Flush();
      }
    }
    close(pipe_ends[1]);
    // A number of steps, and then an unknown time into the next.
    char step;
    for (uint64_t steps = random() % 60; steps > 0 && read(pipe_ends[0], &step, 1) == 1; --steps) {
    }
    usleep(static_cast<useconds_t>(random() % 3000));
    kill(child, SIGKILL);
    ASSERT_EQ(waitpid(child, nullptr, 0), child);
    close(pipe_ends[0]);

    StateCache cache(shape_, "model", Options());
    EXPECT_TRUE(cache.statistics().disk);
    for (const auto& [owner, text] : texts) {
      const size_t tokens = Check(cache.Find(owner, text), owner, text);
      if (tokens > 0) {
        ASSERT_TRUE(slow.Has(owner, TextTokens(text.begin(), text.begin() + tokens)));
      }
      found += tokens > 0;
    }
    EXPECT_EQ(cache.statistics().damaged, 0u);
    EXPECT_EQ(Blobs().size(), cache.statistics().on_disk);  // nothing is left over
  }
  EXPECT_GT(found, 0u);
  EXPECT_EQ(Log(), "");
}

TEST_P(StateStoreTest, WhatWasFlushedSurvivesKill) {
  const TextTokens text(9, 4);
  const pid_t child = fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    StateCache cache(shape_, "model", Options());
    cache.Keep("a", text, Of("a", text));
    cache.Flush();
    kill(getpid(), SIGKILL);
  }
  ASSERT_EQ(waitpid(child, nullptr, 0), child);
  StateCache cache(shape_, "model", Options());
  TextTokens longer = text;
  longer.push_back(1);
  EXPECT_EQ(Check(cache.Find("a", longer), "a", longer), 9u);
}

// The size limit of files stands for a full disk.
TEST_P(StateStoreTest, AFullDiskLeavesTheCacheInMemory) {
  const pid_t child = fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    signal(SIGXFSZ, SIG_IGN);
    std::vector<TextTokens> texts;
    {
      StateCache cache(shape_, "model", Options());
      texts = KeepSome(cache, 3);
      cache.Flush();
      if (cache.statistics().on_disk != 3) _exit(2);
      const rlimit none{256, RLIM_INFINITY};
      setrlimit(RLIMIT_FSIZE, &none);
      for (TextTokens& text : KeepSome(cache, 30)) texts.push_back(std::move(text));
      cache.Flush();
      cache.Flush();
      if (cache.statistics().disk || Found(cache, texts) != texts.size()) _exit(3);
      if (Log().find("stay in memory") == Log().npos) _exit(4);
      const std::string log = Log();
      if (std::count(log.begin(), log.end(), '\n') != 1) _exit(5);
      for (const fs::path& blob : Blobs()) {
        if (!blob.string().ends_with(".state")) _exit(6);
      }
      const rlimit all{RLIM_INFINITY, RLIM_INFINITY};
      setrlimit(RLIMIT_FSIZE, &all);
      cache.Flush();
      if (!cache.statistics().disk || cache.statistics().on_disk != 30) _exit(7);
    }
    StateCache cache(shape_, "model", Options());
    _exit(Found(cache, texts) == texts.size() && !HasFailure() ? 0 : 8);
  }
  int status = 0;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  EXPECT_TRUE(WIFEXITED(status));
  EXPECT_EQ(WEXITSTATUS(status), 0);
}

TEST_P(StateStoreTest, ASecondCacheOnAFolderStaysInMemory) {
  StateCache first(shape_, "model", Options());
  const TextTokens text(3, 1), longer(4, 1);
  first.Keep("a", text, Of("a", text));
  first.Flush();
  {
    StateCache second(shape_, "model", Options());
    EXPECT_FALSE(second.statistics().disk);
    EXPECT_NE(Log().find("another process keeps its states there; states are kept in memory only"),
              Log().npos)
        << Log();
    EXPECT_FALSE(second.Find("a", longer).has_value());
    second.Keep("a", text, Of("a", text));
    EXPECT_TRUE(second.Find("a", longer).has_value());
    second.Flush();
  }
  EXPECT_EQ(first.statistics().on_disk, 1u);
}

TEST_P(StateStoreTest, TheFolderIsForTheUserAlone) {
  {
    StateCache cache(shape_, "model", Options());
    KeepSome(cache, 1);
  }
  const auto mode = [](const fs::path& path) {
    struct stat st {};
    EXPECT_EQ(stat(path.c_str(), &st), 0) << path;
    return st.st_mode & 0777;
  };
  EXPECT_EQ(mode(folder_ / "cache"), 0700u);
  EXPECT_EQ(mode(Blobs()[0]), 0600u);
  EXPECT_EQ(mode(Index()), 0600u);
  const auto refused = [&](const CacheOptions& options) {
    try {
      StateCache cache(shape_, "model", options);
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::kBadInput);
      return std::string(error.what());
    }
    return std::string();
  };
  chmod((folder_ / "cache").c_str(), 0770);
  EXPECT_NE(refused(Options()).find("others can write to it"), std::string::npos);
  chmod((folder_ / "cache").c_str(), 0703);
  EXPECT_NE(refused(Options()).find("has mode 0703"), std::string::npos);
  chmod((folder_ / "cache").c_str(), 0755);
  EXPECT_EQ(refused(Options()), "");
  CacheOptions options = Options();
  options.folder = folder_.Write("file", "x");
  EXPECT_NE(refused(options).find("is not a folder"), std::string::npos);
}

TEST_P(StateStoreTest, OtherModelsInTheFolderAreKeptApart) {
  const TextTokens text(5, 1), longer(6, 1);
  {
    StateCache cache(shape_, "one", Options());
    cache.Keep("a", text, Of("a", text));
  }
  {
    StateCache cache(shape_, "two", Options());
    EXPECT_FALSE(cache.Find("a", longer).has_value());
    EXPECT_GT(cache.statistics().disk_bytes, 0u);
    EXPECT_EQ(cache.statistics().entries, 0u);
  }
  {
    StateCache cache(shape_, "one", Options());
    EXPECT_EQ(Check(cache.Find("a", longer), "a", longer), 5u);
  }
  // They share the budget, and what is not used goes first.
  CacheOptions options = Options();
  options.disk_bytes = 20'000;
  StateCache cache(shape_, "two", options);
  for (int32_t i = 0; i < 60; ++i) {
    const TextTokens other(20, i);
    cache.Keep("a", other, Of("a", other));
    cache.Flush();
    EXPECT_LE(cache.statistics().disk_bytes, options.disk_bytes);
  }
  EXPECT_EQ(Blobs().size(), cache.statistics().on_disk);
}

TEST_P(StateStoreTest, ExpiryRemovesFilesAlsoAfterARestart) {
  std::atomic<int> now = 1'000'000;
  CacheOptions options = Options();
  options.expiry = std::chrono::seconds(100);
  options.clock = [&] { return std::chrono::system_clock::time_point(std::chrono::seconds(now)); };
  std::vector<TextTokens> texts;
  {
    StateCache cache(shape_, "model", options);
    texts = KeepSome(cache, 3);
    cache.Flush();
    now += 60;
    EXPECT_TRUE(cache.Find("a", texts[0]).has_value());
  }
  now += 60;
  StateCache cache(shape_, "model", options);
  cache.Flush();
  EXPECT_EQ(Blobs().size(), 1u);
  EXPECT_EQ(Found(cache, texts), 1u);
  now += 100;
  cache.Flush();
  EXPECT_EQ(Blobs().size(), 0u);
  EXPECT_EQ(cache.statistics().disk_bytes, 0u);
}

INSTANTIATE_TEST_SUITE_P(Generations, StateStoreTest,
                         testing::Values(Generation::k4, Generation::k7, Generation::k7b,
                                         Generation::kGoldFinch),
                         [](const auto& test) { return test::NameOf(test.param); });

}  // namespace
}  // namespace linnet
