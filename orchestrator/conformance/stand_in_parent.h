#pragma once

#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "backfire/v1/model_service.pb.h"

namespace backfire::conformance {

/// A parent of whatever model: it serves made-up numbers for each input that it is to feed, the
/// same ones always. Listens on a unix socket of its own while it lives. Thread-safe.
class StandInParent {
 public:
  /// @param fed  Inputs; sizes of -1 become 2. INVALID_ARGUMENT: a datatype that it can't make up.
  static absl::StatusOr<std::unique_ptr<StandInParent>> Start(
      const std::vector<v1::TensorSignature>& fed);
  ~StandInParent();

  /// A lineage that feeds the inputs.
  std::vector<v1::Parent> lineage() const;
  /// Where it is reached.
  v1::Endpoints endpoints() const;
  /// Examples of a split: 40 to train on, 10 to validate, 20 to test.
  static int ExampleCount(const std::string& split);

 private:
  struct Server;
  explicit StandInParent(std::unique_ptr<Server> server);
  const std::unique_ptr<Server> server_;
};

}  // namespace backfire::conformance
