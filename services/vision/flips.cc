#include "services/vision/flips.h"

#include <algorithm>
#include <array>

#include "services/metrics/frame_matcher.h"
#include "services/metrics/frame_overlaps.h"

namespace backfire::vision {

FrameErrors CountErrors(const metrics::ImageObjects& image, const FlipRules& rules) {
  metrics::ImageObjects shown;
  shown.labels = image.labels;
  std::copy_if(image.detections.begin(), image.detections.end(),
               std::back_inserter(shown.detections), [&](const metrics::Object& detection) {
                 return metrics::ScoreOf(detection) >= rules.min_score;
               });
  metrics::AveragePrecisionOptions options;
  options.type = rules.type;
  options.view = metrics::View::kBirdsEye;
  options.iou_threshold = rules.least_overlap;
  options.height_scale = rules.height_scale;
  metrics::FrameOverlaps overlaps;
  std::array<bool, 3> views = {};
  views[static_cast<size_t>(options.view)] = true;
  overlaps.Compute(shown, views);
  metrics::FrameMatches matches;
  metrics::MatchFrame(shown, overlaps, options, matches);
  FrameErrors errors;
  errors.missed = matches.label_count;
  for (const metrics::MatchStep& step : matches.steps) {
    errors.missed += step.misses;
    errors.false_alarms += step.false_positives;
  }
  return errors;
}

v1::ClassFlips CompareFrames(const std::vector<FlippedFrame>& frames, const FlipRules& rules,
                             size_t most, std::vector<size_t>& worst) {
  struct Counted {
    FrameErrors before, after;
    int64_t growth() const { return after.sum() - before.sum(); }
  };
  v1::ClassFlips flips;
  flips.set_type(rules.type);
  std::vector<Counted> counted;
  worst.clear();
  for (size_t i = 0; i < frames.size(); ++i) {
    const Counted& one = counted.emplace_back(
        Counted{CountErrors(frames[i].before, rules), CountErrors(frames[i].after, rules)});
    flips.set_errors_before(flips.errors_before() + one.before.sum());
    flips.set_errors_after(flips.errors_after() + one.after.sum());
    flips.set_frames_worse(flips.frames_worse() + (one.growth() > 0 ? 1 : 0));
    flips.set_frames_better(flips.frames_better() + (one.growth() < 0 ? 1 : 0));
    if (one.growth() > 0) worst.push_back(i);
  }
  std::stable_sort(worst.begin(), worst.end(),
                   [&](size_t a, size_t b) { return counted[a].growth() > counted[b].growth(); });
  worst.resize(std::min(worst.size(), most));
  for (const size_t i : worst) {
    v1::FrameFlip& flip = *flips.add_worst();
    flip.set_example(frames[i].example);
    flip.set_missed_before(counted[i].before.missed);
    flip.set_false_before(counted[i].before.false_alarms);
    flip.set_missed_after(counted[i].after.missed);
    flip.set_false_after(counted[i].after.false_alarms);
  }
  return flips;
}

}  // namespace backfire::vision
