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

TEST(TextTableTest, LeavesOutColumnsThatSayNothing) {
  TextTable table({{"a"}, {"b"}, {"c"}});
  table.AddRow({"1", "", "3"});
  table.AddRow({"4"});
  EXPECT_EQ(table.ToString(), "a  c\n1  3\n4\n");
}

TEST(TextTableTest, IsEmptyWithoutRows) { EXPECT_EQ(TextTable({{"a"}}).ToString(), ""); }

}  // namespace
}  // namespace backfire::report
