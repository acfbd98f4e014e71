#include "services/runtime/service_metrics.h"

#include <array>
#include <cmath>
#include <map>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "services/rpc/rpc_metrics.h"
#include "services/rpc/sampled_family.h"

namespace backfire::runtime {
namespace {

using Families = std::vector<prometheus::MetricFamily>;

void AddVersions(const HostedModels& models, Families& families) {
  prometheus::MetricFamily loaded =
      GaugeFamily("backfire_version_loaded", "1 for each version that serves requests.");
  prometheus::MetricFamily losses = GaugeFamily(
      "backfire_version_loss",
      "Loss of a version that serves on the test split, as its last evaluation since the start has "
      "it; lower is better.");
  prometheus::MetricFamily batches = HistogramFamily(
      "backfire_inference_batch_size", "Requests of a version that were predicted at once.");
  for (const auto& [model, hosted] : models) {
    for (auto& [number, sizes] : hosted->served().BatchSizes()) {
      sizes.label = {{"model", model}, {"version", absl::StrCat(number)}};
      batches.metric.push_back(std::move(sizes));
    }
    for (const int64_t number : hosted->served().LoadedNumbers()) {
      const std::string version = absl::StrCat(number);
      AddSample(loaded, {{"model", model}, {"version", version}}, 1);
      for (const v1::LossEstimate& loss : hosted->evaluator().TestLosses(number)) {
        if (std::isnan(loss.value())) continue;  // No example in the slice.
        AddSample(losses,
                  {{"model", model},
                   {"version", version},
                   {"loss", loss.loss()},
                   {"slice", loss.slice()},
                   {"judged", loss.judged() ? "true" : "false"}},
                  loss.value());
      }
    }
  }
  families.push_back(std::move(loaded));
  families.push_back(std::move(losses));
  families.push_back(std::move(batches));
}

void AddJobs(const JobRunner::Overview& overview, Families& families) {
  prometheus::MetricFamily open =
      GaugeFamily("backfire_jobs", "Jobs that wait for a worker, or run.");
  prometheus::MetricFamily ended = CounterFamily(
      "backfire_jobs_ended_total", "Jobs that ended since the start, by the code of their error.");
  const std::array<std::pair<const char*, const JobRunner::Overview::Count*>, 3> kinds = {
      {{"training", &overview.trainings},
       {"evaluation", &overview.evaluations},
       {"commitment", &overview.commitments}}};
  for (const auto& [kind, count] : kinds) {
    AddSample(open, {{"kind", kind}, {"state", "waiting"}}, static_cast<double>(count->waiting));
    AddSample(open, {{"kind", kind}, {"state", "running"}}, static_cast<double>(count->running));
    // From 0 on: of a counter that appears with its first event, increase() doesn't see that event.
    std::map<std::pair<v1::Job::State, absl::StatusCode>, int64_t> by_end = {
        {{v1::Job::SUCCEEDED, absl::StatusCode::kOk}, 0},
        {{v1::Job::FAILED, absl::StatusCode::kFailedPrecondition}, 0},
        {{v1::Job::FAILED, absl::StatusCode::kInternal}, 0},
        {{v1::Job::FAILED, absl::StatusCode::kResourceExhausted}, 0}};
    for (const auto& [end, number] : count->ended) by_end[end] = number;
    for (const auto& [state_and_code, number] : by_end) {
      const auto& [state, code] = state_and_code;
      AddSample(ended,
                {{"kind", kind},
                 {"state", v1::Job::State_Name(state)},
                 {"code", std::string(StatusCodeLabel(static_cast<int>(code)))}},
                static_cast<double>(number));
    }
  }
  families.push_back(std::move(open));
  families.push_back(std::move(ended));
}

void AddTrainings(const JobRunner::Overview& overview, Families& families) {
  // A worker's number tells trainings of one model apart that run side by side, and takes few
  // values.
  prometheus::MetricFamily step =
      GaugeFamily("backfire_training_step", "Steps that a running training has done.");
  prometheus::MetricFamily steps =
      GaugeFamily("backfire_training_steps", "Steps that it will do in all.");
  prometheus::MetricFamily loss =
      GaugeFamily("backfire_training_loss", "Its training loss, smoothed.");
  prometheus::MetricFamily eta =
      GaugeFamily("backfire_training_eta_seconds", "Time until its last step, estimated.");
  for (const JobRunner::Overview::Running& running : overview.running) {
    const auto* request = std::get_if<v1::TrainRequest>(&running.request);
    if (request == nullptr || running.progress.total_steps() == 0) continue;
    if (running.progress.stage() != "training") continue;
    const std::map<std::string, std::string> labels = {
        {"model", std::string(absl::StripPrefix(request->model(), "models/"))},
        {"worker", absl::StrCat(running.worker)}};
    AddSample(step, labels, static_cast<double>(running.progress.step()));
    AddSample(steps, labels, static_cast<double>(running.progress.total_steps()));
    // 0 stands for none: not all models report one.
    if (running.progress.loss() != 0) AddSample(loss, labels, running.progress.loss());
    AddSample(eta, labels, running.progress.eta_seconds());
  }
  for (prometheus::MetricFamily* family : {&step, &steps, &loss, &eta}) {
    families.push_back(std::move(*family));
  }
}

void AddOutputs(const OutputStore::Usage& usage, Families& families) {
  prometheus::MetricFamily requests =
      CounterFamily("backfire_outputs_total",
                    "Times that a split's outputs, own or of parents, were needed: reused, or "
                    "produced because they were not kept.");
  AddSample(requests, {{"result", "reused"}}, static_cast<double>(usage.reused));
  AddSample(requests, {{"result", "produced"}}, static_cast<double>(usage.produced));
  prometheus::MetricFamily bytes =
      GaugeFamily("backfire_outputs_bytes", "Disk that kept outputs take; bounded.");
  AddSample(bytes, {}, static_cast<double>(usage.bytes));
  families.push_back(std::move(requests));
  families.push_back(std::move(bytes));
}

}  // namespace

std::vector<prometheus::MetricFamily> ServiceMetrics(const HostedModels& models,
                                                     const JobRunner& jobs,
                                                     const OutputStore& outputs) {
  Families families;
  AddVersions(models, families);
  const JobRunner::Overview overview = jobs.Look();
  AddJobs(overview, families);
  AddTrainings(overview, families);
  AddOutputs(outputs.usage(), families);
  return families;
}

}  // namespace backfire::runtime
