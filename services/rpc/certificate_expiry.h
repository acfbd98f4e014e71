#pragma once

#include <prometheus/metric_family.h>

#include <cstdint>
#include <filesystem>
#include <vector>

#include "absl/status/statusor.h"

namespace backfire::runtime {

/// When the first certificate of a PEM file ends, in seconds since 1970: that of the process, where
/// a chain follows it. Errors of ReadFile. INVALID_ARGUMENT: there is no certificate in it.
absl::StatusOr<int64_t> CertificateExpiry(const std::filesystem::path& certificate);

/// `backfire_tls_certificate_expiry_timestamp_seconds` of the file as it is now; nothing while it
/// can't be read. Thread-safe.
std::vector<prometheus::MetricFamily> CertificateMetrics(const std::filesystem::path& certificate);

}  // namespace backfire::runtime
