#include "orchestrator/diagnosis/diagnosis.h"

#include <gtest/gtest.h>

#include <optional>
#include <string>
#include <vector>

namespace backfire::diagnosis {
namespace {

TEST(DiagnosisTest, TermsAreMeansThatAddUp) {
  const v1::ErrorTerms terms = Decompose(
      {{0.30, 0.20, 0.15, 0.10, std::nullopt, 1e-6}, {0.40, 0.20, 0.15, 0.10, std::nullopt, 1e-5}});
  EXPECT_NEAR(terms.loss(), 0.35, 1e-12);
  EXPECT_NEAR(terms.upstream(), 0.05, 1e-12);
  EXPECT_NEAR(terms.approximation(), 0.05, 1e-12);
  EXPECT_NEAR(terms.estimation(), 0.15, 1e-12);
  // Standard deviation of 0.10 and 0.20 is 0.0707; over sqrt(2).
  EXPECT_NEAR(terms.estimation_standard_error(), 0.05, 1e-12);
  EXPECT_EQ(terms.numerical_error(), 1e-5);
  EXPECT_FALSE(terms.has_compatibility());
  EXPECT_NEAR(terms.upstream() + terms.approximation() + terms.estimation(),
              terms.loss() - terms.bayes_loss(), 1e-12);
}

TEST(DiagnosisTest, UpstreamErrorOfTwoParentsHasTwoParts) {
  const v1::ErrorTerms terms = Decompose({{0.3, 0.3, 0.3, 0.1, 0.12, 0}});
  EXPECT_NEAR(terms.compatibility(), 0.18, 1e-12);
  EXPECT_NEAR(terms.excess_upstream(), 0.02, 1e-12);
}

std::string CauseOf(const TrueLosses& before, const TrueLosses& after) {
  return Diagnose("w", "class_error", {before}, {after}).cause();
}

TEST(DiagnosisTest, TheCauseIsWhatGrewMost) {
  const TrueLosses before = {0.1, 0.1, 0.1, 0.1, std::nullopt, 0};
  EXPECT_EQ(CauseOf(before, {0.3, 0.3, 0.3, 0.1, std::nullopt, 0}), "upstream");
  EXPECT_EQ(CauseOf(before, {0.3, 0.3, 0.12, 0.1, std::nullopt, 0}), "approximation");
  EXPECT_EQ(CauseOf(before, {0.3, 0.15, 0.12, 0.1, std::nullopt, 0}), "estimation");
  EXPECT_EQ(CauseOf(before, before), "");
  // Less than the integrals' errors says nothing.
  EXPECT_EQ(CauseOf(before, {0.1005, 0.1005, 0.1005, 0.1, std::nullopt, 1e-3}), "");
  const TrueLosses both = {0.1, 0.1, 0.1, 0.1, 0.1, 0};
  EXPECT_EQ(CauseOf(both, {0.3, 0.3, 0.3, 0.1, 0.1, 0}), "compatibility");
  EXPECT_EQ(CauseOf(both, {0.3, 0.3, 0.3, 0.1, 0.28, 0}), "excess_upstream");
}

TEST(DiagnosisTest, EstimationMustGrowBeyondItsNoise) {
  const std::vector<TrueLosses> before = {{0.1, 0.1, 0.1, 0.1, std::nullopt, 0},
                                          {0.3, 0.1, 0.1, 0.1, std::nullopt, 0}};
  const std::vector<TrueLosses> after = {{0.1, 0.1, 0.1, 0.1, std::nullopt, 0},
                                         {0.4, 0.1, 0.1, 0.1, std::nullopt, 0}};
  EXPECT_EQ(Diagnose("w", "class_error", before, after).cause(), "");
}

}  // namespace
}  // namespace backfire::diagnosis
