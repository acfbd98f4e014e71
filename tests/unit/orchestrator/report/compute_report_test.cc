#include "orchestrator/report/compute_report.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace backfire::report {
namespace {

using ::testing::HasSubstr;

v1::Step& AddStep(v1::Update& update, v1::Step::Kind kind, double spent, double saved, int reused,
                  int produced) {
  v1::Step& step = *update.add_steps();
  step.set_kind(kind);
  step.set_vertex("car");
  step.set_compute_seconds(spent);
  step.set_saved_seconds(saved);
  step.set_outputs_reused(reused);
  step.set_outputs_produced(produced);
  return step;
}

TEST(ComputeReportTest, SumsWhatWasSpentAndWhatWasSaved) {
  v1::Update update;
  EXPECT_EQ(ComputeSummary(update), "");
  EXPECT_EQ(ComputeTable(update), "");
  AddStep(update, v1::Step::TRAIN, 30, 0, 0, 1);
  AddStep(update, v1::Step::TRAIN, 10, 4, 1, 0);
  AddStep(update, v1::Step::EVALUATE_SWAPPED, 2, 0, 0, 2);
  AddStep(update, v1::Step::LOAD, 0, 0, 0, 0);
  update.mutable_reuse()->set_versions(2);
  update.mutable_reuse()->set_evaluations(2);
  update.mutable_reuse()->set_seconds(50);
  EXPECT_EQ(ComputeSummary(update),
            "Computed for 42 s in all; saved 54 s by what had been done before.\n");
  const std::string table = ComputeTable(update);
  EXPECT_THAT(table, ::testing::ContainsRegex("train +car +2 +40 s +4.0 s +1 of 2"));
  EXPECT_THAT(table, ::testing::ContainsRegex("evaluate swapped +car +1 +2.0 s +0.0 s +0 of 2"));
  EXPECT_THAT(table, ::testing::ContainsRegex("baseline +4 +0.0 s +50 s"));
}

}  // namespace
}  // namespace backfire::report
