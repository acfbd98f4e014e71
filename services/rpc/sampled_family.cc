#include "services/rpc/sampled_family.h"

namespace backfire::runtime {
namespace {

prometheus::MetricFamily Family(prometheus::MetricType type, const std::string& name,
                                const std::string& help) {
  prometheus::MetricFamily family;
  family.name = name;
  family.help = help;
  family.type = type;
  return family;
}

}  // namespace

const prometheus::Histogram::BucketBoundaries& SecondsBuckets() {
  static const auto& buckets = *new prometheus::Histogram::BucketBoundaries{
      0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300};
  return buckets;
}

prometheus::MetricFamily GaugeFamily(const std::string& name, const std::string& help) {
  return Family(prometheus::MetricType::Gauge, name, help);
}

prometheus::MetricFamily CounterFamily(const std::string& name, const std::string& help) {
  return Family(prometheus::MetricType::Counter, name, help);
}

prometheus::MetricFamily HistogramFamily(const std::string& name, const std::string& help) {
  return Family(prometheus::MetricType::Histogram, name, help);
}

void AddSample(prometheus::MetricFamily& family, const std::map<std::string, std::string>& labels,
               double value) {
  prometheus::ClientMetric& metric = family.metric.emplace_back();
  for (const auto& [name, label] : labels) metric.label.push_back({name, label});
  if (family.type == prometheus::MetricType::Counter) {
    metric.counter.value = value;
  } else {
    metric.gauge.value = value;
  }
}

}  // namespace backfire::runtime
