#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "backfire/v1/model_service.pb.h"
#include "services/base/mutex.h"
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

/// Inputs that others gave, held against what a model says it reads: a model relies on ranks and
/// types without looking. Thread-safe.
class CheckedExamples : public Examples {
 public:
  /// @param signatures  Of the model's inputs; examples have some of them.
  CheckedExamples(const google::protobuf::RepeatedPtrField<v1::TensorSignature>& signatures,
                  std::shared_ptr<const Examples> examples)
      : signatures_(signatures), examples_(std::move(examples)) {}

  int64_t size() const override { return examples_->size(); }
  /// FAILED_PRECONDITION: an input has another type, rank or extent than the model's.
  absl::StatusOr<TensorMap> Get(int64_t example) const override;

 private:
  const google::protobuf::RepeatedPtrField<v1::TensorSignature> signatures_;
  const std::shared_ptr<const Examples> examples_;
};

/// Examples that are made when the first of them is asked for: pulling a split from the parents'
/// services is dear, and not every training looks at all that it may. Thread-safe.
class LazyExamples : public Examples {
 public:
  using Make = std::function<absl::StatusOr<std::shared_ptr<const Examples>>()>;
  LazyExamples(int64_t size, Make make) : size_(size), make_(std::move(make)) {}

  int64_t size() const override { return size_; }
  absl::StatusOr<TensorMap> Get(int64_t example) const override;

 private:
  const int64_t size_;
  const Make make_;
  mutable Mutex mutex_;
  mutable std::shared_ptr<const Examples> made_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace backfire::runtime
