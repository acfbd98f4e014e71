#pragma once

#include <functional>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "backfire/v1/model_service.pb.h"

namespace backfire::conformance {

/// Numbers from `low` to `high`, both of them included; whole ones where a datatype is.
struct Range {
  double low = 0, high = 0;
};

/// What to try, and with what.
struct Options {
  std::string endpoint;             ///< gRPC target of the service.
  std::string model;                ///< `models/{model}`; empty: the only one.
  v1::Recipe recipe;                ///< To train by; without a name: the model's first.
  std::string dataset = "made-up";  ///< URI, for a model that reads one.
  std::vector<std::string> fed;     ///< Inputs that made-up parents feed.
  bool feed_all = false;            ///< All of them.
  /// Examples by split that made-up parents have, where they must be as many as the dataset's; of
  /// other splits it is found out from what the service says.
  std::map<std::string, int64_t> examples;
  std::map<std::string, std::vector<int64_t>> shapes;  ///< Of inputs whose sizes of -1 aren't 2.
  std::map<std::string, Range> ranges;  ///< Of the numbers that made-up parents give, by input.
  /// What the user says of a model, and what is then held against it. Parameters that change
  /// nothing that a version gives: `threads`; label noise, where nothing reads a label.
  std::set<std::string> inert;
  bool learns_without_parents =
      false;  ///< It learns nothing from its parents: a rule; from a dataset alone.
  bool ignores_parents = false;  ///< Nor do its outputs and losses depend on them.
  bool unrepeatable = false;     ///< A training gives other bits each time, as on some GPUs.
  bool fail_fast = false;  ///< Whether to try nothing more once a part of the contract is broken.
  std::string run;         ///< Makes request_ids new: a service remembers old ones.
};

/// What became of one thing that the contract says.
struct Finding {
  enum class Outcome { kHolds, kBroken, kNotTried };
  std::string what;  ///< A sentence of the contract: `an unknown recipe is INVALID_ARGUMENT`.
  Outcome outcome = Outcome::kHolds;
  std::string detail;  ///< What came instead; why it was not tried.
};

/// Tries a service; `on_finding` is called as things are found. Makes a few dozen small versions,
/// and evaluates them. Returns all findings. UNAVAILABLE: it does not answer within five seconds.
/// INVALID_ARGUMENT: options that do not fit the model, with what would.
absl::StatusOr<std::vector<Finding>> TryService(
    const Options& options, const std::function<void(const Finding&)>& on_finding);

}  // namespace backfire::conformance
