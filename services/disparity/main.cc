#include "services/disparity/disparity_model.h"
#include "services/learning/blas_kernels.h"
#include "services/learning/device_options.h"
#include "services/runtime/service_main.h"

int main(int argc, char** argv) {
  backfire::learning::ChooseBlasKernels(argv);
  using backfire::runtime::Model;
  return backfire::runtime::ServiceMain(
      argc, argv,
      {"disparity-service", "Learns disparity from stereo pairs (PSMNet, semi-global matching).",
       backfire::learning::CheckDevice},
      [](const backfire::runtime::ServiceOptions& options)
          -> absl::StatusOr<std::vector<std::unique_ptr<Model>>> {
        std::vector<std::unique_ptr<Model>> models;
        models.push_back(
            backfire::disparity::MakeDisparityModel({options.device, options.prediction_threads}));
        return models;
      });
}
