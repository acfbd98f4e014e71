#pragma once

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "orchestrator/records/state.h"
#include "orchestrator/store/repository.h"

// Versions, which are their services': whose they are, and what needs them.
namespace backfire::commands {

/// Where the current system's model of that name is served. NOT_FOUND: no vertex has it.
/// FAILED_PRECONDITION: its service lacks the capability.
absl::StatusOr<std::string> EndpointOf(const records::State& state, const std::string& model_name,
                                       v1::Capability capability);

/// What feeds the vertices with this model in the live release; empty if they have no parents.
/// FAILED_PRECONDITION: there is no live release. INVALID_ARGUMENT: they are fed differently.
absl::StatusOr<std::vector<v1::Parent>> LiveLineage(const records::State& state,
                                                    const std::string& model_name);

/// A model that may have versions that a version of another one feeds.
struct ChildModel {
  std::string model_name;
  std::string endpoint;
  bool lists_versions = false;
};
std::vector<ChildModel> ChildrenOf(const records::State& state, const std::string& model_name);

/// What would be lost with a version, a phrase each, in a fixed order: releases that serve, may be
/// promoted or rolled back to; versions of the current system's updates that others may yet be
/// compared with; recipes that start from it. Versions that it feeds are not looked at here.
absl::StatusOr<std::vector<std::string>> NeedsOf(const records::State& state,
                                                 const store::Repository& history,
                                                 const std::string& version);

/// FAILED_PRECONDITION: releases, updates or recipes need the version; names them.
absl::Status CheckUnneeded(const records::State& state, const store::Repository& history,
                           const std::string& version);

}  // namespace backfire::commands
