#include "services/learning/blas_kernels.h"
#include "services/learning/device_options.h"
#include "services/pedestrian/pedestrian_model.h"
#include "services/runtime/service_main.h"

int main(int argc, char** argv) {
  backfire::learning::ChooseBlasKernels(argv);
  using backfire::runtime::Model;
  return backfire::runtime::ServiceMain(
      argc, argv,
      {"pedestrian-service", "Detects pedestrians in point clouds (Frustum PointNet, PointRCNN).",
       backfire::learning::CheckDevice},
      [](const backfire::runtime::ServiceOptions& options)
          -> absl::StatusOr<std::vector<std::unique_ptr<Model>>> {
        std::vector<std::unique_ptr<Model>> models;
        models.push_back(backfire::pedestrian::MakePedestrianModel(
            {options.device, options.prediction_threads}));
        return models;
      });
}
