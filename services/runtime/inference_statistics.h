#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <string>
#include <utility>

#include "inference/open_inference.pb.h"
#include "services/base/mutex.h"

namespace backfire::runtime {

/// Where the time of requests went, by model and version, since the start: the statistics extension
/// of the Open Inference Protocol. Thread-safe.
class InferenceStatistics {
 public:
  using Duration = std::chrono::steady_clock::duration;
  /// The pieces of one request, in their order.
  struct Request {
    Duration input{}, queue{}, infer{}, output{};
    Duration total() const { return input + queue + infer + output; }
  };

  void Note(const std::string& model, int64_t version, bool succeeded, const Request& request);
  /// What is known of a version; of one that nobody has asked for, zeros.
  inference::ModelStatistics Of(const std::string& model, int64_t version) const;

 private:
  mutable Mutex mutex_;
  std::map<std::pair<std::string, int64_t>, inference::ModelStatistics> by_version_
      ABSL_GUARDED_BY(mutex_);
};

}  // namespace backfire::runtime
