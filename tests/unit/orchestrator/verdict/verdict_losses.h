#pragma once

#include <string>
#include <utility>
#include <vector>

#include "orchestrator/verdict/verdict.h"

namespace backfire::verdict {

inline constexpr double kBefore = 10;

// A loss of 10 that changed by these differences, one per replicate; on the resamples it is as much
// as `example_error` off, up and down.
inline LossEvidence Loss(const std::string& vertex, const std::vector<double>& differences,
                         double example_error = 0.01) {
  LossEvidence loss;
  loss.vertex = vertex;
  loss.loss = "mae";
  loss.unit = "px";
  loss.margin = 0.5;
  loss.size = {200, 200};
  for (const double difference : differences) {
    loss.before.push_back({kBefore, std::vector<double>(100, kBefore)});
    LossSample& after = loss.after.emplace_back();
    after.value = kBefore + difference;
    for (int b = 0; b < 100; ++b) {
      after.resampled.push_back(after.value + (b % 2 == 0 ? example_error : -example_error));
    }
  }
  return loss;
}

inline LossEvidence Candidate(const std::vector<double>& differences, double example_error = 0.01) {
  LossEvidence loss = Loss("first", differences, example_error);
  loss.candidate = true;
  return loss;
}

inline LossEvidence Descendant(const std::vector<double>& differences,
                               double example_error = 0.01) {
  LossEvidence loss = Loss("second", differences, example_error);
  loss.swapped = {kBefore + 2, kBefore + 4};
  return loss;
}

inline v1::Verdict DecideOn(std::vector<LossEvidence> losses) {
  Evidence evidence;
  evidence.losses = std::move(losses);
  return Decide(evidence);
}

// Around a mean, with a standard deviation of some 0.016 times the scale.
inline std::vector<double> Around(double mean, double scale = 1) {
  return {mean - 0.02 * scale, mean - 0.01 * scale, mean, mean + 0.01 * scale, mean + 0.02 * scale};
}

// Beyond a margin of 0.5, p = 0.024 by itself: t = 2.83 of 4 degrees of freedom.
inline const std::vector<double> kSlight = {0.5, 0.6, 0.7, 0.8, 0.9};

}  // namespace backfire::verdict
