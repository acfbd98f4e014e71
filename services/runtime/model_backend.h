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
  /// A service is ready as soon as it listens: what it serves was loaded before.
  bool Ready() const override { return true; }
  absl::StatusOr<std::shared_ptr<const InferenceTarget>> Find(
      const std::string& model, std::optional<int64_t> version) const override;
  absl::StatusOr<std::vector<int64_t>> Versions(const std::string& model) const override;

 private:
  const HostedModels& models_;
};

}  // namespace backfire::runtime
