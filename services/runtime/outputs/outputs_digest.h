#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "services/base/digest.h"
#include "services/runtime/dataset.h"
#include "services/runtime/tensor.h"

namespace backfire::runtime {

/// Computes the digest that v1.OutputsCommitment.outputs_digest states, example by example, in the
/// split's order: SHA-256 over fields, each as `{length}:{bytes}`. First `backfire outputs 1`;
/// then, of each example, its id, its cluster, the number of its outputs, and of each output,
/// sorted by name: its name, its datatype (as in the Open Inference Protocol), its shape (sizes
/// joined by commas) and its bytes. Numbers are decimal. Fixed by docs/own-models.md. One thread.
class OutputsHasher {
 public:
  OutputsHasher();
  void Add(std::string_view example_id, std::string_view cluster, const TensorMap& outputs);
  /// @return 64 hexadecimal digits. Ends it.
  std::string Finish() { return digest_.Finish(); }

 private:
  Sha256 digest_;
};

/// The same of outputs that are kept. Errors of reading as they are.
absl::StatusOr<std::string> OutputsDigest(const Dataset& dataset, Split split,
                                          const Examples& outputs);

}  // namespace backfire::runtime
