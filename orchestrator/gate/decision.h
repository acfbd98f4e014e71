#pragma once

#include <string>

#include "backfire/v1/gate.pb.h"
#include "orchestrator/cli/exit_code.h"

namespace backfire::gate {

/// What a gate makes of a verdict: a pure function of it, of the policy and of the day.
/// @param policy  Its waivers, fail_on and directions are read; fail_on is not empty.
/// @param today   `2026-12-31`, by which waivers hold or have expired.
/// @return        With outcome, exit code, reason, verdict, results, waivers and `today`.
v1::GateReport Judge(const v1::Verdict& verdict, const v1::GatePolicy& policy,
                     const std::string& today);

/// Sets outcome, exit code and reason of a report that gives no verdict for a known cause.
void SetUndecided(const std::string& reason, v1::GateReport& report);

/// The day in UTC of seconds since 1970, as `2026-12-31`.
std::string DayOf(int64_t unix_seconds);

}  // namespace backfire::gate
