#pragma once

#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "orchestrator/records/state.h"
#include "orchestrator/store/repository.h"

namespace backfire::commands {

using UpdatePointer = std::shared_ptr<const records::OpenUpdate>;

/// An update by its name, whether it has work left or is history. NOT_FOUND: there is none.
/// INVALID_ARGUMENT: malformed.
absl::StatusOr<UpdatePointer> FindUpdate(const records::State& state,
                                         const store::Repository& history, const std::string& name);

/// NOT_FOUND: no revision of the system has or had this vertex; names those that the current one
/// has. OK for an empty name, which stands for any.
absl::Status CheckVertex(const records::State& state, const std::string& vertex);

/// The updates of a revision of the system that are DECIDED, by number.
absl::StatusOr<std::vector<UpdatePointer>> DecidedUpdates(const records::State& state,
                                                          const store::Repository& history,
                                                          int64_t revision);

/// A release by its name, whether it can change or is history. NOT_FOUND, INVALID_ARGUMENT: as
/// above.
absl::StatusOr<records::ReleaseRecord> FindRelease(const records::State& state,
                                                   const store::Repository& history,
                                                   const std::string& name);

}  // namespace backfire::commands
