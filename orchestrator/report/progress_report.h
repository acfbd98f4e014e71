#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "backfire/v1/orchestrator.pb.h"

namespace backfire::report {

/// Whether nothing can change an update but a person: its watching is over.
bool HasEnded(const v1::Update& update);

/// One step's line: `train car #0  training 1200/3000  loss 0.1234  1 min 20 s left`.
std::string StepLine(const v1::Step& step);

/// An update as it runs: what and how far, then a line per running step.
/// @param seconds_left  Of the whole: `Forecast`.
std::vector<std::string> ProgressLines(const v1::Update& update,
                                       std::optional<double> seconds_left = std::nullopt);

/// A line about a running update.
struct News {
  std::string line;
  bool final =
      false;  ///< A step has ended, or the update has a new state: no later line repeats it.
};

/// Tells of a running update in lines that stay: each change of state at once, a running step's
/// progress whenever it has a new stage or `pace_seconds` have passed since it was last told. One
/// thread.
class ProgressLog {
 public:
  explicit ProgressLog(double pace_seconds) : pace_seconds_(pace_seconds) {}

  /// @param now_seconds   Of any steady clock.
  /// @param seconds_left  As of ProgressLines.
  /// @return              What to print; often nothing.
  std::vector<News> Next(const v1::Update& update, double now_seconds,
                         std::optional<double> seconds_left = std::nullopt);

 private:
  struct Told {
    v1::Step::State state = v1::Step::STATE_UNSPECIFIED;
    std::string stage;
    double seconds = 0;
  };
  double pace_seconds_;
  v1::Update::State state_ = v1::Update::STATE_UNSPECIFIED;
  std::map<std::string, Told> told_;  // By step.
};

}  // namespace backfire::report
