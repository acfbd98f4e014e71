#include "services/runtime/outputs/input_gatherer.h"

#include <algorithm>
#include <map>
#include <random>
#include <utility>

#include "absl/strings/str_cat.h"
#include "services/base/digest.h"
#include "services/base/status.h"
#include "services/runtime/outputs/job_report.h"
#include "services/runtime/outputs/joined_examples.h"
#include "services/runtime/outputs/outputs_digest.h"
#include "services/runtime/outputs/parent_outputs.h"
#include "services/runtime/version_name.h"

namespace backfire::runtime {
namespace {

// Names a copy that nobody finds again.
std::string UniqueKey() {
  std::random_device random;
  return Sha256Hex(absl::StrCat("anew ", random(), " ", random(), " ", random(), " ", random()));
}

absl::Status Mismatch(const v1::Parent& parent, const std::string& endpoint, Split split,
                      const std::string& committed, const std::string& arrived) {
  return absl::DataLossError(absl::StrCat(
      parent.version(), " gives other outputs on split ", std::string(SplitName(split)), " at ",
      endpoint, " (digest ", arrived, ") than its service committed to (", committed,
      "): another process answers there, a disk is damaged, or they were computed again on another "
      "machine, to other last bits; then retry the update: the service commits anew, and what "
      "depends on it is evaluated again"));
}

}  // namespace

absl::StatusOr<std::shared_ptr<const Examples>> InputGatherer::Pull(
    const v1::Parent& parent, const Feed& feed, const Dataset& dataset, Split split,
    JobContext& job, OutputTally& tally, std::vector<v1::OutputsCommitment>* observed) const {
  const auto cancelled = [&job] { return job.cancelled(); };
  const int64_t count = dataset.size(split);
  v1::MaterializeRequest request;
  request.set_version(parent.version());
  request.set_digest(parent.digest());
  request.mutable_dataset()->set_uri(dataset.uri());
  request.set_split(std::string(SplitName(split)));
  *request.mutable_endpoints() = feed.endpoints;
  for (v1::OutputsCommitment& commitment : feed.commitments.OnSplit(split)) {
    *request.add_commitments() = std::move(commitment);
  }
  const v1::OutputsCommitment* committed = feed.commitments.Find(parent.digest(), split);
  const bool anew = committed == nullptr && feed.commitments.Names(parent.digest());
  if (committed != nullptr && committed->dataset_digest() != dataset.digest()) {
    return absl::FailedPreconditionError(absl::StrCat(
        "services read different datasets: ", parent.version(), " committed to outputs on digest ",
        committed->dataset_digest(), ", and ", dataset.uri(), " has ", dataset.digest(),
        " here; give all services the same data"));
  }
  const std::string stage = absl::StrCat("reading ", parent.version());
  job.Report(Stage(stage, 0, count));
  const auto progress = [&](int64_t done) { job.Report(Stage(stage, done, count)); };
  std::string arrived;
  const auto produce = [&](ExampleFileWriter& writer) -> absl::Status {
    OutputsHasher hasher;
    BACKFIRE_RETURN_IF_ERROR(
        PullParentOutputs(channels_, request, count, cancelled, progress, writer, hasher));
    arrived = hasher.Finish();
    if (committed == nullptr || committed->outputs_digest() == arrived) return absl::OkStatus();
    BACKFIRE_ASSIGN_OR_RETURN(const VersionId id, ParseVersionName(parent.version()));
    return Mismatch(parent, feed.endpoints.by_model().at(id.model_name), split,
                    committed->outputs_digest(), arrived);
  };
  const std::string key = committed != nullptr ? committed->outputs_digest()
                          : anew               ? UniqueKey()
                                               : parent.digest();
  BACKFIRE_ASSIGN_OR_RETURN(
      auto outputs, outputs_.Get({OutputKey::Keeper::kChild, key, dataset.digest(), split}, produce,
                                 cancelled, &tally));
  if (anew && observed != nullptr) {
    v1::OutputsCommitment& pulled = observed->emplace_back();
    pulled.set_version(parent.version());
    pulled.set_version_digest(parent.digest());
    pulled.set_dataset_digest(dataset.digest());
    pulled.set_split(request.split());
    pulled.set_example_count(count);
    pulled.set_outputs_digest(arrived);
  }
  return outputs;
}

absl::StatusOr<std::shared_ptr<const Examples>> InputGatherer::Gather(
    const std::vector<std::string>& names, const Feed& feed,
    const std::shared_ptr<const Dataset>& dataset, Split split, JobContext& job, OutputTally& tally,
    std::vector<v1::OutputsCommitment>* observed) const {
  std::vector<std::string> from_dataset;
  std::vector<JoinedExamples::ParentInput> from_parents;
  std::map<std::string, std::shared_ptr<const Examples>> pulled;  // By the parent's digest.
  for (const std::string& name : names) {
    const auto parent = std::find_if(feed.parents.begin(), feed.parents.end(),
                                     [&](const auto& p) { return p.input() == name; });
    if (parent == feed.parents.end()) {
      from_dataset.push_back(name);
      continue;
    }
    std::shared_ptr<const Examples>& outputs = pulled[parent->digest()];
    if (outputs == nullptr) {
      BACKFIRE_ASSIGN_OR_RETURN(outputs,
                                Pull(*parent, feed, *dataset, split, job, tally, observed));
    }
    from_parents.push_back({name, parent->output(), outputs});
  }
  return std::make_shared<const JoinedExamples>(dataset, split, std::move(from_dataset),
                                                std::move(from_parents));
}

}  // namespace backfire::runtime
