#pragma once

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "backfire/v1/gate.pb.h"

namespace backfire::gate {

/// What a gate is asked.
struct GateRequest {
  std::string policy;     ///< Path of the policy file; may be empty with `evidence`.
  std::string evidence;   ///< An update's evidence, instead of records.
  std::string before;     ///< Records of what is in use: a file or a folder.
  std::string baseline;   ///< Instead of `before`: a file of records that is kept in git.
  std::string after;      ///< Of the change.
  std::string swapped;    ///< Of the change without retraining what is behind it; empty: none.
  std::string candidate;  ///< Overrides the policy's; empty: its own.
  std::string
      changed_since;  ///< Revision of git's by which the candidate is found; empty: it isn't.
  std::vector<std::string> fail_on;  ///< Overrides the policy's; empty: its own.
  int candidates_judged = 1;  ///< Changes that these examples have judged, this one included.
  std::string today;          ///< `2026-12-31`: by which waivers have expired.
  int threads = 1;            ///< That read and compute; the report does not depend on them.
};

/// What a gate answers, and who is to be told.
struct Answer {
  v1::GateReport report;
  v1::GateWebhook on_verdict;  ///< Of the policy; without a url: nobody.
};

/// Reads policy and records, decides, and reports: a pure function of these files' content and the
/// day. INVALID_ARGUMENT, NOT_FOUND: faults of the files, one a line, with file and line.
absl::StatusOr<Answer> RunGate(const GateRequest& request);

/// Simulates updates from the noise of the records of `before`, or of `baseline`: whether a gate on
/// them can decide, and how often it would be wrong. Errors as RunGate; INVALID_ARGUMENT: fewer
/// than two seeds.
absl::StatusOr<v1::GateSelfTest> RunSelfTest(const GateRequest& request);

}  // namespace backfire::gate
