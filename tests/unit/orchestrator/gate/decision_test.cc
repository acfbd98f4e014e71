#include "orchestrator/gate/decision.h"

#include <gmock/gmock.h>

#include "orchestrator/gate/prospects.h"
#include "orchestrator/gate/result_words.h"
#include "orchestrator/verdict/verdict.h"
#include "services/base/random.h"
#include "tests/unit/orchestrator/gate/gate_test_kit.h"

namespace backfire::gate {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;
using v1::GateReport;
using v1::GateResult;

constexpr char kToday[] = "2026-06-15";

// A loss that moved by `shift`, with noise of a thousandth, or of `noise`.
verdict::LossEvidence Loss(const std::string& vertex, const std::string& loss, bool candidate,
                           double shift, double noise = 0.001, int replicates = 5) {
  verdict::LossEvidence evidence;
  evidence.vertex = vertex;
  evidence.loss = loss;
  evidence.candidate = candidate;
  evidence.margin = 0.02;
  evidence.size = {100, 100};
  Random random(7, static_cast<uint64_t>(vertex.size()));
  for (int k = 0; k < replicates; ++k) {
    for (auto* side : {&evidence.before, &evidence.after}) {
      verdict::LossSample& sample = side->emplace_back();
      const double mean = 1 + (side == &evidence.after ? shift : 0);
      sample.value = mean + noise * random.Normal();
      for (int b = 0; b < 50; ++b) sample.resampled.push_back(mean + noise * random.Normal());
    }
  }
  return evidence;
}

v1::Verdict VerdictOf(double candidate_shift, double reader_shift, double noise = 0.001,
                      int replicates = 5) {
  verdict::Evidence evidence;
  evidence.losses = {Loss("encoder", "mse", true, candidate_shift, noise, replicates),
                     Loss("reader", "wer", false, reader_shift, noise, replicates)};
  return verdict::Decide(evidence);
}

v1::GatePolicy Policy(const std::string& more = "") { return PolicyOf(kPolicy + more); }

std::string Waivers(const std::string& expires) {
  return "waivers:\n- {vertex: reader, loss: wer, owner: ann, reason: a known bug, expires: " +
         expires + "}\n";
}

TEST(JudgeTest, PassesWhatIsSafe) {
  const GateReport report = Judge(VerdictOf(-0.1, 0), Policy(), kToday);
  EXPECT_EQ(report.outcome(), GateReport::PASSED);
  EXPECT_EQ(report.exit_code(), 0);
  EXPECT_EQ(GateHeadline(report),
            "PASSED (SAFE): nothing that may block is worse beyond its margin");
  ASSERT_EQ(report.results_size(), 2);
  EXPECT_EQ(report.results(0).status(), GateResult::OK);
}

TEST(JudgeTest, RefusesHarm) {
  const GateReport report = Judge(VerdictOf(-0.1, 0.1), Policy(), kToday);
  EXPECT_EQ(report.outcome(), GateReport::REFUSED);
  EXPECT_EQ(report.exit_code(), 1);
  EXPECT_EQ(GateHeadline(report),
            "REFUSED (SELF_DEFEATING): reader wer is worse beyond the margin");
  EXPECT_EQ(report.results(1).status(), GateResult::BLOCKS);
}

TEST(JudgeTest, CannotDecideByNoiseOrByAFirstLook) {
  GateReport report = Judge(VerdictOf(0, 0, 0.1), Policy(), kToday);
  EXPECT_EQ(report.exit_code(), 6);
  EXPECT_THAT(report.reason(), HasSubstr("does not resolve encoder mse, reader wer"));
  EXPECT_THAT(report.results(1).would_decide(), HasSubstr("planned anew"));
  report = Judge(VerdictOf(0, 0.1, 0.001, 4), Policy(), kToday);
  EXPECT_EQ(report.exit_code(), 6);
  EXPECT_THAT(report.reason(), StartsWith("a first look can't decide: 4 seeds"));
}

TEST(JudgeTest, AWaiverPassesAndIsSaid) {
  const v1::Verdict verdict = VerdictOf(-0.1, 0.1);
  GateReport report = Judge(verdict, Policy(Waivers("2026-06-15")), kToday);
  EXPECT_EQ(report.exit_code(), 0);
  EXPECT_EQ(report.reason(), "only by waivers: reader wer");
  EXPECT_EQ(report.results(1).status(), GateResult::WAIVED);
  EXPECT_EQ(report.results(1).waived_because(), "a known bug (ann, until 2026-06-15)");
  EXPECT_EQ(report.verdict().outcome(), v1::Verdict::SELF_DEFEATING);
  // The day after, the loss blocks again.
  report = Judge(verdict, Policy(Waivers("2026-06-14")), kToday);
  EXPECT_EQ(report.exit_code(), 1);
  EXPECT_EQ(report.expired_waivers_size(), 1);
}

TEST(JudgeTest, AnExpiredWaiverBlocksWhatIsSafe) {
  const GateReport report = Judge(VerdictOf(-0.1, 0), Policy(Waivers("2026-06-14")), kToday);
  EXPECT_EQ(report.exit_code(), 6);
  EXPECT_THAT(report.reason(), HasSubstr("the waiver of reader wer by ann expired on 2026-06-14"));
}

TEST(JudgeTest, AWaiverThatWaivesNothingIsListed) {
  const GateReport report = Judge(VerdictOf(-0.1, 0), Policy(Waivers("2026-12-31")), kToday);
  EXPECT_EQ(report.exit_code(), 0);
  EXPECT_EQ(report.unused_waivers_size(), 1);
}

TEST(JudgeTest, AWaiverOfOneLossLeavesOthersBlocking) {
  const GateReport report = Judge(VerdictOf(0.1, 0.1), Policy(Waivers("2026-12-31")), kToday);
  EXPECT_EQ(report.exit_code(), 1);
  EXPECT_EQ(report.reason(), "encoder mse is worse beyond the margin; waived: reader wer");
}

TEST(JudgeTest, FailOnChoosesWhatBlocks) {
  EXPECT_EQ(Judge(VerdictOf(-0.1, 0.1), Policy("fail_on: [none]\n"), kToday).exit_code(), 0);
  EXPECT_EQ(
      Judge(VerdictOf(0, 0, 0.1), Policy("fail_on: [worse, unresolved]\n"), kToday).exit_code(), 1);
  const v1::Verdict within = VerdictOf(-0.1, 0.01);
  ASSERT_EQ(within.comparisons(1).outcome(), v1::LossComparison::WORSE_WITHIN_MARGIN);
  EXPECT_EQ(Judge(within, Policy(), kToday).exit_code(), 0);
  EXPECT_EQ(Judge(within, Policy("fail_on: [worse, worse-within-margin]\n"), kToday).exit_code(),
            1);
}

// The gate and `backfire update ... --gate` are one: without waivers they refuse the same.
TEST(JudgeTest, AgreesWithTheMeshesGate) {
  for (const double shift : {-0.1, 0.0, 0.01, 0.1}) {
    for (const double noise : {0.001, 0.02, 0.1}) {
      for (const int replicates : {1, 5}) {
        const v1::Verdict verdict = VerdictOf(-0.01, shift, noise, replicates);
        const GateReport report = Judge(verdict, Policy(), kToday);
        EXPECT_EQ(report.exit_code() == 1, verdict::Blocks(verdict));
        EXPECT_EQ(report.exit_code() == 0, verdict.outcome() == v1::Verdict::SAFE);
      }
    }
  }
}

TEST(ProspectTest, NamesTheScarcerOfSeedsAndExamples) {
  v1::Verdict verdict;
  verdict.set_alpha(0.05);
  verdict.set_replicates(5);
  v1::LossComparison one;
  one.set_margin(1);
  one.set_example_count(100);
  one.set_training_variance(1);
  one.set_training_freedom(4);
  one.set_example_variance(0);
  one.set_example_freedom(99);
  one.set_standard_error(1);
  // Noise of trainings alone: (1.645 + 0.842)^2 = 6.2 times the seeds, and some for Student's t.
  const std::string seeds = Prospect(one, verdict);
  EXPECT_THAT(seeds, ::testing::MatchesRegex("planned anew, 3[2-6] seeds \\(6\\.[0-9]+ times.*"));
  EXPECT_EQ(seeds.find("examples"), std::string::npos);
  one.set_training_variance(0);
  one.set_example_variance(1);
  EXPECT_THAT(Prospect(one, verdict), HasSubstr("examples that bear upon it (6."));
  // In other units it is the same, though squares of these variances are no numbers.
  for (const double unit : {1e100, 1e-100}) {
    v1::LossComparison in_other_units = one;
    in_other_units.set_margin(one.margin() * unit);
    in_other_units.set_example_variance(one.example_variance() * unit * unit);
    EXPECT_EQ(Prospect(in_other_units, verdict), Prospect(one, verdict));
  }
  one.set_margin(0);
  EXPECT_THAT(Prospect(one, verdict), HasSubstr("margin of 0"));
}

TEST(DayOfTest, IsInUtc) {
  EXPECT_EQ(DayOf(0), "1970-01-01");
  EXPECT_EQ(DayOf(1798761599), "2026-12-31");
}

}  // namespace
}  // namespace backfire::gate
