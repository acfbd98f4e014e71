#pragma once

#include <prometheus/metric_family.h>

#include <vector>

#include "services/runtime/hosted_model.h"
#include "services/runtime/jobs/job_runner.h"
#include "services/runtime/outputs/output_store.h"

namespace backfire::runtime {

/// What a model service shows on /metrics beyond calls and requests, as it is now: loaded versions
/// with their losses, jobs, how far trainings are, kept outputs. Names: docs/metrics.md.
/// Thread-safe.
std::vector<prometheus::MetricFamily> ServiceMetrics(const HostedModels& models,
                                                     const JobRunner& jobs,
                                                     const OutputStore& outputs);

}  // namespace backfire::runtime
