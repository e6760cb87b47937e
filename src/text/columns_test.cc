#include "text/columns.h"

#include <gtest/gtest.h>

#include <string>

namespace linnet {
namespace {

TEST(ColumnsTest, CountsWhatATerminalUses) {
  EXPECT_EQ(Columns(""), 0u);
  EXPECT_EQ(Columns("abc"), 3u);
  EXPECT_EQ(Columns("\xC3\xA9"), 1u);                  // é
  EXPECT_EQ(Columns("e\xCC\x81"), 1u);                 // e and a combining accent
  EXPECT_EQ(Columns("\xE6\xA8\xA1\xE5\x9E\x8B"), 4u);  // 模型
  EXPECT_EQ(Columns("\xFF\xFE"), 2u);
  EXPECT_EQ(Columns("a\tb"), 3u);
}

TEST(ColumnsTest, ShortensInTheMiddle) {
  EXPECT_EQ(ShortenMiddle("/srv/llm/model.pth", 18), "/srv/llm/model.pth");
  EXPECT_EQ(ShortenMiddle("/srv/llm/model.pth", 17), "/srv/ll...del.pth");
  EXPECT_EQ(ShortenMiddle("/srv/llm/model.pth", 4), "/srv");
  EXPECT_EQ(ShortenMiddle("/srv/llm/model.pth", 0), "");
}

TEST(ColumnsTest, NothingIsWiderThanAskedAndNoCharacterIsCut) {
  const std::string text = "a\xE6\xA8\xA1\xE5\x9E\x8B/e\xCC\x81\xF0\x9F\x90\xA6-\xE6\xA8\xA1.pth";
  for (size_t columns = 0; columns < 20; ++columns) {
    const std::string out = ShortenMiddle(text, columns);
    EXPECT_LE(Columns(out), columns);
    EXPECT_GE(Columns(out) + 3, std::min(columns, Columns(text))) << "room for a wide character";
    for (const char c : out) EXPECT_NE(text.find(c), std::string::npos);
  }
}

TEST(ColumnsTest, ControlCharactersAreShown) {
  EXPECT_EQ(WithoutControls("a\nb\x1b[2J\xC2\x9B"), "a?b?[2J?");
  EXPECT_EQ(WithoutControls("\xE6\xA8\xA1\xFF"), "\xE6\xA8\xA1\xFF");
}

TEST(ColumnsTest, PartsThatDoNotFitAreDroppedByRank) {
  const std::vector<LinePart> parts = {{"step 1", 0}, {"norm 2", 2}, {"loss 3", 1}};
  EXPECT_EQ(JoinToFit(parts, 22), "step 1  norm 2  loss 3");
  EXPECT_EQ(JoinToFit(parts, 21), "step 1  loss 3");
  EXPECT_EQ(JoinToFit(parts, 13), "step 1");
  EXPECT_EQ(JoinToFit(parts, 4), "step");
}

}  // namespace
}  // namespace linnet
