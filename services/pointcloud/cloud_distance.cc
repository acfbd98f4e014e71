#include "services/pointcloud/cloud_distance.h"

#include <cmath>
#include <nanoflann.hpp>
#include <utility>

namespace backfire::pointcloud {
namespace {

// What nanoflann asks of a cloud.
struct Cloud {
  std::vector<float> points;
  // NOLINTBEGIN(readability-identifier-naming)
  size_t kdtree_get_point_count() const { return points.size() / 3; }
  float kdtree_get_pt(size_t index, size_t dimension) const {
    return points[3 * index + dimension];
  }
  template <typename Box>
  bool kdtree_get_bbox(Box&) const {
    return false;
  }
  // NOLINTEND(readability-identifier-naming)
};

using Tree = nanoflann::KDTreeSingleIndexAdaptor<nanoflann::L2_Simple_Adaptor<float, Cloud>, Cloud,
                                                 3, uint32_t>;

}  // namespace

struct ReferenceCloud::Index {
  explicit Index(std::vector<float> points) : cloud{std::move(points)}, tree(3, cloud) {}
  const Cloud cloud;
  const Tree tree;
};

ReferenceCloud::ReferenceCloud(std::vector<float> points)
    : index_(std::make_unique<Index>(std::move(points))) {}
ReferenceCloud::~ReferenceCloud() = default;

bool ReferenceCloud::empty() const { return index_->cloud.points.empty(); }

double ReferenceCloud::DistanceTo(const float* point) const {
  uint32_t nearest = 0;
  float squared = 0;
  index_->tree.knnSearch(point, 1, &nearest, &squared);
  return std::sqrt(static_cast<double>(squared));
}

}  // namespace backfire::pointcloud
