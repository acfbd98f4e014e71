#include "orchestrator/report/forecast.h"

#include <algorithm>
#include <utility>
#include <vector>

namespace backfire::report {
namespace {

using v1::Step;

bool IsLeft(const Step& step) {
  return step.state() == Step::WAITING || step.state() == Step::RUNNING;
}

}  // namespace

Forecast::Forecast(const v1::System& system) : workers_(system.parallel_jobs()) {
  for (const v1::Vertex& vertex : system.vertices()) {
    for (const auto& [input, source] : vertex.inputs()) {
      parents_.emplace(vertex.name(), source.substr(0, source.find('.')));
    }
  }
}

Forecast::Key Forecast::KeyOf(const Step& step) {
  // A swapped version is evaluated as any other.
  const int kind = step.kind() == Step::EVALUATE_SWAPPED ? Step::EVALUATE : step.kind();
  return {kind, step.vertex(), step.reference()};
}

void Forecast::Learn(const v1::Update& update) {
  std::map<Key, Mean> means;
  for (const Step& step : update.steps()) {
    if (step.state() != Step::SUCCEEDED) continue;
    // What was there already took no time; had it not been, it would have taken what it saved.
    const double seconds =
        step.compute_seconds() > 0 ? step.compute_seconds() : step.saved_seconds();
    Mean& mean = means[KeyOf(step)];
    mean.seconds += seconds;
    ++mean.steps;
  }
  for (const auto& [key, mean] : means) seconds_[key] = mean.seconds / mean.steps;
}

std::optional<double> Forecast::SecondsOf(const Step& step) const {
  if (step.state() == Step::RUNNING && step.progress().eta_seconds() > 0) {
    return step.progress().eta_seconds();
  }
  if (step.kind() == Step::LOAD) return 0;
  const auto found = seconds_.find(KeyOf(step));
  if (found == seconds_.end()) return std::nullopt;
  return found->second;
}

std::optional<double> Forecast::SecondsLeft(const v1::Update& update) {
  int running = 0;
  double work = 0, longest = 0;
  // Of each vertex and replicate: when its training will be done. Steps come in the order in which
  // they can be done, so that parents' are there before their children's.
  std::map<std::pair<std::string, int>, double> trained;
  for (const Step& step : update.steps()) {
    if (!IsLeft(step)) continue;
    running += step.state() == Step::RUNNING;
    const std::optional<double> seconds = SecondsOf(step);
    if (!seconds.has_value()) return std::nullopt;
    work += *seconds;
    double start = 0;
    const auto [first, last] = parents_.equal_range(step.vertex());
    for (auto parent = first; parent != last; ++parent) {
      const auto found = trained.find({parent->second, step.replicate()});
      if (found != trained.end()) start = std::max(start, found->second);
    }
    if (const auto own = trained.find({step.vertex(), step.replicate()}); own != trained.end()) {
      start = std::max(start, own->second);
    }
    const double end = start + *seconds;
    if (step.kind() == Step::TRAIN) trained[{step.vertex(), step.replicate()}] = end;
    longest = std::max(longest, end);
  }
  seen_at_once_ = std::max(seen_at_once_, running);
  return std::max(longest, work / (workers_ > 0 ? workers_ : seen_at_once_));
}

}  // namespace backfire::report
