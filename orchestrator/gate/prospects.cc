#include "orchestrator/gate/prospects.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "orchestrator/verdict/sensitivity.h"

namespace backfire::gate {
namespace {

// Beyond so many times today's numbers nobody measures.
constexpr double kMostTimes = 1000;

// Degrees of freedom of the sum of two estimated variances (Satterthwaite, 1946).
double Freedom(double a, double freedom_a, double e, double freedom_e) {
  // By their shares: squares of variances may be no numbers.
  const double share = a / (a + e);
  const double by = share * share / freedom_a + (1 - share) * (1 - share) / freedom_e;
  return by > 0 ? 1 / by : 1e9;
}

// Whether variances so many times smaller would do.
bool Resolves(const v1::LossComparison& one, double alpha, double seeds_times,
              double examples_times) {
  const double a = one.training_variance() / seeds_times;
  const double e = one.example_variance() / examples_times;
  const double freedom = Freedom(a, (one.training_freedom() + 1) * seeds_times - 1, e,
                                 std::max(one.example_freedom(), 1.0) * examples_times);
  return verdict::DetectableEffect(alpha, verdict::kPower, freedom) * std::sqrt(a + e) <=
         one.margin();
}

// The least multiple that does, to a tenth; 0: none up to kMostTimes does.
template <typename Does>
double LeastTimes(const Does& does) {
  if (!does(kMostTimes)) return 0;
  double low = 1, high = kMostTimes;
  while (high > low * 1.02) {
    const double middle = std::sqrt(low * high);
    (does(middle) ? high : low) = middle;
  }
  return high;
}

}  // namespace

std::string Prospect(const v1::LossComparison& one, const v1::Verdict& verdict) {
  if (!std::isfinite(one.standard_error()) || one.example_count() < 2) {
    return "its noise is not known: see its notes";
  }
  if (one.margin() <= 0) {
    return "with a margin of 0 no number of seeds or examples shows that nothing changed: give it "
           "one";
  }
  const double alpha = verdict.alpha();
  const double by_seeds = LeastTimes([&](double t) { return Resolves(one, alpha, t, 1); });
  const double by_examples = LeastTimes([&](double t) { return Resolves(one, alpha, 1, t); });
  const double by_both = LeastTimes([&](double t) { return Resolves(one, alpha, t, t); });
  std::vector<std::string> ways;
  if (by_seeds > 0) {
    ways.push_back(absl::StrFormat("%.0f seeds (%.2g times the trainings)",
                                   std::ceil(by_seeds * verdict.replicates()), by_seeds));
  }
  if (by_examples > 0) {
    // Where examples are drawn by clusters, more of the same clusters would not do.
    const bool clusters = one.cluster_count() > 0;
    const double today = static_cast<double>(clusters ? one.cluster_count() : one.example_count());
    ways.push_back(absl::StrFormat("%.0f %s that bear upon it (%.2g times today's)",
                                   std::ceil(by_examples * today),
                                   clusters ? "clusters" : "examples", by_examples));
  }
  if (ways.empty() && by_both > 0) {
    ways.push_back(absl::StrFormat("%.2g times the seeds and the examples", by_both));
  }
  if (ways.empty()) return "its margin is too small for its noise, whatever is measured";
  return absl::StrCat("planned anew, ", absl::StrJoin(ways, ", or "),
                      " would show no harm in 4 of 5 cases where there is none");
}

}  // namespace backfire::gate
