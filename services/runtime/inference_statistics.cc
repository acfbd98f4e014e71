#include "services/runtime/inference_statistics.h"

#include "absl/strings/str_cat.h"

namespace backfire::runtime {
namespace {

void Add(InferenceStatistics::Duration time, inference::StatisticDuration& sum) {
  sum.set_count(sum.count() + 1);
  sum.set_ns(sum.ns() + static_cast<uint64_t>(
                            std::chrono::duration_cast<std::chrono::nanoseconds>(time).count()));
}

}  // namespace

void InferenceStatistics::Note(const std::string& model, int64_t version, bool succeeded,
                               const Request& request) {
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  MutexLock lock(mutex_);
  inference::ModelStatistics& statistics = by_version_[{model, version}];
  inference::InferStatistics& times = *statistics.mutable_inference_stats();
  if (!succeeded) {
    Add(request.total(), *times.mutable_fail());
    return;
  }
  statistics.set_last_inference(
      static_cast<uint64_t>(std::chrono::duration_cast<std::chrono::milliseconds>(now).count()));
  statistics.set_inference_count(statistics.inference_count() + 1);
  statistics.set_execution_count(statistics.execution_count() + 1);
  Add(request.total(), *times.mutable_success());
  Add(request.queue, *times.mutable_queue());
  Add(request.input, *times.mutable_compute_input());
  Add(request.infer, *times.mutable_compute_infer());
  Add(request.output, *times.mutable_compute_output());
}

inference::ModelStatistics InferenceStatistics::Of(const std::string& model,
                                                   int64_t version) const {
  inference::ModelStatistics statistics;
  {
    MutexLock lock(mutex_);
    const auto known = by_version_.find({model, version});
    if (known != by_version_.end()) statistics = known->second;
  }
  statistics.set_name(model);
  statistics.set_version(absl::StrCat(version));
  inference::InferStatistics& times = *statistics.mutable_inference_stats();
  // Clients read them without asking whether they are there.
  times.mutable_success();
  times.mutable_fail();
  times.mutable_queue();
  times.mutable_compute_input();
  times.mutable_compute_infer();
  times.mutable_compute_output();
  times.mutable_cache_hit();
  times.mutable_cache_miss();
  return statistics;
}

}  // namespace backfire::runtime
