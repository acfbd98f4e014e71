#include "tests/support/sufficient_simulation.h"

#include <boost/math/distributions/gamma.hpp>
#include <boost/random/gamma_distribution.hpp>
#include <cmath>
#include <limits>

#include "orchestrator/verdict/statistics.h"
#include "services/base/random.h"

namespace backfire::testing {
namespace {

constexpr double kQuarterTurn = 1.5707963267948966;

// Random's bits for Boost's distributions.
class Engine {
 public:
  using result_type = uint64_t;
  explicit Engine(uint64_t seed) : random_(seed, 11) {}
  static constexpr uint64_t min() { return 0; }
  static constexpr uint64_t max() { return std::numeric_limits<uint64_t>::max(); }
  uint64_t operator()() { return random_.Bits(); }
  double Uniform() { return random_.Uniform(); }

 private:
  Random random_;
};

double UpperNormal(double x) { return 0.5 * std::erfc(x / std::sqrt(2.0)); }

}  // namespace

CriticalValues::CriticalValues(int replicates, double example_freedom, double level) {
  constexpr int kNodes = 128;
  std::vector<double> nodes;
  for (int i = 0; i <= kNodes; ++i) {
    const double angle = kQuarterTurn * i / kNodes;
    const double cosine = i == kNodes ? 0 : std::cos(angle);
    nodes.push_back(verdict::BehrensFisher(cosine * cosine, replicates - 1,
                                           std::pow(std::sin(angle), 2), example_freedom)
                        .UpperQuantile(level));
  }
  by_angle_ = boost::math::interpolators::cardinal_cubic_b_spline<double>(
      nodes.begin(), nodes.end(), 0.0, kQuarterTurn / kNodes);
}

double CriticalValues::Of(double a, double e) const {
  return std::sqrt(a + e) * by_angle_(std::atan2(std::sqrt(e), std::sqrt(a)));
}

SufficientSimulation::SufficientSimulation(int replicates, int64_t examples, int resamples,
                                           int draws, uint64_t seed)
    : replicates_(replicates), example_freedom_(verdict::ExampleFreedom(examples, resamples)) {
  Engine engine(seed);
  const auto scaled = [&engine](double freedom) {
    return boost::random::gamma_distribution<double>(freedom / 2)(engine) / (freedom / 2);
  };
  const double k = replicates - 1, n = static_cast<double>(examples - 1), b = resamples - 1;
  const boost::math::gamma_distribution<double> training(k / 2, 2 / k);
  for (int i = 0; i < draws; ++i) {
    Draw& draw = draws_.emplace_back();
    // Stratified: the far tail is a matter of how often this one is small.
    draw.training = boost::math::quantile(training, (i + engine.Uniform()) / draws);
    draw.together = scaled(n) * scaled(b);
    draw.interaction = scaled(n * k) * scaled(b * k);
  }
}

CriticalValues SufficientSimulation::At(double level) const {
  return CriticalValues(replicates_, example_freedom_, level);
}

std::vector<double> SufficientSimulation::Rejections(const CriticalValues& critical,
                                                     NoiseShares shares,
                                                     const std::vector<double>& effects) const {
  const double interaction = shares.interaction;
  const double training = shares.training * (1 - interaction);
  const double examples = (1 - shares.training) * (1 - interaction);
  std::vector<double> rejections(effects.size(), 0.0);
  for (const Draw& draw : draws_) {
    const double a = (training + interaction) * draw.training;
    const double together = (examples + interaction) * draw.together;
    const double c = interaction * draw.interaction;
    const double apart = together + c * (replicates_ - 1);
    const double e = together - verdict::InteractionVariance(a, together, apart, replicates_);
    const double bound = critical.Of(a, e);
    for (size_t i = 0; i < effects.size(); ++i) {
      rejections[i] += UpperNormal(bound - effects[i]) / static_cast<double>(draws_.size());
    }
  }
  return rejections;
}

}  // namespace backfire::testing
