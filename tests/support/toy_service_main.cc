// A model service for tests: `first` multiplies x; `second` multiplies what `first` gave.
#include "services/runtime/service_main.h"
#include "tests/support/toy_models.h"

int main(int argc, char** argv) {
  using backfire::runtime::Model;
  return backfire::runtime::ServiceMain(
      argc, argv, {"toy-service", "Multiplies numbers; for tests."},
      [](const backfire::runtime::ServiceOptions&)
          -> absl::StatusOr<std::vector<std::unique_ptr<Model>>> {
        std::vector<std::unique_ptr<Model>> models;
        models.push_back(backfire::testing::MakeToyModel("first", "x"));
        models.push_back(backfire::testing::MakeToyModel("second", "y"));
        return models;
      });
}
