#pragma once

#include <functional>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "backfire/v1/model_service.pb.h"

namespace backfire::conformance {

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
  /// Parameters that are to change nothing but time: `threads`.
  std::set<std::string> inert;
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
