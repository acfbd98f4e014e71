#include "services/runtime/outputs/input_gatherer.h"

#include <algorithm>
#include <map>
#include <utility>

#include "absl/strings/str_cat.h"
#include "services/base/status.h"
#include "services/runtime/outputs/job_report.h"
#include "services/runtime/outputs/joined_examples.h"
#include "services/runtime/outputs/parent_outputs.h"

namespace backfire::runtime {

absl::StatusOr<std::shared_ptr<const Examples>> InputGatherer::Gather(
    const std::vector<std::string>& names, const Feed& feed,
    const std::shared_ptr<const Dataset>& dataset, Split split, JobContext& job,
    OutputTally& tally) const {
  const auto cancelled = [&job] { return job.cancelled(); };
  const int64_t count = dataset->size(split);
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
      v1::MaterializeRequest request;
      request.set_version(parent->version());
      request.set_digest(parent->digest());
      request.mutable_dataset()->set_uri(dataset->uri());
      request.set_split(std::string(SplitName(split)));
      *request.mutable_endpoints() = feed.endpoints;
      const std::string stage = absl::StrCat("reading ", parent->version());
      job.Report(Stage(stage, 0, count));
      const auto progress = [&](int64_t done) { job.Report(Stage(stage, done, count)); };
      const auto produce = [&](ExampleFileWriter& writer) {
        return PullParentOutputs(channels_, request, count, cancelled, progress, writer);
      };
      BACKFIRE_ASSIGN_OR_RETURN(outputs, outputs_.Get({OutputKey::Keeper::kChild, parent->digest(),
                                                       dataset->digest(), split},
                                                      produce, cancelled, &tally));
    }
    from_parents.push_back({name, parent->output(), outputs});
  }
  return std::make_shared<const JoinedExamples>(dataset, split, std::move(from_dataset),
                                                std::move(from_parents));
}

}  // namespace backfire::runtime
