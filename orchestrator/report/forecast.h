#pragma once

#include <map>
#include <optional>
#include <string>
#include <tuple>

#include "backfire/v1/orchestrator.pb.h"
#include "backfire/v1/system.pb.h"

namespace backfire::report {

/// When a running update will have done its steps, by how long such steps took before. One thread.
class Forecast {
 public:
  /// @param system  Whose graph says which steps wait for which; `parallel_jobs` how many run at
  ///                once, and where that is 0, as many as were seen to.
  explicit Forecast(const v1::System& system);

  /// Takes in how long the steps of an update took that are done; those of the update that is
  /// forecast count more than an earlier one's, so learn that last.
  void Learn(const v1::Update& update);

  /// Seconds from now: the longest chain of steps that wait for each other, or all work shared by
  /// what runs at once, whichever is longer. A running step takes what its service says is left of
  /// its stage, or all that such a step takes. Unset: how long some step takes isn't known yet.
  std::optional<double> SecondsLeft(const v1::Update& update);

 private:
  // Kind, vertex, reference: what steps have in common that take equally long.
  using Key = std::tuple<int, std::string, std::string>;
  struct Mean {
    double seconds = 0;
    int steps = 0;
  };
  static Key KeyOf(const v1::Step& step);
  std::optional<double> SecondsOf(const v1::Step& step) const;

  std::multimap<std::string, std::string> parents_;  // Vertex -> vertices that feed it.
  int workers_;
  int seen_at_once_ = 1;
  std::map<Key, double> seconds_;
};

}  // namespace backfire::report
