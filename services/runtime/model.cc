#include "services/runtime/model.h"

#include "absl/strings/str_cat.h"
#include "services/base/status.h"

namespace backfire::runtime {

int64_t Predictor::PeakBytes(const TensorMap& inputs) const {
  int64_t bytes = 0;
  for (const auto& [name, tensor] : inputs) bytes += static_cast<int64_t>(tensor.data.size());
  return 4 * bytes;
}

absl::StatusOr<std::vector<TensorMap>> Predictor::PredictBatch(
    const std::vector<const TensorMap*>& inputs, const std::function<bool()>& cancelled) const {
  std::vector<TensorMap> outputs;
  for (const TensorMap* input : inputs) {
    BACKFIRE_ASSIGN_OR_RETURN(outputs.emplace_back(), Predict(*input, cancelled));
  }
  return outputs;
}

absl::StatusOr<std::string> Model::ImportWeights(const v1::Recipe& recipe,
                                                 const std::string& file) const {
  const absl::Status status = Load(recipe, file).status();
  // A stored file that doesn't load is damaged; one that a person brings is just not one.
  if (absl::IsDataLoss(status)) return absl::InvalidArgumentError(status.message());
  BACKFIRE_RETURN_IF_ERROR(status);
  return file;
}

absl::StatusOr<std::string> Model::ExportWeights(const v1::Recipe&,
                                                 const std::string& weights) const {
  return weights;
}

absl::StatusOr<std::string> Model::PretrainedFile(std::string_view name) const {
  return absl::NotFoundError(absl::StrCat("there are no pretrained weights \"", std::string(name),
                                          "\": this model comes with none"));
}

bool Model::DependsOnSeed(const v1::Recipe&) const { return true; }

absl::StatusOr<TensorMap> Model::PredictFromDataset(const v1::Recipe& recipe, const std::string&,
                                                    const Dataset&, Split, int64_t) const {
  return absl::UnimplementedError(
      absl::StrCat("recipe \"", recipe.name(), "\" predicts from its inputs alone"));
}

}  // namespace backfire::runtime
