#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "backfire/v1/model_service.pb.h"
#include "orchestrator/records/change.h"
#include "orchestrator/records/state.h"

namespace backfire::planning {

/// What an update's evaluations say (evidence/judgement.h).
struct Judgement {
  v1::Verdict verdict;
  std::vector<v1::VertexDiagnosis> diagnoses;
  std::string test_split;  ///< Digest of the dataset on whose test split it was made.
};

/// Reads all updates of a revision of the system that are DECIDED, as if they had work left.
using ReadDecided =
    std::function<absl::StatusOr<std::vector<std::shared_ptr<const records::OpenUpdate>>>(
        const records::State& state, int64_t revision)>;

/// How a step's job ended.
struct JobEnd {
  absl::StatusOr<v1::Job> job;  ///< Ended, whatever its end; an error: it could not be followed.
  bool was_cancelled = false;   ///< Its update was cancelled meanwhile.
  int64_t attempt = 1;          ///< The step's, that the job was of.
};

/// The step of an update as the end of its job leaves it.
records::StepRecord EndStep(const records::OpenUpdate& update, size_t position, const JobEnd& end);

/// Whether the end of this step takes a judgement: all that is planned for the present look is
/// evaluated, or everything is done. Evaluations don't change any more, so that the judgement can
/// be made before the end is committed.
bool NeedsJudgement(const records::OpenUpdate& update, size_t position, const JobEnd& end);

/// All that follows from the end of a step's job: the step's own end, the update's next phase,
/// another look, a release, the verdict. Nothing follows, and nothing changes, where the step runs
/// no more: a retry has it done anew. A job, other than a training, that ran when its update was
/// retried is of the attempt before: that it succeeded counts, and that it failed has the step wait
/// for another attempt.
/// @param judgement  Where NeedsJudgement: a judgement, or why there is none.
/// @param decided    Asked where replicates are complete, as another release becomes live.
/// ABORTED: the update has changed so that a judgement is needed, and there is none: ask again.
absl::StatusOr<records::Change> StepEnded(const records::State& state, records::StepRef ref,
                                          const JobEnd& end,
                                          const std::optional<absl::StatusOr<Judgement>>& judgement,
                                          const ReadDecided& decided, absl::Time now);

}  // namespace backfire::planning
