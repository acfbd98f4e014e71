#include "services/metrics/frame_matcher.h"

#include <cmath>
#include <limits>
#include <string_view>

#include "absl/strings/match.h"

namespace backfire::metrics {
namespace {

// What counts of labels; a detection lower than the height is "small".
struct Limits {
  double min_height_px;
  int max_occlusion;
  double max_truncation;
};

Limits LimitsOf(const AveragePrecisionOptions& options) {
  const double scale = options.height_scale;
  switch (options.difficulty) {
    case Difficulty::kEasy:
      return {40 * scale, 0, 0.15};
    case Difficulty::kModerate:
      return {25 * scale, 1, 0.30};
    case Difficulty::kHard:
      break;
  }
  return {25 * scale, 2, 0.50};
}

// The class that an evaluation forgives: it looks like the one that is evaluated.
absl::string_view NeighbourOf(absl::string_view type) {
  if (absl::EqualsIgnoreCase(type, "Car")) return "Van";
  if (absl::EqualsIgnoreCase(type, "Pedestrian")) return "Person_sitting";
  return "";
}

bool HasDepth(const Object& object) { return object.box_3d.length > 0 && object.box_3d.z != -1000; }

bool InRange(const Object& object, const AveragePrecisionOptions& options) {
  const double z = object.box_3d.z;
  const bool limited = options.min_depth_m > 0 || options.range_mode == RangeMode::kDrop;
  if (limited && !(z > options.min_depth_m)) return false;
  return !options.max_depth_m.has_value() || z <= *options.max_depth_m;
}

// Whether a detection makes its class count as detected in this view at all.
bool IsUsable(const Object& detection, View view) {
  const Box3d& box = detection.box_3d;
  if (view == View::kImage) return detection.box_2d.left >= 0;
  const bool on_ground = box.x != -1000 && box.z != -1000 && box.width > 0 && box.length > 0;
  if (view == View::kBirdsEye) return on_ground;
  return on_ground && box.y != -1000 && box.height > 0;
}

constexpr double kNoScore = -1e7;  // Pass one takes no detection whose score is not above it.

struct Label {
  bool takes_part = false;
  bool counts = false;              // Else it is matched, and is neither hit nor miss.
  size_t first = 0, past_last = 0;  // Its candidates.
};

struct Detection {
  bool takes_part = false;
  bool small = false;      // Can be matched; never a hit nor a false positive.
  bool forgiven = false;   // No false positive if nothing takes it.
  bool candidate = false;  // Of some label.
  double score = 0;
};

// A label's overlap with a detection, large enough to match.
struct Candidate {
  int32_t detection;
  double overlap;
};

struct Counts {
  int32_t hits = 0, false_positives = 0, misses = 0;
  double similarity = 0;
};

// One image under one set of rules. Kept between calls for its memory.
class Matcher {
 public:
  void Match(const ImageObjects& image, const FrameOverlaps& overlaps,
             const AveragePrecisionOptions& options, FrameMatches& matches) {
    image_ = &image;
    matches.usable = false;
    matches.oriented = true;
    matches.label_count = 0;
    matches.hit_scores.clear();
    matches.steps.clear();
    PrepareLabels(options, matches);
    PrepareDetections(overlaps, options, matches);
    PrepareCandidates(overlaps, options);
    PassOne(matches);
    PassTwo(overlaps, options.view == View::kImage, matches);
  }

 private:
  void PrepareLabels(const AveragePrecisionOptions& options, FrameMatches& matches) {
    const bool dropping = options.range_mode == RangeMode::kDrop;
    const Limits limits = LimitsOf(options);
    const absl::string_view neighbour = NeighbourOf(options.type);
    labels_.assign(image_->labels.size(), Label());
    for (size_t i = 0; i < labels_.size(); ++i) {
      const Object& label = image_->labels[i];
      const bool of_class = absl::EqualsIgnoreCase(label.type, options.type);
      if (!of_class && (neighbour.empty() || !absl::EqualsIgnoreCase(label.type, neighbour))) {
        continue;
      }
      const bool in_range = InRange(label, options);
      labels_[i].takes_part = in_range || !dropping;
      // Each comparison as the evaluator has it: what is not comparable is not excluded.
      const bool difficult = label.occlusion > limits.max_occlusion ||
                             label.truncation > limits.max_truncation ||
                             label.box_2d.height() <= limits.min_height_px;
      labels_[i].counts = of_class && in_range && (dropping || !difficult);
      matches.label_count += labels_[i].counts ? 1 : 0;
    }
  }

  void PrepareDetections(const FrameOverlaps& overlaps, const AveragePrecisionOptions& options,
                         FrameMatches& matches) {
    const bool dropping = options.range_mode == RangeMode::kDrop;
    const double min_height_px = LimitsOf(options).min_height_px;
    detections_.assign(image_->detections.size(), Detection());
    for (size_t j = 0; j < detections_.size(); ++j) {
      const Object& object = image_->detections[j];
      const bool in_range = InRange(object, options);
      if (dropping && !in_range) continue;
      if (object.alpha == -10) matches.oriented = false;
      const bool of_class = absl::EqualsIgnoreCase(object.type, options.type);
      matches.usable = matches.usable || (of_class && IsUsable(object, options.view));
      Detection& detection = detections_[j];
      // Smallness is tested before the class: a small detection of any class takes part. The height
      // is that of the box even where top and bottom are exchanged.
      detection.small = !dropping && std::abs(object.box_2d.height()) < min_height_px;
      detection.score = ScoreOf(object);
      detection.takes_part = (of_class || detection.small) && !std::isnan(detection.score);
      detection.forgiven = !in_range && HasDepth(object);
    }
    for (const FrameOverlaps::Cover& cover : overlaps.covers(options.view)) {
      if (dropping && !InRange(image_->labels[cover.area], options)) continue;
      if (cover.fraction > options.iou_threshold) detections_[cover.detection].forgiven = true;
    }
  }

