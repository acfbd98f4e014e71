#include "services/learning/blas_kernels.h"
#include "services/learning/device_options.h"
#include "services/proposals/proposals_model.h"
#include "services/runtime/service_main.h"

int main(int argc, char** argv) {
  backfire::learning::ChooseBlasKernels(argv);
  using backfire::runtime::Model;
  return backfire::runtime::ServiceMain(
      argc, argv,
      {"proposals-service", "Proposes 2D boxes on the left image.",
       backfire::learning::CheckDevice},
      [](const backfire::runtime::ServiceOptions& options)
          -> absl::StatusOr<std::vector<std::unique_ptr<Model>>> {
        std::vector<std::unique_ptr<Model>> models;
        models.push_back(
            backfire::proposals::MakeProposalsModel({options.device, options.prediction_threads}));
        return models;
      });
}
