#include "orchestrator/gate/self_test.h"

#include <gmock/gmock.h>

#include <cmath>

#include "absl/strings/str_cat.h"
#include "services/base/random.h"
#include "tests/unit/orchestrator/gate/gate_test_kit.h"

namespace backfire::gate {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::StartsWith;

// Losses of a baseline: replicates that differ by `training`, and by `examples` on resamples.
verdict::Evidence Baseline(int replicates, double training, double examples, double margin) {
  verdict::Evidence evidence;
  Random random(11);
  for (const char* vertex : {"encoder", "reader", "speaker"}) {
    verdict::LossEvidence& loss = evidence.losses.emplace_back();
    loss.vertex = vertex;
    loss.loss = "error";
    loss.candidate = loss.vertex == "encoder";
    loss.margin = margin;
    loss.size = {500, 500};
    for (int k = 0; k < replicates; ++k) {
      verdict::LossSample& sample = loss.before.emplace_back();
      sample.value = 1 + training * random.Normal();
      for (int b = 0; b < 100; ++b)
        sample.resampled.push_back(sample.value + examples * random.Normal());
    }
    loss.after = loss.before;
  }
  return evidence;
}

TEST(SelfTestTest, AlarmsAreAtMostAlphaAndAnEasyGatePasses) {
  const v1::GateSelfTest test = SelfTest(Baseline(5, 0.01, 0.002, 0.2), 500, 2);
  // At the margin, which is allowed, a family of alpha 5 %: within four standard errors.
  EXPECT_LE(test.false_alarms(), 0.05 + 4 * test.false_alarms_error());
  EXPECT_GT(test.false_alarms(),
            0);  // It does find that there is something at the margin, now and then.
  EXPECT_GT(test.passes(), 0.9);
  EXPECT_THAT(test.complaints(), IsEmpty());
  EXPECT_EQ(test.losses_size(), 3);
  EXPECT_THAT(SelfTestText(test), StartsWith("The gate can decide on these records."));
}

TEST(SelfTestTest, ComplainsOfMarginsAndSeedsThatDecideNothing) {
  v1::GateSelfTest test = SelfTest(Baseline(5, 0.1, 0.002, 0.001), 100, 2);
  EXPECT_LT(test.passes(), 0.5);
  ASSERT_EQ(test.complaints_size(), 3);
  EXPECT_THAT(test.complaints(0),
              HasSubstr("its margin of 0.001000 rarely lets a change that does no harm pass"));
  test = SelfTest(Baseline(3, 0.01, 0.002, 1), 50, 2);
  EXPECT_EQ(test.passes(), 0);
  EXPECT_THAT(test.complaints(), ElementsAre("with 3 seeds nothing is ever decided: it takes 5"));
}

TEST(SelfTestTest, ThreadsChangeNothing) {
  const verdict::Evidence evidence = Baseline(5, 0.05, 0.02, 0.1);
  EXPECT_EQ(SelfTest(evidence, 60, 1).SerializeAsString(),
            SelfTest(evidence, 60, 5).SerializeAsString());
}

class UnnamedClustersTest : public ::testing::Test {
 protected:
  // Twenty drives of ten frames, whose losses have `alike` of their variance, scale^2, in common.
  absl::StatusOr<RecordTable> Table(double alike, bool named, double scale = 1) {
    Random random(3, static_cast<uint64_t>(100 * alike));
    std::string rows;
    for (int drive = 0; drive < 20; ++drive) {
      const double common = random.Normal();
      for (int frame = 0; frame < 10; ++frame) {
        const double loss =
            scale * (std::sqrt(alike) * common + std::sqrt(1 - alike) * random.Normal());
        absl::StrAppend(
            &rows, "{\"vertex\":\"a\",\"seed\":0,\"example\":", 100 + 10 * drive + frame,
            named ? absl::StrCat(",\"cluster\":\"", drive, "\"") : "", ",\"loss\":", loss, "}\n");
      }
    }
    const std::string path = (directory_ / "r.jsonl").string();
    WriteText(path, rows);
    return ReadRecords(path, policy_, scope_, columns_, Completeness::kAll);
  }

  const TemporaryDirectory directory_;
  const v1::GatePolicy policy_ =
      PolicyOf("candidate: a\nvertices: [{name: a, losses: [{name: loss}]}]\n");
  const Columns columns_ = AllColumns(policy_);
  const Scope scope_ = *ScopeOf(policy_, "");
};

TEST_F(UnnamedClustersTest, AreComplainedOfUnlessNamed) {
  const auto alike = Table(0.5, false), named = Table(0.5, true), apart = Table(0, false);
  ASSERT_TRUE(alike.ok() && named.ok() && apart.ok());
  const auto complaints = UnnamedClusters(scope_, *alike, nullptr);
  ASSERT_EQ(complaints.size(), 1U);
  EXPECT_THAT(complaints[0],
              HasSubstr("vertex a, loss: neighbouring examples are alike (correlation 0."));
  EXPECT_THAT(UnnamedClusters(scope_, *named, nullptr), IsEmpty());
  EXPECT_THAT(UnnamedClusters(scope_, *apart, nullptr), IsEmpty());
  // What is common to both sides is no noise of their difference.
  EXPECT_THAT(UnnamedClusters(scope_, *alike, &*alike), IsEmpty());
  const auto quiet = Table(0, false, 0.01);
  ASSERT_TRUE(quiet.ok());
  EXPECT_EQ(UnnamedClusters(scope_, *quiet, &*alike).size(), 1U);
}

}  // namespace
}  // namespace backfire::gate
