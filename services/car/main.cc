#include "services/car/car_model.h"
#include "services/learning/blas_kernels.h"
#include "services/learning/device_options.h"
#include "services/runtime/service_main.h"

int main(int argc, char** argv) {
  backfire::learning::ChooseBlasKernels(argv);
  using backfire::runtime::Model;
  return backfire::runtime::ServiceMain(
      argc, argv,
      {"car-service", "Detects cars in point clouds (Frustum PointNet, PointRCNN).",
       backfire::learning::CheckDevice},
      [](const backfire::runtime::ServiceOptions& options)
          -> absl::StatusOr<std::vector<std::unique_ptr<Model>>> {
        std::vector<std::unique_ptr<Model>> models;
        models.push_back(backfire::car::MakeCarModel({options.device, options.prediction_threads}));
        return models;
      });
}
