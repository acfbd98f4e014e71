#include "orchestrator/report/history_report.h"

#include <gtest/gtest.h>

namespace backfire::report {
namespace {

v1::Event Make(int64_t seconds, const char* subject, const char* kind, const char* actor,
               const char* message) {
  v1::Event event;
  event.mutable_time()->set_seconds(seconds);
  event.set_subject(subject);
  event.set_kind(kind);
  event.set_actor(actor);
  event.set_message(message);
  return event;
}

TEST(HistoryTextTest, HasALinePerEvent) {
  EXPECT_EQ(HistoryText({}), "nothing happened\n");
  EXPECT_EQ(HistoryText({Make(1'600'000'000, "", "SYSTEM_APPLIED", "ada", "system s, revision 1"),
                         Make(1'600'000'001, "updates/1", "PROPOSED", "ada", "the baseline")}),
            "when                  of         what            who  in words\n"
            "2020-09-13 12:26:40Z  system     system applied  ada  system s, revision 1\n"
            "2020-09-13 12:26:41Z  updates/1  proposed        ada  the baseline\n");
}

TEST(UpdateStoryTest, CountsFromTheFirstEventAndNamesOthersSubjects) {
  v1::Update update;
  update.set_name("updates/2");
  update.set_vertex("car");
  update.mutable_recipe()->set_name("r");
  update.set_state(v1::Update::PROMOTED);
  EXPECT_EQ(
      UpdateStory(update, {Make(1'600'000'000, "updates/2", "PROPOSED", "ada", "car by recipe r"),
                           Make(1'600'000'090, "releases/2", "LIVE", "bob", "in place of it")}),
      "updates/2: car -> r, PROMOTED\n\n"
      "  when                       after  what             who  in words\n"
      "  2020-09-13 12:26:40Z       0.0 s  proposed         ada  car by recipe r\n"
      "  2020-09-13 12:28:10Z  1 min 30 s  releases/2 live  bob  in place of it\n");
}

}  // namespace
}  // namespace backfire::report
