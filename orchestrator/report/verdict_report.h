#pragma once

#include <string>

#include "backfire/v1/orchestrator.pb.h"

namespace backfire::report {

/// The outcome in one line: `SELF_DEFEATING: ...`; of a first look, that it can't decide.
std::string VerdictHeadline(const v1::Verdict& verdict);

/// A row per vertex and loss: before, swapped without retraining, after, their difference with its
/// interval, which way the numbers went, and what the evidence says of it.
std::string VerdictTable(const v1::Verdict& verdict);

/// All of a verdict for a person: headline, table, summary, Definition 2.1 and what was looked at.
std::string VerdictText(const v1::Verdict& verdict);

}  // namespace backfire::report
