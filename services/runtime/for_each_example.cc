#include "services/runtime/for_each_example.h"

#include "absl/strings/str_cat.h"
#include "services/base/status.h"

namespace backfire::runtime {

absl::Status ForEachExample(int64_t count, const std::string& stage, JobContext& job,
                            absl::FunctionRef<absl::Status(int64_t)> visit) {
  v1::Progress progress;
  progress.set_stage(stage);
  progress.set_total_steps(count);
  for (int64_t i = 0; i < count; ++i) {
    if (job.cancelled()) return absl::CancelledError(absl::StrCat("cancelled while ", stage));
    progress.set_step(i);
    job.Report(progress);
    BACKFIRE_RETURN_IF_ERROR(visit(i));
  }
  return absl::OkStatus();
}

}  // namespace backfire::runtime
