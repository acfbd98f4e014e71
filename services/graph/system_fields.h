#pragma once

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "backfire/v1/system.pb.h"
#include "services/base/printable.h"

namespace backfire::graph {

/// Collects faults, so that a user mends a file in one go.
class Faults {
 public:
  template <typename... Parts>
  void Add(const Parts&... parts) {
    lines_.push_back(Printable(absl::StrCat(parts...)));  // A fault is a line, whatever it quotes.
  }
  /// INVALID_ARGUMENT: the faults, a line each.
  absl::Status status() const;

 private:
  std::vector<std::string> lines_;
};

/// The least alpha that a test is made for: quantiles so far out that a family of thousands of
/// losses leaves less of it to each than doubles can tell from 0 are no numbers.
inline constexpr double kLeastAlpha = 1e-6;

/// What a vertex's inputs call the request.
inline constexpr char kRequest[] = "request";

/// OK if gRPC can be told to connect to it: `HOST:PORT`, `dns:NAME:PORT`, `unix:PATH`. gRPC itself
/// takes a name without a port for port 443. INVALID_ARGUMENT: something else.
absl::Status CheckTarget(const std::string& target);

/// Checks that requests can carry a tensor: a datatype that there is, extents that are sizes or -1,
/// and not too many of them. A foreign service may have another idea of tensors.
void CheckSignature(const v1::TensorSignature& tensor, const std::string& path, Faults& faults);

/// Checks a retention: limits in range, and at least one.
void CheckRetention(const v1::Retention& retention, Faults& faults);

/// Checks the fields of a system that say something by themselves: numbers in their ranges, names,
/// targets, recipes that are named. What fits what is SystemGraph's business.
void CheckFields(const v1::System& system, Faults& faults);

}  // namespace backfire::graph
