// An index finds what a search through all passages finds, and only changed files are read again.
#include "search/search.h"

#include <gtest/gtest.h>
#include <sqlite3.h>
#include <sys/stat.h>
#include <utime.h>

#include <filesystem>
#include <fstream>
#include <memory>
#include <string>
#include <vector>

#include "io/test_bytes.h"
#include "linnet/error.h"
#include "models/test_models.h"

namespace linnet {
namespace {

namespace fs = std::filesystem;
using test::MessageOf;

class SearchTest : public testing::Test {
 protected:
  SearchTest()
      : model_(Model::Open(test::ByteModel("7"))),
        workspace_({.threads = 1}),
        embedder_(model_, Tokenizer::ForVocabulary(256)) {
    fs::create_directories(folder() / "below");
  }

  fs::path folder() const { return scratch_ / "texts"; }
  fs::path home() const { return scratch_ / "index"; }

  // Long ago, so that an index may believe its time.
  void Write(const std::string& name, const std::string& text, time_t time = 1'000'000'000) {
    std::ofstream(folder() / name, std::ios::binary) << text;
    const utimbuf times{time, time};
    ASSERT_EQ(utime((folder() / name).c_str(), &times), 0);
  }

  std::unique_ptr<SearchIndex> Open(const std::string& identity = "model") {
    return std::make_unique<SearchIndex>(
        home(), SearchKey{folder().string(), identity, embedder_.Key()}, embedder_.width(),
        [this](const std::string& line) { log_.push_back(line); });
  }
  SearchUpdate Update(SearchIndex& index) {
    return UpdateIndex(index, folder(), embedder_, workspace_);
  }
  std::vector<std::string> Found(SearchIndex& index, const std::string& query, size_t top = 3) {
    std::vector<std::string> found;
    for (const SearchHit& hit : Search(index, query, embedder_, workspace_, top)) {
      found.push_back(hit.path + ":" + std::to_string(hit.passage.line) + " " +
                      TextOf(folder(), hit));
    }
    return found;
  }

