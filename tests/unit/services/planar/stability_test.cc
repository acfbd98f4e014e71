// Each system's verdict over 20 seeds: of training, and of the samples that it is trained and
// judged on.
#include <gtest/gtest.h>

#include <algorithm>
#include <string>

#include "tests/support/planar_study.h"

namespace backfire::testing {
namespace {

class StabilityTest : public ::testing::TestWithParam<const char*> {};

TEST_P(StabilityTest, VerdictIsAsExpectedOver20Seeds) {
  v1::System system = PlanarSystem(GetParam());
  // Fewer resamples than a decision should have: time.
  system.mutable_bootstrap()->set_resample_count(100);
  for (int seed = 0; seed < 20; ++seed) {
    const auto outcome = RunProposal(system, 0, seed, /*diagnose=*/false);
    ASSERT_TRUE(outcome.ok()) << outcome.status();
    EXPECT_EQ(v1::Verdict::Outcome_Name(outcome->verdict.outcome()),
              system.proposals(0).expected_verdict())
        << "seed " << seed << "\n"
        << outcome->verdict.summary();
  }
}

INSTANTIATE_TEST_SUITE_P(Systems, StabilityTest,
                         ::testing::Values("figure2", "figure2-benign", "figure3", "figure3-benign",
                                           "figure4a", "figure4a-benign", "figure4b",
                                           "figure4b-benign", "loss-mismatch",
                                           "loss-mismatch-benign", "distribution-mismatch",
                                           "distribution-mismatch-benign", "chain", "diamond",
                                           "two-levels"),
                         [](const auto& info) {
                           std::string name = info.param;
                           name.erase(std::remove(name.begin(), name.end(), '-'), name.end());
                           return name;
                         });

}  // namespace
}  // namespace backfire::testing
