#pragma once

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "backfire/v1/gate.pb.h"

namespace backfire::gate {

/// What a policy must say.
enum class PolicyUse {
  kRecords,   ///< It is all that is known of the system: vertices and losses.
  kEvidence,  ///< Evidence names its losses itself: vertices may be left out.
};

/// Reads a policy from YAML text, checks it whole, and sets what was left out to its default.
/// @param name    Of the text, for messages.
/// @param folder  In which a relative `system` is looked for.
/// INVALID_ARGUMENT: every fault, one a line, as `name:line: field: fault`. NOT_FOUND: there is no
/// such system file.
absl::StatusOr<v1::GatePolicy> ParsePolicy(const std::string& text, const std::string& name,
                                           const std::string& folder, PolicyUse use);

/// The part of a policy that one change concerns.
struct Scope {
  std::string candidate;
  /// The candidate, then its descendants in the policy's order. Borrowed from the policy.
  std::vector<const v1::GateVertex*> vertices;
  std::vector<std::string> unaffected;  ///< The others, in the policy's order.
};

/// @param policy     As ParsePolicy returns it; outlives the scope.
/// @param candidate  Overrides the policy's; empty: its own.
/// INVALID_ARGUMENT: neither names a candidate; NOT_FOUND: there is no such vertex.
absl::StatusOr<Scope> ScopeOf(const v1::GatePolicy& policy, const std::string& candidate);

/// Whether a loss can refuse a change.
bool IsBlocking(const v1::GateLoss& loss);

/// Whether `text` is a day as `2026-12-31`; such days compare as texts do.
bool IsDay(const std::string& text);

}  // namespace backfire::gate
