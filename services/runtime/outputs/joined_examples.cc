#include "services/runtime/outputs/joined_examples.h"

#include "absl/strings/str_cat.h"
#include "services/base/status.h"
#include "services/runtime/checked_tensor.h"

namespace backfire::runtime {

absl::StatusOr<TensorMap> JoinedExamples::Get(int64_t example) const {
  TensorMap joined;
  if (!dataset_inputs_.empty()) {
    BACKFIRE_ASSIGN_OR_RETURN(joined, dataset_->RequestInputs(split_, example, dataset_inputs_));
  }
  // Inputs fed by one parent share its outputs, which are read once.
  std::map<const Examples*, TensorMap> read;
  for (const ParentInput& parent : parent_inputs_) {
    auto found = read.find(parent.outputs.get());
    if (found == read.end()) {
      BACKFIRE_ASSIGN_OR_RETURN(TensorMap outputs, parent.outputs->Get(example));
      found = read.emplace(parent.outputs.get(), std::move(outputs)).first;
    }
    const auto output = found->second.find(parent.output);
    if (output == found->second.end()) {
      return absl::FailedPreconditionError(absl::StrCat(
          "input \"", parent.input, "\": the parent has no output \"", parent.output, "\""));
    }
    joined[parent.input] = output->second;
  }
  return joined;
}

absl::StatusOr<TensorMap> CheckedExamples::Get(int64_t example) const {
  BACKFIRE_ASSIGN_OR_RETURN(TensorMap inputs, examples_->Get(example));
  for (const v1::TensorSignature& signature : signatures_) {
    const auto input = inputs.find(signature.name());
    if (input == inputs.end()) continue;
    const absl::Status fits =
        CheckSignature(signature, DatatypeName(input->second.datatype), input->second.shape);
    if (!fits.ok()) {
      return absl::FailedPreconditionError(absl::StrCat(
          "input \"", signature.name(), "\" of example ", example, ": ", fits.message()));
    }
  }
  return inputs;
}

absl::StatusOr<TensorMap> LazyExamples::Get(int64_t example) const {
  std::shared_ptr<const Examples> made;
  {
    MutexLock lock(mutex_);
    if (made_ == nullptr) {
      BACKFIRE_ASSIGN_OR_RETURN(made_, make_());
    }
    made = made_;
  }
  return made->Get(example);
}

}  // namespace backfire::runtime
