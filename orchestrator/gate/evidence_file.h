#pragma once

#include <string>

#include "absl/status/statusor.h"
#include "backfire/v1/evidence.pb.h"
#include "backfire/v1/gate.pb.h"
#include "orchestrator/verdict/verdict.h"

namespace backfire::gate {

/// An update's evidence, as `backfire update export` wrote it.
struct EvidenceFile {
  v1::EvidenceHeader header;
  verdict::Evidence evidence;
  std::string digest;  ///< SHA-256 of its lines.
};

/// NOT_FOUND: there is no such file. INVALID_ARGUMENT: it is no evidence, or not all of it, as
/// `path:line: fault`.
absl::StatusOr<EvidenceFile> ReadEvidenceFile(const std::string& path);

/// Checks that a policy wants what the evidence has: its alpha, looks, losses, their margins and
/// roles, as far as the policy says. INVALID_ARGUMENT: faults, one a line.
absl::Status CheckAgreement(const v1::GatePolicy& policy, const v1::EvidenceHeader& header);

}  // namespace backfire::gate
