#pragma once

#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "orchestrator/records/open_update.h"
#include "orchestrator/records/records.h"
#include "orchestrator/records/state.h"

namespace backfire::planning {

/// An update with work left, with which of its steps need which. Takes time in proportion to its
/// steps: done once, when the update begins, goes on, or is read at the start.
/// @param base  What it is compared with; null: it is a baseline.
std::shared_ptr<const records::OpenUpdate> OpenUpdate(
    records::UpdateRecord record, const graph::SystemGraph& graph,
    std::shared_ptr<const records::Standing> base);

/// The version of a vertex in replicate k as of an update: what it trained, else its base's.
/// INTERNAL: there is none, although the update's steps should have made one.
absl::StatusOr<v1::Version> VersionAsOf(const records::OpenUpdate& update,
                                        const std::string& vertex, int replicate);
absl::StatusOr<v1::Version> VersionAsOf(const records::Standing& standing,
                                        const std::string& vertex, int replicate);

/// What feeds a vertex in replicate k, as of an update. Errors as VersionAsOf.
absl::StatusOr<std::vector<v1::Parent>> LineageAsOf(const records::OpenUpdate& update,
                                                    const graph::SystemGraph& graph,
                                                    const std::string& vertex, int replicate);
absl::StatusOr<std::vector<v1::Parent>> LineageAsOf(const records::Standing& standing,
                                                    const graph::SystemGraph& graph,
                                                    const std::string& vertex, int replicate);

}  // namespace backfire::planning
