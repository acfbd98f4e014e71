#include "tests/chaos/kill_plan.h"

#include <algorithm>
#include <set>
#include <utility>

#include "services/base/random.h"

namespace backfire::chaos {

bool IsStepBoundary(const std::string& place) {
  const std::string kind = place.substr(0, place.find(' '));
  static const std::set<std::string> boundaries = {
      "step-start", "step-started", "step-end", "step-ended", "job-accept", "job-accepted",
      "job-end",    "job-ended",    "promote",  "promoted",   "prepare",    "prepared"};
  return boundaries.count(kind) > 0;
}

Places ChooseKills(const Places& passed, const std::string& update, int kills, uint64_t seed) {
  using Place = std::pair<std::string, size_t>;  // Process, position.
  std::set<Place> chosen;
  std::vector<std::vector<Place>> others;  // By process.
  for (const auto& [process, places] : passed) {
    std::set<std::string> seen;
    std::vector<Place> rest;
    for (size_t i = 0; i < places.size(); ++i) {
      // A process dies where it passes a place for the first time; again is no other place.
      if (!seen.insert(places[i]).second) continue;
      // `updates/2` is not a part of `updates/21`.
      const size_t found = places[i].find(update);
      const size_t end = found + update.size();
      const bool is_of_update =
          found != std::string::npos && (end == places[i].size() || places[i][end] == '/');
      if (IsStepBoundary(places[i]) && is_of_update) {
        chosen.emplace(process, i);
      } else {
        rest.emplace_back(process, i);
      }
    }
    if (!rest.empty()) others.push_back(std::move(rest));
  }
  Random random(seed);
  for (int i = 0; i < kills && !others.empty(); ++i) {
    // The process first: one that passes few places is no less interesting.
    const auto process = others.begin() + random.Below(static_cast<int64_t>(others.size()));
    const auto drawn = process->begin() + random.Below(static_cast<int64_t>(process->size()));
    chosen.insert(*drawn);
    process->erase(drawn);
    if (process->empty()) others.erase(process);
  }
  Places plan;
  for (const auto& [process, position] : chosen) {
    plan[process].push_back(passed.at(process)[position]);
  }
  return plan;
}

}  // namespace backfire::chaos
