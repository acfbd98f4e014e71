#pragma once

#include <cstdint>
#include <memory>
#include <vector>

namespace backfire::pointcloud {

/// A cloud that tells how far points are from it. Thread-safe.
class ReferenceCloud {
 public:
  /// @param points  x, y, z of each, metres.
  explicit ReferenceCloud(std::vector<float> points);
  ~ReferenceCloud();
  ReferenceCloud(const ReferenceCloud&) = delete;
  ReferenceCloud& operator=(const ReferenceCloud&) = delete;

  bool empty() const;
  /// Distance from (x, y, z) to the nearest point, metres. The cloud must not be empty.
  double DistanceTo(const float* point) const;

 private:
  struct Index;
  std::unique_ptr<Index> index_;
};

}  // namespace backfire::pointcloud
