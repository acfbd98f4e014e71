#include "services/runtime/model_backend.h"

#include <chrono>
#include <utility>

#include "services/base/status.h"

namespace backfire::runtime {
namespace {

class LoadedVersionTarget final : public InferenceTarget {
 public:
  LoadedVersionTarget(const v1::Model& model, ServedVersions::Loaded loaded)
      : model_(model), loaded_(std::move(loaded)) {}
  int64_t version() const override { return loaded_.number; }
  const TensorSignatures& inputs() const override { return model_.inputs(); }
  const TensorSignatures& outputs() const override { return model_.outputs(); }
  int64_t PeakBytes(const TensorMap& inputs) const override {
    return loaded_.predictor->PeakBytes(inputs);
  }
  absl::StatusOr<TensorMap> Infer(TensorMap inputs, const std::vector<std::string>&,
                                  InferenceCall& call) const override {
    call.response_parameters[kVersionDigest].set_string_param(loaded_.digest);
    return loaded_.predictor->Predict(inputs, [&call] {
      return call.cancelled() || std::chrono::steady_clock::now() >= call.deadline;
    });
  }

 private:
  const v1::Model& model_;
  const ServedVersions::Loaded loaded_;
};

}  // namespace

absl::Status ModelBackend::Ready() const {
  for (const auto& [name, model] : models_) {
    if (!model->served().LoadedNumbers().empty()) return absl::OkStatus();
  }
  return absl::UnavailableError("no version of any model is loaded");
}

absl::StatusOr<std::shared_ptr<const InferenceTarget>> ModelBackend::Find(
    const std::string& model, std::optional<int64_t> version) const {
  BACKFIRE_ASSIGN_OR_RETURN(const HostedModel* hosted, FindModel(models_, model));
  BACKFIRE_ASSIGN_OR_RETURN(ServedVersions::Loaded loaded, hosted->served().Find(version));
  return std::make_shared<const LoadedVersionTarget>(hosted->description(), std::move(loaded));
}

std::vector<std::string> ModelBackend::Models() const {
  std::vector<std::string> names;
  for (const auto& [name, model] : models_) names.push_back(name);
  return names;
}

absl::StatusOr<std::vector<int64_t>> ModelBackend::Versions(const std::string& model) const {
  BACKFIRE_ASSIGN_OR_RETURN(const HostedModel* hosted, FindModel(models_, model));
  return hosted->served().LoadedNumbers();
}

}  // namespace backfire::runtime
