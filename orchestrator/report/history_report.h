#pragma once

#include <string>
#include <vector>

#include "backfire/v1/orchestrator.pb.h"

namespace backfire::report {

/// What happened, a line each, as they come: when, to what, what, who, and in a sentence.
std::string HistoryText(const std::vector<v1::Event>& events);

/// The story of one update: its events and those of its releases, as they come, each with the time
/// since the first.
std::string UpdateStory(const v1::Update& update, const std::vector<v1::Event>& events);

/// `Proposed 2026-11-30 14:02:11Z by ada@laptop: nightly training.`, and the same of its verdict
/// and its end: a line each, as far as it came.
std::string UpdateTimes(const v1::Update& update);

/// Why an update is as it is, for a list: why it ended so, or what failed; empty: nothing to say.
std::string WhyText(const v1::Update& update);

}  // namespace backfire::report
