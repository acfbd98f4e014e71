#pragma once

#include <functional>
#include <string>

#include "backfire/v1/system.pb.h"

namespace backfire::graph {

/// Gives each vertex that has a process and no endpoint the address of that process. Vertices with
/// equal processes share one, as a model has one service: it is that of the first such vertex,
/// `address_of` its name.
void PlaceVertices(const std::function<std::string(const std::string& vertex)>& address_of,
                   v1::System& system);

}  // namespace backfire::graph
