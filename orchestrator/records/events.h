#pragma once

#include <vector>

#include "backfire/v1/orchestrator.pb.h"
#include "orchestrator/records/change.h"
#include "orchestrator/records/state.h"

namespace backfire::records {

/// What a change says has happened, for those who ask afterwards, without times: in one place for
/// everything that is ever written, so that nothing happens untold, whoever decides it.
/// @param before  What the change was decided on.
/// @param change  That Check allows.
std::vector<v1::Event> EventsOf(const State& before, const Change& change);

}  // namespace backfire::records
