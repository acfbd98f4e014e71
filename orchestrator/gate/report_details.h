#pragma once

#include "backfire/v1/evidence.pb.h"
#include "backfire/v1/gate.pb.h"
#include "orchestrator/gate/evidence_builder.h"
#include "orchestrator/gate/policy.h"
#include "orchestrator/verdict/verdict.h"

namespace backfire::gate {

/// Adds to a report's results the losses by seed that they were made of.
void AddSeedLosses(const verdict::Evidence& evidence, v1::GateReport& report);

/// Adds to the results of losses per example, on all examples, how many grew and fell; and to those
/// that stand worst the examples that grew most. Of ratios the numerator is looked at.
void AddExamples(const Scope& scope, const Sides& sides, v1::GateReport& report);

/// Adds the policy's graph, parents first.
void AddGraph(const v1::GatePolicy& policy, v1::GateReport& report);

/// Adds what an update's evidence says of it, with its system's graph.
void AddContext(const v1::EvidenceHeader& header, v1::GateReport& report);

/// Adds what a gate on this evidence can show (self_test.h), by few simulated updates, so that it
/// takes no longer than the verdict; nothing of a single replicate.
void AddSelfTest(const verdict::Evidence& evidence, int threads, v1::GateReport& report);

}  // namespace backfire::gate
