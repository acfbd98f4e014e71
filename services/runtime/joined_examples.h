#pragma once

#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "services/runtime/dataset.h"

namespace backfire::runtime {

/// A model's inputs for each example of a split: some from the dataset, as a client would send
/// them, the others from the outputs of its parents. Thread-safe.
class JoinedExamples : public Examples {
 public:
  /// One input that a parent feeds.
  struct ParentInput {
    std::string input;                        ///< Name of the model's input.
    std::string output;                       ///< Name of the parent's output.
    std::shared_ptr<const Examples> outputs;  ///< Of the parent, for the same split.
  };

  JoinedExamples(std::shared_ptr<const Dataset> dataset, Split split,
                 std::vector<std::string> dataset_inputs, std::vector<ParentInput> parent_inputs)
      : dataset_(std::move(dataset)),
        split_(split),
        dataset_inputs_(std::move(dataset_inputs)),
        parent_inputs_(std::move(parent_inputs)) {}

  int64_t size() const override { return dataset_->size(split_); }
  /// FAILED_PRECONDITION: a parent has no output of the name that the lineage says.
  absl::StatusOr<TensorMap> Get(int64_t example) const override;

 private:
  const std::shared_ptr<const Dataset> dataset_;
  const Split split_;
  const std::vector<std::string> dataset_inputs_;
  const std::vector<ParentInput> parent_inputs_;
};

}  // namespace backfire::runtime
