#pragma once

#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "backfire/v1/model_service.pb.h"
#include "services/runtime/checked_tensor.h"
#include "services/runtime/outputs/example_file.h"
#include "services/runtime/outputs/outputs_digest.h"

namespace backfire::runtime {

/// Puts the pieces of a Materialize stream together, one example after another, as another
/// service sends them. One thread.
class ExampleAssembler {
 public:
  /// @param next_example  That the stream has to begin with.
  /// @param writer, hasher  Get every whole example; both are borrowed.
  /// @param max_bytes  Of an example, which is held in memory until it is whole.
  ExampleAssembler(int64_t next_example, ExampleFileWriter& writer, OutputsHasher& hasher,
                   int64_t max_bytes = kMaxTensorBytes)
      : max_bytes_(max_bytes), next_example_(next_example), writer_(writer), hasher_(hasher) {}

  /// Takes the next piece, whose data it may move out. INTERNAL: it is not the next one of an
  /// example whose outputs are tensors, each whole, each once, with as many bytes as its shape
  /// says, and together no more than `max_bytes`. The writer's errors.
  absl::Status Add(v1::MaterializeResponse& piece);
  /// Ends the last example, once the stream has ended. INTERNAL: it is not whole.
  absl::Status Finish();

  /// The first one that has not been written.
  int64_t next_example() const { return next_example_; }

 private:
  absl::Status AddPiece(v1::MaterializeResponse& piece);

  const int64_t max_bytes_;
  int64_t next_example_;
  ExampleFileWriter& writer_;
  OutputsHasher& hasher_;
  std::string example_id_, cluster_;
  bool started_ = false;
  std::string name_;  // Of the output that has pieces to come; empty: none has.
  TensorHeader header_;
  std::string data_;
  TensorMap tensors_;
  int64_t bytes_ = 0;  // That the example's outputs have together, once they are whole.
};

}  // namespace backfire::runtime
