#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "orchestrator/store/store.h"
#include "orchestrator/verdict/sensitivity.h"
#include "orchestrator/verdict/verdict.h"
#include "orchestrator/workflow/job_client.h"
#include "services/graph/system_graph.h"

namespace backfire::workflow {

/// The number in a resource name such as `updates/3`. INVALID_ARGUMENT: malformed.
absl::StatusOr<int64_t> ParseNumber(const std::string& name, const std::string& collection);

/// Number of the update whose versions this one is compared with. INTERNAL: its release is unknown.
absl::StatusOr<int64_t> BaselineOf(const store::Contents& contents,
                                   const store::UpdateRecord& update);

/// The step of that id that an update has or inherits from its baselines. INTERNAL: none has it.
absl::StatusOr<const store::StepRecord*> FindStep(const store::Contents& contents, int64_t update,
                                                  const std::string& id);

/// The version of a vertex in replicate k as of an update: what it trained, else its baseline's.
/// INTERNAL: there is none, although the update's steps should have made one. Borrowed from the
/// contents.
absl::StatusOr<const v1::Version*> VersionAsOf(const store::Contents& contents, int64_t update,
                                               const std::string& vertex, int replicate);

/// What feeds a vertex in replicate k, as of an update. Errors as VersionAsOf.
absl::StatusOr<std::vector<v1::Parent>> LineageAsOf(const store::Contents& contents,
                                                    const graph::SystemGraph& graph, int64_t update,
                                                    const std::string& vertex, int replicate);

/// The evaluation of that version, with resampled losses. Errors as VersionAsOf.
absl::StatusOr<const v1::Evaluation*> EvaluationAsOf(const store::Contents& contents,
                                                     int64_t update, const std::string& vertex,
                                                     int replicate);

/// What a step asks of its vertex's service; the same for the same step, whenever it is asked.
/// @param step  Any but LOAD, its dependencies done.
absl::StatusOr<JobRequest> BuildJobRequest(const store::Contents& contents,
                                           const graph::SystemGraph& graph,
                                           const store::UpdateRecord& update,
                                           const store::StepRecord& step);

/// All that the verdict of an update depends on; its evaluations are done.
absl::StatusOr<verdict::Evidence> BuildEvidence(const store::Contents& contents,
                                                const graph::SystemGraph& graph,
                                                const store::UpdateRecord& update);

/// What an update can and can't show of each judged loss, by the noise of its baseline alone.
/// FAILED_PRECONDITION: the system requires a slice that no loss of that vertex has.
absl::StatusOr<std::vector<v1::Sensitivity>> BuildSensitivities(const store::Contents& contents,
                                                                const graph::SystemGraph& graph,
                                                                const store::UpdateRecord& update);

/// What an update takes over from its baseline: the versions that the touched vertices' losses are
/// compared with and those that feed them, and the evaluations.
absl::StatusOr<v1::Reuse> BuildReuse(const store::Contents& contents,
                                     const graph::SystemGraph& graph, const v1::Update& update);

}  // namespace backfire::workflow
