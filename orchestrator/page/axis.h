#pragma once

#include <string>
#include <vector>

#include "backfire/v1/gate.pb.h"

namespace backfire::page {

/// What a difference is measured in on the axis: its margin. Where that is 0, half the distance of
/// its bounds, and where there are none, its size.
double UnitOf(const v1::LossComparison& one);

/// One axis for differences of all losses, in margins: 0 is no change, 1 what is allowed. Linear;
/// logarithmic beyond one margin where some are many margins away.
class Axis {
 public:
  /// An axis that shows what these comparisons found, their bounds and their seeds.
  explicit Axis(const std::vector<const v1::LossComparison*>& shown);

  /// Where on the axis so many margins are, from 0 to 1; outside where the axis does not reach.
  double At(double margins) const;

  struct Tick {
    double at = 0;  ///< As At().
    std::string label;
  };
  std::vector<Tick> Ticks() const;

  bool logarithmic() const { return logarithmic_; }

 private:
  double Bent(double margins) const;

  bool logarithmic_ = false;
  double low_ = -2, high_ = 2;  // Bent.
};

}  // namespace backfire::page