  test::TemporaryFolder scratch_;
  const Model model_;
  Workspace workspace_;
  const Embedder embedder_;
  std::vector<std::string> log_;
};

TEST_F(SearchTest, FindsThePassageThatIsTheQuery) {
  Write("a.txt", "The fox met a hen.\n");
  Write("below/b.md", "# Ships\n\nA ship sailed west.\n");
  Write("c.txt", std::string("binary\0text", 11));
  Write("d.txt", "not UTF-8: \xff\n");
  Write(".hidden", "The fox met a hen.\n");
  fs::create_symlink(folder() / "a.txt", folder() / "link.txt");
  const auto index = Open();
  const SearchUpdate update = Update(*index);
  EXPECT_EQ(update.files, 4u);
  EXPECT_EQ(update.texts, 2u);
  EXPECT_EQ(update.read, 4u);
  EXPECT_EQ(update.embedded, 2u);
  const auto found = Found(*index, "The fox met a hen.");
  ASSERT_EQ(found.size(), 2u);
  EXPECT_EQ(found[0], "a.txt:1 The fox met a hen.");
  EXPECT_EQ(found[1], "below/b.md:1 # Ships\n\nA ship sailed west.");
  EXPECT_EQ(Found(*index, "# Ships\n\nA ship sailed west.", 1)[0], found[1]);
  const auto hits = Search(*index, "The fox met a hen.", embedder_, workspace_, 2);
  EXPECT_NEAR(hits[0].score, 1, 1e-5);
  EXPECT_GT(hits[0].score, hits[1].score);
  EXPECT_NE(MessageOf([&] { Search(*index, "", embedder_, workspace_, 1); }), "");
}

TEST_F(SearchTest, OnlyTheBestAreReturnedInOrder) {
  for (int i = 0; i < 20; ++i) {
    Write(std::to_string(i) + ".txt", "Text number " + std::to_string(i * i * 7919) + ".");
  }
  const auto index = Open();
  Update(*index);
  const auto all = Search(*index, "Text number", embedder_, workspace_, 100);
  ASSERT_EQ(all.size(), 20u);
  for (size_t i = 1; i < all.size(); ++i) EXPECT_GE(all[i - 1].score, all[i].score);
  const auto few = Search(*index, "Text number", embedder_, workspace_, 6);
  ASSERT_EQ(few.size(), 6u);
  for (size_t i = 0; i < few.size(); ++i) EXPECT_EQ(few[i].path, all[i].path);
}

// A change of the last two seconds may hide another one, so such files are read, not embedded.
TEST_F(SearchTest, WhatIsUnchangedIsNotEmbeddedAgain) {
  Write("a.txt", "One text.");
  Write("b.txt", "Another text.");
  const auto index = Open();
  EXPECT_EQ(Update(*index).embedded, 2u);
  EXPECT_EQ(Update(*index).embedded, 0u);
  Write("b.txt", "A new text here.", 1'000'000'007);
  const SearchUpdate update = Update(*index);
  EXPECT_EQ(update.embedded, 1u);
  EXPECT_EQ(Found(*index, "A new text here.", 1)[0], "b.txt:1 A new text here.");
  fs::remove(folder() / "a.txt");
  EXPECT_EQ(Update(*index).dropped, 1u);
  EXPECT_EQ(index->passages(), 1u);
  // Another process finds what this one kept.
  EXPECT_EQ(Open()->passages(), 1u);
}

TEST_F(SearchTest, AKnownFileIsOneOfTheSameTimesAndSize) {
  const auto index = Open();
  SearchFile file{.path = "a.txt", .bytes = 9, .mtime = 5, .ctime = 6};
  EXPECT_FALSE(index->Knows(file));
  index->Put(std::vector<SearchIndex::Entry>{{.file = file, .digest = "d"}});
  EXPECT_TRUE(index->Knows(file));
  EXPECT_EQ(index->DigestOf(file), "d");
  for (const auto change : {&SearchFile::mtime, &SearchFile::ctime}) {
    SearchFile other = file;
    other.*change += 1;
    EXPECT_FALSE(index->Knows(other));
  }
  SearchFile other = file;
  other.bytes = 8;
  EXPECT_FALSE(index->Knows(other));
  index->Touch(other);
  EXPECT_TRUE(index->Knows(other));
  // Changed when it was put, as far as its time tells.
  file.path = "b.txt";
  file.ctime = INT64_C(4'000'000'000) * 1'000'000'000;
  index->Put(std::vector<SearchIndex::Entry>{{.file = file, .digest = "d"}});
  EXPECT_FALSE(index->Knows(file));
}

TEST_F(SearchTest, ModelsAndFoldersHaveIndexesOfTheirOwn) {
  Write("a.txt", "One text.");
  Update(*Open("one"));
  EXPECT_EQ(Open("one")->passages(), 1u);
  EXPECT_EQ(Open("two")->passages(), 0u);
  EXPECT_NE(Open("one")->path(), Open("two")->path());
  struct stat status = {};
  ASSERT_EQ(stat(Open("one")->path().c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777, 0600u);
}

TEST_F(SearchTest, ADamagedOrOtherIndexIsMadeAnew) {
  Write("a.txt", "One text.");
  Update(*Open());
  const fs::path file = Open()->path();
  const auto run = [&](const char* sql) {
    sqlite3* db = nullptr;
    ASSERT_EQ(sqlite3_open(file.c_str(), &db), SQLITE_OK);
    ASSERT_EQ(sqlite3_exec(db, sql, nullptr, nullptr, nullptr), SQLITE_OK);
    sqlite3_close(db);
  };
  const auto expect_new = [&] {
    log_.clear();
    const auto index = Open();
    EXPECT_EQ(index->passages(), 0u);
    ASSERT_EQ(log_.size(), 1u);
    EXPECT_NE(log_[0].find("it is made anew"), std::string::npos) << log_[0];
    EXPECT_EQ(Update(*index).embedded, 1u);
  };
  std::ofstream(file, std::ios::trunc) << "not a database, but long enough to be told from one";
  expect_new();
  run("PRAGMA user_version = 99");
  expect_new();
  run("UPDATE about SET value = '7' WHERE name = 'width'");
  expect_new();
  fs::resize_file(file, fs::file_size(file) / 2);
  expect_new();
  log_.clear();
  EXPECT_EQ(Open()->passages(), 1u);
  EXPECT_TRUE(log_.empty());
}

TEST_F(SearchTest, AnInterruptedUpdateGoesOn) {
  for (int i = 0; i < 600; ++i) Write(std::to_string(i), "Text " + std::to_string(i));
  const auto index = Open();
  SearchOptions options;
  options.progress = [](uint64_t done, uint64_t total) {
    if (done > total / 2) throw 1;
  };
  EXPECT_THROW(UpdateIndex(*index, folder(), embedder_, workspace_, options), int);
  const size_t kept = index->passages();
  EXPECT_GT(kept, 0u);
  EXPECT_LT(kept, 600u);
  EXPECT_EQ(Update(*index).embedded, 600 - kept);
}

TEST_F(SearchTest, WhatIsNoFolderIsRefused) {
  EXPECT_NE(MessageOf([&] { FilesBelow(folder() / "none", 1); }).find("is no folder"),
            std::string::npos);
}

}  // namespace
}  // namespace linnet
