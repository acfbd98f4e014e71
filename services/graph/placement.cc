#include "services/graph/placement.h"

#include <map>

namespace backfire::graph {

void PlaceVertices(const std::function<std::string(const std::string& vertex)>& address_of,
                   v1::System& system) {
  std::map<std::string, std::string> addresses;  // Process, as bytes: equal ones have equal bytes.
  for (v1::Vertex& vertex : *system.mutable_vertices()) {
    if (!vertex.endpoint().empty() || !vertex.has_process()) continue;
    std::string& address = addresses[vertex.process().SerializeAsString()];
    if (address.empty()) address = address_of(vertex.name());
    vertex.set_endpoint(address);
  }
}

}  // namespace backfire::graph
