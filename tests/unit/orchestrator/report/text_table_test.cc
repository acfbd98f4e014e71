#include "orchestrator/report/text_table.h"

#include <gtest/gtest.h>

namespace backfire::report {
namespace {

TEST(TextTableTest, AlignsWordsLeftAndNumbersRight) {
  TextTable table({{"vertex"}, {"loss", TextTable::Align::kRight}});
  table.AddRow({"car", "-61.25"});
  table.AddRow({"pedestrian", "-7"});
  EXPECT_EQ(table.ToString(2),
            "  vertex        loss\n"
            "  car         -61.25\n"
            "  pedestrian      -7\n");
}

TEST(TextTableTest, ACellIsTextWhateverItHolds) {
  TextTable table({{"update"}, {"why"}});
  table.AddRow({"updates/1", "fine\nupdates/2  \x1b[2Jforged"});
  EXPECT_THAT(table.ToString(), ::testing::HasSubstr("fine\\u000aupdates/2  \\u001b[2Jforged\n"));
}

TEST(TextTableTest, LeavesOutColumnsThatSayNothing) {
  TextTable table({{"a"}, {"b"}, {"c"}});
  table.AddRow({"1", "", "3"});
  table.AddRow({"4"});
  EXPECT_EQ(table.ToString(), "a  c\n1  3\n4\n");
}

TEST(TextTableTest, WrapsWordsInTheWidestColumnsWhereLinesWouldBeTooWide) {
  TextTable table({{"update"}, {"why"}, {"n", TextTable::Align::kRight}});
  table.AddRow({"updates/3", "updates/2 was promoted, and changes it", "12"});
  SetLineWidth(32);
  const std::string narrow = table.ToString(2);
  SetLineWidth(0);
  EXPECT_EQ(narrow,
            "  update     why               n\n"
            "  updates/3  updates/2 was    12\n"
            "             promoted, and\n"
            "             changes it\n");
  EXPECT_EQ(table.ToString().find("promoted, and changes it") != std::string::npos, true);
}

TEST(TextTableTest, CutsWordsThatAreTooLongAndLeavesNarrowColumnsAlone) {
  TextTable table({{"a"}, {"b"}});
  table.AddRow({"abcdefghijklmnop", "xy"});
  SetLineWidth(12);
  const std::string narrow = table.ToString();
  SetLineWidth(4);
  const std::string hopeless = table.ToString();
  SetLineWidth(0);
  EXPECT_EQ(narrow, "a         b\nabcdefgh  xy\nijklmnop\n");
  EXPECT_EQ(hopeless, "a      b\nabcde  xy\nfghij\nklmno\np\n") << "no narrower than can be read";
}

TEST(TextTableTest, ARowIsABlockWhereWordsOrNumbersWouldBeBroken) {
  TextTable table({{"update"}, {"what"}, {"void"}, {"difference", TextTable::Align::kRight}});
  table.AddRow({"updates/2", "position of v, then all", "", "-0.1189"});
  table.AddRow({"updates/1", "baseline", "", ""});
  SetLineWidth(34);
  const std::string wrapped = table.ToString();
  SetLineWidth(32);
  const std::string blocks = table.ToString(2);
  SetLineWidth(0);
  EXPECT_EQ(wrapped,
            "update     what         difference\n"
            "updates/2  position of     -0.1189\n"
            "           v, then all\n"
            "updates/1  baseline\n");
  EXPECT_EQ(blocks,
            "  update      updates/2\n"
            "  what        position of v,\n"
            "              then all\n"
            "  difference  -0.1189\n"
            "\n"
            "  update      updates/1\n"
            "  what        baseline\n");
}

TEST(TextTableTest, IsEmptyWithoutRows) { EXPECT_EQ(TextTable({{"a"}}).ToString(), ""); }

}  // namespace
}  // namespace backfire::report
