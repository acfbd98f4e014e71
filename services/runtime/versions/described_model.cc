#include "services/runtime/versions/described_model.h"

#include <utility>

#include "services/base/digest.h"

namespace backfire::runtime {

DescribedModel::DescribedModel(std::unique_ptr<Model> described,
                               const std::string& build_fingerprint)
    : model(std::move(described)), description(model->description()) {
  for (const v1::Capability capability :
       {v1::WATCH_JOB, v1::CANCEL_JOB, v1::LIST_VERSIONS, v1::DELETE_VERSION, v1::LOAD_VERSION,
        v1::INFER, v1::IMPORT_VERSION, v1::EXPORT_VERSION, v1::RESOLVE_RECIPE,
        v1::COMMIT_OUTPUTS}) {
    description.add_capabilities(capability);
  }
  description.set_build_fingerprint(
      Sha256().UpdateField(build_fingerprint).UpdateField(model->NumericFingerprint()).Finish());
}

}  // namespace backfire::runtime
