#pragma once

#include <map>
#include <string>

#include "absl/status/statusor.h"
#include "orchestrator/records/state.h"
#include "orchestrator/store/repository.h"

namespace backfire::api {

/// An update as it is shown, with its steps. NOT_FOUND: there is none. INVALID_ARGUMENT: malformed.
/// @param progress  What its running steps said last, by position.
absl::StatusOr<v1::Update> ShowUpdate(const records::State& state, const store::Repository& history,
                                      const std::string& name,
                                      const std::map<size_t, v1::Progress>& progress);

/// Which update this one waits for, as it is shown; empty: none.
std::string WaitsFor(const records::State& state, const std::string& name);

/// What a gateway must know: releases that can be served, and their system.
v1::ReleaseSnapshot ShowReleases(const records::State& state);
/// What an observer hears of: all releases, with their history.
absl::StatusOr<v1::ReleaseSnapshot> ShowAllReleases(const records::State& state,
                                                    const store::Repository& history);

}  // namespace backfire::api
