#include "orchestrator/report/release_report.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace backfire::report {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using v1::Release;
using v1::ReleaseEvent;

Release MakeRelease(const char* name, Release::State state, int64_t epoch) {
  Release release;
  release.set_name(name);
  release.set_state(state);
  release.set_epoch(epoch);
  release.set_update("updates/4");
  (*release.mutable_versions())["car"] = "models/car/versions/2";
  return release;
}

TEST(ReleaseReportTest, TellsWhoWhenWhyAndWithWhatVerdict) {
  Release release = MakeRelease("releases/2", Release::DRAINING, 3);
  ReleaseEvent& promoted = *release.add_history();
  promoted.set_kind(ReleaseEvent::PROMOTED);
  promoted.mutable_time()->set_seconds(1'600'000'000);
  promoted.set_actor("ada@laptop");
  promoted.set_reason("accepted");
  promoted.set_verdict(v1::Verdict::SELF_DEFEATING);
  promoted.set_override(true);
  release.add_history()->set_kind(ReleaseEvent::ROLLED_BACK_TO);
  const std::string text = ReleaseText(release);
  for (const char* part : {"releases/2: DRAINING, made by updates/4, epoch 3",
                           "models/car/versions/2", "2020-09-13 12:26:40Z", "ada@laptop",
                           "SELF_DEFEATING, overridden", "accepted", "rolled back to"}) {
    EXPECT_THAT(text, HasSubstr(part));
  }
}

TEST(ReleaseReportTest, ARollbackNamesWhatWouldChangeAndCountsTheRest) {
  Release live = MakeRelease("releases/2", Release::LIVE, 7);
  Release target = MakeRelease("releases/1", Release::RETIRED, 5);
  (*live.mutable_versions())["disparity"] = "models/disparity/versions/9";
  (*target.mutable_versions())["disparity"] = "models/disparity/versions/4";
  EXPECT_EQ(RollbackText(live, target),
            "A rollback from releases/2 (updates/4) to releases/1 (updates/4) would change:\n"
            "  vertex     now                          then\n"
            "  disparity  models/disparity/versions/9  models/disparity/versions/4\n"
            "and leave 1 of 2 vertices as they are\n");
  EXPECT_EQ(RollbackText(live, live), "releases/2 is live already: nothing would change\n");
}

TEST(ReleaseReportTest, ListsVersionsInAlphabeticalOrder) {
  v1::ListReleasesResponse releases;
  EXPECT_EQ(ReleaseListText(releases), "no releases\n");
  *releases.add_releases() = MakeRelease("releases/1", Release::LIVE, 7);
  (*releases.mutable_releases(0)->mutable_versions())["disparity"] = "models/disparity/versions/1";
  EXPECT_THAT(ReleaseListText(releases),
              ::testing::ContainsRegex("releases/1  LIVE +7 +updates/4 +car=models/car/versions/2, "
                                       "disparity=models/disparity/versions/1"));
  ReleaseEvent& promoted = *releases.mutable_releases(0)->add_history();
  promoted.mutable_time()->set_seconds(1'600'000'000);
  promoted.set_actor("ada@laptop");
  promoted.set_reason("accepted");
  EXPECT_THAT(ReleaseListText(releases),
              HasSubstr("releases/1  LIVE   2020-09-13 12:26:40Z  ada@laptop  accepted  7 "));
}

TEST(ReleaseReportTest, ALogTellsWhatIsNew) {
  v1::ReleaseSnapshot snapshot;
  *snapshot.add_releases() = MakeRelease("releases/1", Release::LIVE, 1);
  v1::Gateway& gateway = *snapshot.add_gateways();
  gateway.set_name("g");
  gateway.set_epoch(1);
  gateway.set_connected(true);
  ReleaseLog log;
  EXPECT_THAT(log.Next(snapshot),
              ElementsAre("gateway g: serves epoch 1", "releases/1: LIVE, epoch 1"));
  EXPECT_THAT(log.Next(snapshot), IsEmpty());
  *snapshot.add_others() = snapshot.releases(0);
  snapshot.mutable_others(0)->set_state(Release::DRAINING);
  *snapshot.mutable_releases(0) = MakeRelease("releases/2", Release::LIVE, 2);
  gateway.set_epoch(2);
  gateway.set_oldest_epoch(1);
  EXPECT_THAT(log.Next(snapshot),
              ElementsAre("gateway g: serves epoch 2, still finishing requests of epoch 1",
                          "releases/1: DRAINING, epoch 1", "releases/2: LIVE, epoch 2"));
  snapshot.clear_gateways();
  EXPECT_THAT(log.Next(snapshot), ElementsAre("gateway g: gone"));
}

}  // namespace
}  // namespace backfire::report
