#include "tests/parity/networks.h"

namespace backfire::parity {

std::vector<NetworkParity> AllNetworks() {
  return {
      {"frustum_pointnet_v1", RunFrustumPointNetParity}, {"pointrcnn_rpn", RunPointRcnnParity},
      {"pointrcnn_stage2", RunPointRcnnParity},          {"psmnet_basic", RunPsmNetParity},
      {"psmnet_stackhourglass", RunPsmNetParity},
  };
}

}  // namespace backfire::parity
