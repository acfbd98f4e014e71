#include "services/vision/score_choice.h"

#include <algorithm>
#include <cstddef>
#include <set>
#include <string>

#include "services/metrics/iou.h"

namespace backfire::vision {
namespace {

constexpr double kLeastOverlap = 0.5, kLeastHeightPx = 25;
constexpr int kMostOcclusion = 1;

struct Candidate {
  double score = 0;
  size_t frame = 0, detection = 0;
};

}  // namespace

ScoreChoice ChooseScore(const std::vector<JudgedFrame>& frames) {
  std::vector<Candidate> candidates;
  std::set<std::string> types;
  for (size_t frame = 0; frame < frames.size(); ++frame) {
    for (size_t i = 0; i < frames[frame].detections.size(); ++i) {
      const metrics::Object& detection = frames[frame].detections[i];
      candidates.push_back({detection.score.value_or(0), frame, i});
      types.insert(detection.type);
    }
  }
  std::stable_sort(candidates.begin(), candidates.end(),
                   [](const Candidate& a, const Candidate& b) { return a.score > b.score; });
  double labels = 0;
  std::vector<std::vector<const metrics::Object*>> open(frames.size());  // Not yet found.
  for (size_t frame = 0; frame < frames.size(); ++frame) {
    for (const metrics::Object& label : frames[frame].labels) {
      if (types.count(label.type) == 0 || label.occlusion > kMostOcclusion ||
          label.box_2d.height() < kLeastHeightPx) {
        continue;
      }
      open[frame].push_back(&label);
      ++labels;
    }
  }

  ScoreChoice choice;
  choice.frames = static_cast<int64_t>(frames.size());
  double right = 0;
  for (size_t shown = 0; shown < candidates.size(); ++shown) {
    const Candidate& candidate = candidates[shown];
    const metrics::Object& detection = frames[candidate.frame].detections[candidate.detection];
    auto& here = open[candidate.frame];
    const auto overlap = [&](const metrics::Object* label) {
      return label->type == detection.type ? metrics::IouBirdsEye(label->box_3d, detection.box_3d)
                                           : 0;
    };
    const auto best = std::max_element(here.begin(), here.end(),
                                       [&](const metrics::Object* a, const metrics::Object* b) {
                                         return overlap(a) < overlap(b);
                                       });
    if (best != here.end() && overlap(*best) >= kLeastOverlap) {
      here.erase(best);
      ++right;
    }
    // A threshold shows all detections of one score, or none.
    if (shown + 1 < candidates.size() && candidates[shown + 1].score == candidate.score) continue;
    const double f1 = 2 * right / (static_cast<double>(shown + 1) + labels);
    if (right > 0 && f1 >= choice.f1) {
      choice.f1 = f1;
      choice.score = candidate.score;
    }
  }
  return choice;
}

}  // namespace backfire::vision
