#pragma once

#include <memory>
#include <string>

#include "backfire/v1/model_service.pb.h"
#include "services/runtime/model.h"

namespace backfire::runtime {

/// A model, and how its service describes it.
struct DescribedModel {
  /// Describes a model as it does itself, with the capabilities that every service on this runtime
  /// has, and the fingerprint of the build with the model's own.
  DescribedModel(std::unique_ptr<Model> described, const std::string& build_fingerprint);

  std::unique_ptr<const Model> model;
  v1::Model description;
};

}  // namespace backfire::runtime
