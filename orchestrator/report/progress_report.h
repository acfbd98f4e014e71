#pragma once

#include <optional>
#include <set>
#include <string>
#include <vector>

#include "backfire/v1/orchestrator.pb.h"

namespace backfire::report {

/// Whether an update is decided or has ended: its watching is over.
bool HasEnded(const v1::Update& update);

/// One step's line: `train car #0  training 1200/3000  loss 0.1234  1 min 20 s left`.
std::string StepLine(const v1::Step& step);

/// An update as it runs: what and how far, then a line per running step.
/// @param seconds_left  Of the whole: `Forecast`.
std::vector<std::string> ProgressLines(const v1::Update& update,
                                       std::optional<double> seconds_left = std::nullopt);

/// Tells of a running update in lines that no later one repeats: its states, and steps that have
/// ended. One thread.
class ProgressLog {
 public:
  /// @param seconds_left  As of ProgressLines.
  /// @return              What to print; often nothing.
  std::vector<std::string> Next(const v1::Update& update,
                                std::optional<double> seconds_left = std::nullopt);

 private:
  v1::Update::State state_ = v1::Update::STATE_UNSPECIFIED;
  std::set<std::string> ended_;  // Steps.
};

/// Tells of a running update in few lines, for logs: its states and steps that failed at once, and
/// how far it is, with one of the steps that run, every `pace_seconds` at most. One thread.
class PacedLog {
 public:
  explicit PacedLog(double pace_seconds) : pace_seconds_(pace_seconds) {}

  /// @param now_seconds   Of any steady clock.
  /// @param seconds_left  As of ProgressLines.
  /// @return              What to print; often nothing.
  std::vector<std::string> Next(const v1::Update& update, double now_seconds,
                                std::optional<double> seconds_left = std::nullopt);

 private:
  double pace_seconds_;
  v1::Update::State state_ = v1::Update::STATE_UNSPECIFIED;
  double told_seconds_ = 0;
  std::set<std::string> failed_;  // Steps.
};

}  // namespace backfire::report
