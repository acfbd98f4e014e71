#pragma once

#include <functional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "tests/parity/parity_report.h"
#include "tests/parity/vector_file.h"

namespace backfire::parity {

/// Runs a vector file through our network and compares. An error means that it could not.
using RunParity = absl::Status (*)(const VectorCase& vector_case, ParityReport& report);

/// What runs the vector files of one network.
struct NetworkParity {
  std::string network;  ///< As in the files' names: `psmnet_basic`.
  RunParity run = nullptr;
};

/// All networks: a new one is a line here (networks.cc) and a file with its function.
std::vector<NetworkParity> AllNetworks();

/// Frustum PointNet v1 (frustum_parity.cc).
absl::Status RunFrustumPointNetParity(const VectorCase& vector_case, ParityReport& report);

/// PointRCNN: its first stage; and its second, with decoding, proposals and losses
/// (pointrcnn_parity.cc).
absl::Status RunPointRcnnParity(const VectorCase& vector_case, ParityReport& report);

/// PSMNet, `stackhourglass` and `basic` (psmnet_parity.cc).
absl::Status RunPsmNetParity(const VectorCase& vector_case, ParityReport& report);

}  // namespace backfire::parity
