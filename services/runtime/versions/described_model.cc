#include "services/runtime/versions/described_model.h"

#include <utility>

#include "services/base/digest.h"
#include "services/base/status.h"

namespace backfire::runtime {

DescribedModel::DescribedModel(std::unique_ptr<Model> described,
                               const std::string& build_fingerprint, DatasetRoots roots)
    : model(std::move(described)),
      description(model->description()),
      dataset_roots(std::move(roots)) {
  for (const v1::Capability capability :
       {v1::WATCH_JOB, v1::CANCEL_JOB, v1::LIST_VERSIONS, v1::DELETE_VERSION, v1::LOAD_VERSION,
        v1::INFER, v1::IMPORT_VERSION, v1::EXPORT_VERSION, v1::RESOLVE_RECIPE,
        v1::COMMIT_OUTPUTS}) {
    description.add_capabilities(capability);
  }
  description.set_build_fingerprint(
      Sha256().UpdateField(build_fingerprint).UpdateField(model->NumericFingerprint()).Finish());
}

absl::StatusOr<std::shared_ptr<const Dataset>> DescribedModel::OpenDataset(
    const v1::Dataset& named, std::function<bool()> cancelled) const {
  const DatasetAccess access{dataset_roots, std::move(cancelled)};
  BACKFIRE_RETURN_IF_ERROR(access.CheckWanted());
  return model->OpenDataset(named.uri(), access);
}

}  // namespace backfire::runtime
