#include "services/runtime/outputs/outputs_digest.h"

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "services/base/status.h"

namespace backfire::runtime {

OutputsHasher::OutputsHasher() { digest_.UpdateField("backfire outputs 1"); }

void OutputsHasher::Add(std::string_view example_id, std::string_view cluster,
                        const TensorMap& outputs) {
  digest_.UpdateField(example_id).UpdateField(cluster).UpdateField(absl::StrCat(outputs.size()));
  for (const auto& [name, tensor] : outputs) {
    digest_.UpdateField(name)
        .UpdateField(DatatypeName(tensor.datatype))
        .UpdateField(absl::StrJoin(tensor.shape, ","))
        .UpdateField(tensor.data);
  }
}

absl::StatusOr<std::string> OutputsDigest(const Dataset& dataset, Split split,
                                          const Examples& outputs) {
  OutputsHasher hasher;
  for (int64_t example = 0; example < outputs.size(); ++example) {
    BACKFIRE_ASSIGN_OR_RETURN(const TensorMap tensors, outputs.Get(example));
    hasher.Add(dataset.ExampleId(split, example), dataset.Cluster(split, example), tensors);
  }
  return hasher.Finish();
}

}  // namespace backfire::runtime
