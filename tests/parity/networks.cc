#include "tests/parity/networks.h"

namespace backfire::parity {

std::vector<NetworkParity> AllNetworks() { return {}; }

}  // namespace backfire::parity
