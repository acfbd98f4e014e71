#include "services/metrics/footprint.h"

#include "services/base/target_clones.h"

namespace backfire::metrics {

Footprint FootprintOf(const Box3d& box) {
  Footprint footprint;
  footprint.x = box.x;
  footprint.z = box.z;
  footprint.cos_yaw = std::cos(box.rotation_y);
  footprint.sin_yaw = std::sin(box.rotation_y);
  if (box.length * box.width > 0) {
    footprint.half_length = std::abs(box.length) / 2;
    footprint.half_width = std::abs(box.width) / 2;
  }
  return footprint;
}

void Footprints::Clear() {
  for (std::vector<double>* attribute :
       {&x_, &z_, &cos_yaw_, &sin_yaw_, &half_length_, &half_width_}) {
    attribute->clear();
  }
}

void Footprints::Add(const Footprint& footprint) {
  x_.push_back(footprint.x);
  z_.push_back(footprint.z);
  cos_yaw_.push_back(footprint.cos_yaw);
  sin_yaw_.push_back(footprint.sin_yaw);
  half_length_.push_back(footprint.half_length);
  half_width_.push_back(footprint.half_width);
}

// AVX2 brings no fused multiply-add with it.
BACKFIRE_TARGET_CLONES("avx2", "default")
void Footprints::CommonAreas(const Footprint& one, std::vector<double>& areas) const {
  areas.resize(size());
  // Restricted pointers: without them the compiler must expect `areas` to overlap the attributes.
  const double* __restrict x = x_.data();
  const double* __restrict z = z_.data();
  const double* __restrict cos_yaw = cos_yaw_.data();
  const double* __restrict sin_yaw = sin_yaw_.data();
  const double* __restrict half_length = half_length_.data();
  const double* __restrict half_width = half_width_.data();
  double* __restrict area = areas.data();
  const Footprint first = one;
  const size_t count = size();
  for (size_t i = 0; i < count; ++i) {
    area[i] =
        CommonArea(first, {x[i], z[i], cos_yaw[i], sin_yaw[i], half_length[i], half_width[i]});
  }
}

}  // namespace backfire::metrics
