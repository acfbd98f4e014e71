#pragma once

#include <functional>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "backfire/v1/model_service.pb.h"
#include "services/runtime/dataset_roots.h"
#include "services/runtime/model.h"

namespace backfire::runtime {

/// A model, and how its service describes it.
struct DescribedModel {
  /// Describes a model as it does itself, with the capabilities that every service on this runtime
  /// has, and the fingerprint of the build with the model's own.
  /// @param dataset_roots  Where datasets may be that requests name.
  DescribedModel(std::unique_ptr<Model> described, const std::string& build_fingerprint,
                 DatasetRoots dataset_roots);

  /// Opens the dataset that a request names: the one way in. Errors as Model::OpenDataset.
  /// @param cancelled  Whether nobody waits for it any more.
  absl::StatusOr<std::shared_ptr<const Dataset>> OpenDataset(const v1::Dataset& named,
                                                             std::function<bool()> cancelled) const;

  std::unique_ptr<const Model> model;
  v1::Model description;
  DatasetRoots dataset_roots;
};

}  // namespace backfire::runtime
