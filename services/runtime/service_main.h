#pragma once

#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "services/runtime/model.h"

namespace CLI {
class App;
}

namespace backfire::runtime {

/// What a model service's program says of itself.
struct ServiceDescription {
  std::string name;     ///< `disparity-service`; in --help and logs.
  std::string summary;  ///< One sentence for --help.
  /// Whether this machine has what --device names; null: there is nothing to choose.
  std::function<absl::Status(const std::string& device)> check_device;
  std::string example;                       ///< Flags of its own for the example of --help.
  std::function<void(CLI::App&)> add_flags;  ///< Adds flags of its own; may be null.
};

/// What a program's user chose, as far as models are concerned.
struct ServiceOptions {
  std::filesystem::path data_directory;
  std::string device = "auto";  ///< `auto`, `cpu` or `cuda:N`.
  int threads = 1;              ///< Predictions that run at once.
  int prediction_threads = 1;   ///< That each of them may use.
};

/// Makes the models that a service hosts.
using MakeModels =
    std::function<absl::StatusOr<std::vector<std::unique_ptr<Model>>>(const ServiceOptions&)>;

/// The whole of a model service's main: flags, data directory, versions, jobs, servers, shutdown on
/// SIGTERM. Returns the exit code: 0 after a shutdown, 1 for what failed at the start or on the
/// way, 2 for a wrong command line; the reason is one line on standard error.
int ServiceMain(int argc, char** argv, const ServiceDescription& description,
                const MakeModels& make_models);

}  // namespace backfire::runtime
