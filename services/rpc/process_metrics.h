#pragma once

#include <prometheus/metric_family.h>

#include <filesystem>
#include <string>
#include <vector>

namespace backfire::runtime {

/// What this process uses, under the names that Prometheus' own clients have (`process_*`), and
/// which program it is (`backfire_build_info`). Read from /proc at each call. Thread-safe.
/// @param program  As in logs: `car-service`.
std::vector<prometheus::MetricFamily> ProcessMetrics(const std::string& program);

/// Room on the disk that holds a directory: `backfire_data_directory_size_bytes` and
/// `backfire_data_directory_free_bytes`; nothing if it can't be asked. Thread-safe.
std::vector<prometheus::MetricFamily> DiskMetrics(const std::filesystem::path& directory);

}  // namespace backfire::runtime
