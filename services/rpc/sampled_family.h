#pragma once

#include <prometheus/histogram.h>
#include <prometheus/metric_family.h>

#include <map>
#include <string>

namespace backfire::runtime {

/// Bounds of every histogram of how long a call takes: 1 ms to five minutes.
const prometheus::Histogram::BucketBoundaries& SecondsBuckets();

/// Metrics that are made anew at each scrape, from state that is kept for other reasons: there is
/// no second account of it that could differ, and what is gone is not shown. For Collect().
prometheus::MetricFamily GaugeFamily(const std::string& name, const std::string& help);
prometheus::MetricFamily CounterFamily(const std::string& name, const std::string& help);
prometheus::MetricFamily HistogramFamily(const std::string& name, const std::string& help);

/// Adds a sample to a family of gauges or counters.
void AddSample(prometheus::MetricFamily& family, const std::map<std::string, std::string>& labels,
               double value);

}  // namespace backfire::runtime
