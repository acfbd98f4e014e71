#include "tests/parity/networks.h"

namespace backfire::parity {

std::vector<NetworkParity> AllNetworks() {
  return {
      {"frustum_pointnet_v1", RunFrustumPointNetParity},
  };
}

}  // namespace backfire::parity
