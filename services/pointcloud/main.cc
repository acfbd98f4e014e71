#include "services/pointcloud/pointcloud_model.h"
#include "services/runtime/service_main.h"

int main(int argc, char** argv) {
  using backfire::runtime::Model;
  return backfire::runtime::ServiceMain(
      argc, argv, {"pointcloud-service", "Turns disparity into a pseudo-LiDAR point cloud."},
      [](const backfire::runtime::ServiceOptions&)
          -> absl::StatusOr<std::vector<std::unique_ptr<Model>>> {
        std::vector<std::unique_ptr<Model>> models;
        models.push_back(backfire::pointcloud::MakePointCloudModel());
        return models;
      });
}
