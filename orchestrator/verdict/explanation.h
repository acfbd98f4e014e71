#pragma once

#include <string>
#include <vector>

#include "backfire/v1/orchestrator.pb.h"
#include "orchestrator/verdict/statistics.h"
#include "orchestrator/verdict/verdict.h"

namespace backfire::verdict {

/// What a reader of a loss's numbers must know: nothing unusual passes in silence.
std::vector<std::string> Notes(const LossEvidence& loss, const Difference& difference);

/// What was found, and what would decide, in sentences for a person.
/// @param verdict      With outcome and counts set.
/// @param candidate    The candidate's judged losses.
/// @param descendants  The descendants' judged losses.
std::string Summarise(const v1::Verdict& verdict,
                      const std::vector<const v1::LossComparison*>& candidate,
                      const std::vector<const v1::LossComparison*>& descendants);

/// Where the losses come from, as far as a reader must know: which services are taken at their
/// word, and whose outputs were other ones before and after. Empty: nothing.
std::string ExplainProvenance(const Evidence& evidence);

}  // namespace backfire::verdict
