#pragma once

#include "absl/status/status.h"
#include "backfire/v1/orchestrator.pb.h"

namespace backfire::records {

// The one table of what may follow what. Everything that the ledger writes is held against it: a
// transition that is not in it is a fault of ours, and is not written. From UNSPECIFIED: how things
// begin. Staying as it is is always legal.

bool IsLegal(v1::Update::State from, v1::Update::State to);
bool IsLegal(v1::Step::State from, v1::Step::State to);
bool IsLegal(v1::Release::State from, v1::Release::State to);

/// INTERNAL: not legal; `what` says whose transition it is.
template <typename State>
absl::Status CheckTransition(const std::string& what, State from, State to);

extern template absl::Status CheckTransition(const std::string&, v1::Update::State,
                                             v1::Update::State);
extern template absl::Status CheckTransition(const std::string&, v1::Step::State, v1::Step::State);
extern template absl::Status CheckTransition(const std::string&, v1::Release::State,
                                             v1::Release::State);

}  // namespace backfire::records
