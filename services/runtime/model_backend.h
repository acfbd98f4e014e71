#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "services/runtime/hosted_model.h"
#include "services/runtime/inference_service.h"

namespace backfire::runtime {

/// Serves the loaded versions of models, which are borrowed, by the Open Inference Protocol.
class ModelBackend final : public InferenceBackend {
 public:
  explicit ModelBackend(const HostedModels& models) : models_(models) {}
  /// UNAVAILABLE: no model has a version loaded.
  absl::Status Ready() const override;
  absl::StatusOr<std::shared_ptr<const InferenceTarget>> Find(
      const std::string& model, std::optional<int64_t> version) const override;
  std::vector<std::string> Models() const override;
  absl::StatusOr<std::vector<int64_t>> Versions(const std::string& model) const override;

 private:
  const HostedModels& models_;
};

}  // namespace backfire::runtime