  void PrepareCandidates(const FrameOverlaps& overlaps, const AveragePrecisionOptions& options) {
    candidates_.clear();
    const std::vector<FrameOverlaps::Pair>& pairs = overlaps.pairs(options.view);
    size_t pair = 0;
    for (size_t i = 0; i < labels_.size(); ++i) {
      labels_[i].first = candidates_.size();
      for (; pair < pairs.size() && static_cast<size_t>(pairs[pair].label) == i; ++pair) {
        Detection& detection = detections_[pairs[pair].detection];
        if (!labels_[i].takes_part || !detection.takes_part) continue;
        if (!(pairs[pair].overlap > options.iou_threshold)) continue;
        detection.candidate = true;
        candidates_.push_back({pairs[pair].detection, pairs[pair].overlap});
      }
      labels_[i].past_last = candidates_.size();
    }
  }

  // Each label, in order, takes its surest free detection. The scores of hits go on the list.
  void PassOne(FrameMatches& matches) {
    taken_.assign(detections_.size(), false);
    for (const Label& label : labels_) {
      int32_t best = -1;
      double best_score = kNoScore;
      for (size_t c = label.first; c < label.past_last; ++c) {
        const int32_t j = candidates_[c].detection;
        if (taken_[j] || !(detections_[j].score > best_score)) continue;
        best = j;
        best_score = detections_[j].score;
      }
      if (best < 0) continue;
      taken_[best] = true;
      if (label.counts && !detections_[best].small) matches.hit_scores.push_back(best_score);
    }
  }

  // The state at a threshold, but for false positives that are nobody's candidates.
  Counts CountAt(double threshold, bool with_similarity) {
    taken_.assign(detections_.size(), false);
    Counts counts;
    for (size_t i = 0; i < labels_.size(); ++i) {
      const Label& label = labels_[i];
      if (!label.takes_part) continue;
      const Candidate* best = nullptr;
      for (size_t c = label.first; c < label.past_last; ++c) {
        const Candidate& candidate = candidates_[c];
        const Detection& detection = detections_[candidate.detection];
        if (taken_[candidate.detection] || detection.score < threshold) continue;
        // The first small one stands until a normal one comes.
        const bool best_is_small = best != nullptr && detections_[best->detection].small;
        if (best == nullptr ||
            (!detection.small && (best_is_small || candidate.overlap > best->overlap))) {
          best = &candidate;
        }
      }
      if (best == nullptr) {
        counts.misses += label.counts ? 1 : 0;
        continue;
      }
      taken_[best->detection] = true;
      if (!label.counts || detections_[best->detection].small) continue;
      ++counts.hits;
      if (with_similarity) {
        const double difference =
            image_->labels[i].alpha - image_->detections[best->detection].alpha;
        counts.similarity += (1 + std::cos(difference)) / 2;
      }
    }
    for (const Candidate& candidate : candidates_) {
      const Detection& detection = detections_[candidate.detection];
      if (taken_[candidate.detection] || detection.score < threshold) continue;
      taken_[candidate.detection] = true;  // Candidate of several labels: once.
      if (!detection.small && !detection.forgiven) ++counts.false_positives;
    }
    return counts;
  }

  void PassTwo(const FrameOverlaps& overlaps, bool with_similarity, FrameMatches& matches) {
    Counts before;
    before.misses = matches.label_count;
    const std::vector<int32_t>& by_score = overlaps.by_score();
    for (size_t next = 0; next < by_score.size();) {
      const double score = ScoreOf(image_->detections[by_score[next]]);
      bool rematch = false;
      int32_t unmatched = 0;  // New detections that overlap nothing enough, and are wrong.
      for (; next < by_score.size(); ++next) {
        const Detection& detection = detections_[by_score[next]];
        if (ScoreOf(image_->detections[by_score[next]]) != score) break;
        if (!detection.takes_part) continue;
        rematch = rematch || detection.candidate;
        if (!detection.candidate && !detection.small && !detection.forgiven) ++unmatched;
      }
      const Counts now = rematch ? CountAt(score, with_similarity) : before;
      const MatchStep step = {score, now.hits - before.hits,
                              now.false_positives - before.false_positives + unmatched,
                              now.misses - before.misses, now.similarity - before.similarity};
      before = now;
      if (step.hits != 0 || step.false_positives != 0 || step.misses != 0 || step.similarity != 0) {
        matches.steps.push_back(step);
      }
    }
  }

  const ImageObjects* image_ = nullptr;
  std::vector<Label> labels_;
  std::vector<Detection> detections_;
  std::vector<Candidate> candidates_;  // By label, in the detections' order.
  std::vector<bool> taken_;
};

}  // namespace

void MatchFrame(const ImageObjects& image, const FrameOverlaps& overlaps,
                const AveragePrecisionOptions& options, FrameMatches& matches) {
  thread_local Matcher matcher;
  matcher.Match(image, overlaps, options, matches);
}

}  // namespace backfire::metrics
