#pragma once

#include <string>
#include <utility>

#include "backfire/v1/system.pb.h"
#include "services/rpc/attempts.h"

namespace backfire::execution {

/// How long to go on with a service of this system.
/// @param key  As runtime::Patience::key.
inline runtime::Patience PatienceOf(const v1::System& system, std::string key) {
  runtime::Patience patience;
  // Stored systems have it.
  if (system.has_service_timeout()) {
    patience.timeout = absl::Seconds(system.service_timeout().seconds());
  }
  patience.key = std::move(key);
  return patience;
}

}  // namespace backfire::execution
