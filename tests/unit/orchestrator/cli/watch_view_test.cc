#include "orchestrator/cli/watch_view.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <sstream>

namespace backfire::cli {
namespace {

v1::Update Open() {
  v1::Update update;
  update.set_name("updates/1");
  update.set_baseline(true);
  update.set_state(v1::Update::RETRAINING);
  return update;
}

TEST(WatchViewTest, WritesLinesThatStayWhereThereIsNoTerminal) {
  std::ostringstream out;
  {
    WatchView view(out, /*columns=*/0);
    view.Show(Open(), 0);
    view.Show(Open(), 1);
  }
  EXPECT_EQ(out.str(), "updates/1 (baseline)  RETRAINING  0/0 steps done\n");
}

TEST(WatchViewTest, WritesALineOfProgressEveryTenSecondsAtMostWhereThereIsNoTerminal) {
  std::ostringstream out;
  {
    WatchView view(out, /*columns=*/0);
    for (int second = 0; second <= 25; ++second) view.Show(Open(), 100 + second);
  }
  const std::string line = "updates/1 (baseline)  RETRAINING  0/0 steps done\n";
  EXPECT_EQ(out.str(), line + line + line) << "at 0, 10 and 20 seconds";
}

TEST(OutputColumnsTest, FollowsTheVariable) {
  EXPECT_EQ(OutputColumns("60"), 60);
  EXPECT_GE(OutputColumns("wide"), 0);
}

TEST(WatchViewTest, RedrawsOnATerminalAndCleansUp) {
  std::ostringstream out;
  {
    WatchView view(out, /*columns=*/80);
    view.Show(Open(), 0);
    view.Show(Open(), 1);
  }
  const std::string line = "updates/1 (baseline)  RETRAINING  0/0 steps done\n";
  const std::string erase_one = "\x1b[1A\x1b[J";
  // The new state stays; below it, the picture is drawn, drawn again, and removed.
  EXPECT_EQ(out.str(), line + line + erase_one + line + erase_one);
}

TEST(WatchViewTest, CutsLinesThatWouldWrap) {
  std::ostringstream out;
  {
    WatchView view(out, /*columns=*/20);
    view.Show(Open(), 0);
  }
  EXPECT_THAT(out.str(), ::testing::EndsWith("\nupdates/1 (baseline\n\x1b[1A\x1b[J"));
}

}  // namespace
}  // namespace backfire::cli
