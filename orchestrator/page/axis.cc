#include "orchestrator/page/axis.h"

#include <algorithm>
#include <cmath>

#include "absl/strings/str_cat.h"
#include "orchestrator/report/numbers.h"

namespace backfire::page {
namespace {

// Farther away than this, linear distances hide what happens at the margin.
constexpr double kMostLinear = 8;
// Beyond this an axis says nothing more.
constexpr double kMost = 1e4;

// What a comparison needs of the axis, in margins.
template <typename Take>
void ForEach(const v1::LossComparison& one, const Take& take) {
  const double unit = UnitOf(one);
  const auto in_margins = [&](double value) {
    if (std::isfinite(value)) take(value / unit);
  };
  in_margins(one.difference());
  in_margins(one.interval_low());
  in_margins(one.interval_high());
  for (const double difference : one.differences()) in_margins(difference);
}

}  // namespace

double UnitOf(const v1::LossComparison& one) {
  if (one.margin() > 0 && std::isfinite(one.margin())) return one.margin();
  const double bounds = (one.interval_high() - one.interval_low()) / 2;
  if (bounds > 0 && std::isfinite(bounds)) return bounds;
  const double size = std::abs(one.difference());
  return size > 0 && std::isfinite(size) ? size : 1;
}

Axis::Axis(const std::vector<const v1::LossComparison*>& shown) {
  double low = -1.5, high = 2.5;
  for (const v1::LossComparison* one : shown) {
    ForEach(*one, [&](double margins) {
      low = std::min(low, margins);
      high = std::max(high, margins);
    });
  }
  logarithmic_ = std::max(-low, high) > kMostLinear;
  low_ = Bent(std::max(low, -kMost));
  high_ = Bent(std::min(high, kMost));
  const double rim = 0.03 * (high_ - low_);
  low_ -= rim;
  high_ += rim;
}

double Axis::Bent(double margins) const {
  const double size = std::abs(margins);
  if (!logarithmic_ || size <= 1) return margins;
  return std::copysign(1 + std::log10(size), margins);
}

double Axis::At(double margins) const { return (Bent(margins) - low_) / (high_ - low_); }

std::vector<Axis::Tick> Axis::Ticks() const {
  std::vector<double> places = {0, 1};
  if (logarithmic_) {
    for (double place = 10; place <= kMost; place *= 10) {
      places.push_back(place);
      places.push_back(-place);
    }
    places.push_back(-1);
  } else {
    const double step = high_ - low_ > 8 ? 2 : 1;
    for (double place = 1 + step; place <= kMostLinear; place += step) places.push_back(place);
    for (double place = -step; place >= -kMostLinear; place -= step) places.push_back(place);
  }
  std::sort(places.begin(), places.end());
  std::vector<Tick> ticks;
  for (const double place : places) {
    const double at = At(place);
    if (at < 0 || at > 1) continue;
    ticks.push_back({at, place == 0   ? "0"
                         : place == 1 ? "margin"
                                      : absl::StrCat(place < 0 ? "\xe2\x88\x92" : "",
                                                     std::abs(place), "\xc3\x97")});
  }
  return ticks;
}

}  // namespace backfire::page
