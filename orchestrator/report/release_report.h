#pragma once

#include <map>
#include <string>
#include <vector>

#include "backfire/v1/orchestrator.pb.h"

namespace backfire::report {

/// A table of releases, as they come.
std::string ReleaseListText(const v1::ListReleasesResponse& releases);

/// What rolling back from the live release to another would change, vertex by vertex.
std::string RollbackText(const v1::Release& live, const v1::Release& target);

/// One release with its versions and its history, oldest first.
std::string ReleaseText(const v1::Release& release);

/// Tells of releases and gateways in lines, as they change. One thread.
class ReleaseLog {
 public:
  /// What is new in a snapshot for observers; at first, all of it.
  std::vector<std::string> Next(const v1::ReleaseSnapshot& snapshot);

 private:
  std::map<std::string, std::string> told_;  // By release or gateway: what was said of it last.
};

}  // namespace backfire::report
