#pragma once

#include <set>
#include <string>

namespace backfire::cli {

/// Hands out where the processes of a local mesh have their metrics. One thread.
class MetricsPorts {
 public:
  /// @param gateway  Where the gateway listens: ports are counted from its own.
  explicit MetricsPorts(const std::string& gateway);

  /// Another process listens at this target, and has its metrics by it: its ports go to nobody
  /// else.
  void LeaveOut(const std::string& endpoint);

  /// HOST:PORT of the metrics of a process that listens at `endpoint`. Of a HOST:PORT, a thousand
  /// ports above. Of a socket, the next one on localhost above the gateway's metrics that is nobody
  /// else's. Empty: there is no such port, or the gateway has none to count from.
  std::string Of(const std::string& endpoint);

 private:
  int last_ = 0;  ///< That was handed out; 0: none is.
  std::set<int> left_out_;
};

}  // namespace backfire::cli
