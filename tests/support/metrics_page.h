#pragma once

#include <map>
#include <set>
#include <string>
#include <vector>

#include "absl/status/statusor.h"

namespace backfire::testing {

/// A page in Prometheus' text format, as far as tests ask about it.
struct MetricsPage {
  struct Family {
    std::string help;
    std::string type;                       ///< `counter`, `gauge`, `histogram`, `summary`.
    std::set<std::string> labels;           ///< Of any of its samples; `le`, `quantile` left out.
    std::map<std::string, double> samples;  ///< `name{label="value"}`, as written -> value.
  };
  std::map<std::string, Family> families;

  /// The value of a sample as it is written on the page; NaN: there is none.
  double Value(const std::string& sample) const;
  /// Samples whose text has this part.
  std::vector<std::string> Samples(const std::string& part) const;
};

/// Reads a page. INVALID_ARGUMENT: a line is neither comment nor sample of a described family.
absl::StatusOr<MetricsPage> ParseMetricsPage(const std::string& text);

/// Gets `/metrics` of a server over HTTP, once. UNAVAILABLE: nobody listens. INTERNAL: another
/// status than 200.
/// @param endpoint  `localhost:8001`.
absl::StatusOr<std::string> GetMetrics(const std::string& endpoint);

/// GetMetrics, then ParseMetricsPage.
absl::StatusOr<MetricsPage> ScrapeMetrics(const std::string& endpoint);

}  // namespace backfire::testing
