#include "tests/parity/networks.h"

namespace backfire::parity {

std::vector<NetworkParity> AllNetworks() {
  return {
      {"frustum_pointnet_v1", RunFrustumPointNetParity},
      {"pointrcnn_rpn", RunPointRcnnParity},
      {"pointrcnn_stage2", RunPointRcnnParity},
  };
}

}  // namespace backfire::parity
