#include "services/metrics/average_precision.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <numeric>
#include <string>
#include <utility>

#include "absl/strings/match.h"
#include "services/metrics/bootstrap.h"
#include "services/metrics/iou.h"

namespace backfire::metrics {
namespace {

constexpr int kSamples = 41;  // Precisions at recall 0, 1/40 ... 1, whatever is averaged later.

// What a difficulty asks of a label. A detection lower than the height is "small".
struct DifficultyLimits {
  double min_height_px;
  int max_occlusion;
  double max_truncation;
};

DifficultyLimits LimitsOf(Difficulty difficulty) {
  switch (difficulty) {
    case Difficulty::kEasy:
      return {40, 0, 0.15};
    case Difficulty::kModerate:
      return {25, 1, 0.30};
    case Difficulty::kHard:
      break;
  }
  return {25, 2, 0.50};
}

// The class that an evaluation forgives: it looks like the one that is evaluated.
std::string NeighbourOf(const std::string& type) {
  if (absl::EqualsIgnoreCase(type, "Car")) return "Van";
  if (absl::EqualsIgnoreCase(type, "Pedestrian")) return "Person_sitting";
  return "";
}

struct Label {
  const Object* object;
  bool counts;  // Otherwise it takes part in matching, and is neither hit nor miss.
};

struct Detection {
  const Object* object;
  double score;
  bool small;     // Can be matched; never a hit nor a false positive.
  bool forgiven;  // No false positive if nothing takes it.
};

// A label's overlap with a detection that is large enough to match.
struct Candidate {
  size_t detection;
  double overlap;
};

struct Counts {
  int64_t hits = 0;
  int64_t false_positives = 0;
};

double Overlap(View view, const Object& a, const Object& b) {
  switch (view) {
    case View::kImage:
      return Iou2d(a.box_2d, b.box_2d);
    case View::kBirdsEye:
      return IouBirdsEye(a.box_3d, b.box_3d);
    case View::k3d:
      break;
  }
  return Iou3d(a.box_3d, b.box_3d);
}

// The part of the detection that a DontCare area covers. DontCare areas have no 3D box in KITTI;
// one that has is respected.
double CoveredFraction(View view, const Object& detection, const Object& area) {
  const double overlap = Overlap(view, detection, area);
  if (overlap == 0) return 0;
  const auto size = [view](const Object& object) {
    switch (view) {
      case View::kImage:
        return object.box_2d.width() * object.box_2d.height();
      case View::kBirdsEye:
        return object.box_3d.length * object.box_3d.width;
      case View::k3d:
        break;
    }
    return object.box_3d.length * object.box_3d.width * object.box_3d.height;
  };
  if (view == View::kImage) {
    // Directly, not from the ratio: limits are met exactly then.
    const Box2d &a = detection.box_2d, &b = area.box_2d;
    return (std::min(a.right, b.right) - std::max(a.left, b.left)) *
           (std::min(a.bottom, b.bottom) - std::max(a.top, b.top)) / size(detection);
  }
  // overlap = i / (d + a - i), so i = overlap * (d + a) / (1 + overlap).
  return overlap * (size(detection) + size(area)) / (1 + overlap) / size(detection);
}

bool HasDepth(const Object& object) { return object.box_3d.length > 0 && object.box_3d.z != -1000; }

bool InDepthRange(const Object& object, const AveragePrecisionOptions& options) {
  const double z = object.box_3d.z;
  if (options.min_depth_m > 0 && !(z > options.min_depth_m)) return false;
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

// One image's labels, detections and overlaps, from which it can be matched at any threshold.
class ImageMatcher {
 public:
  ImageMatcher(const ImageObjects& image, const AveragePrecisionOptions& options) {
    const DifficultyLimits limits = LimitsOf(options.difficulty);
    const std::string neighbour = NeighbourOf(options.type);
    std::vector<const Object*> areas;
    for (const Object& label : image.labels) {
      if (absl::EqualsIgnoreCase(label.type, "DontCare")) areas.push_back(&label);
      const bool of_class = absl::EqualsIgnoreCase(label.type, options.type);
      const bool of_neighbour = !neighbour.empty() && absl::EqualsIgnoreCase(label.type, neighbour);
      if (!of_class && !of_neighbour) continue;
      const bool counts = of_class && label.occlusion <= limits.max_occlusion &&
                          label.truncation <= limits.max_truncation &&
                          label.box_2d.height() > limits.min_height_px &&
                          InDepthRange(label, options);
      labels_.push_back({&label, counts});
    }
    for (const Object& detection : image.detections) {
      const bool of_class = absl::EqualsIgnoreCase(detection.type, options.type);
      usable_ = usable_ || (of_class && IsUsable(detection, options.view));
      // Smallness is tested before the class: a small detection of any class takes part.
      const bool small = detection.box_2d.height() < limits.min_height_px;
      if (!of_class && !small) continue;
      const double score = detection.score.value_or(-std::numeric_limits<double>::infinity());
      if (std::isnan(score)) continue;  // Ranks nowhere.
      bool forgiven = HasDepth(detection) && !InDepthRange(detection, options);
      for (const Object* area : areas) {
        forgiven =
            forgiven || CoveredFraction(options.view, detection, *area) > options.iou_threshold;
      }
      detections_.push_back({&detection, score, small, forgiven});
    }
    candidates_.resize(labels_.size());
    for (size_t i = 0; i < labels_.size(); ++i) {
      for (size_t j = 0; j < detections_.size(); ++j) {
        const double overlap = Overlap(options.view, *detections_[j].object, *labels_[i].object);
        if (overlap > options.iou_threshold) candidates_[i].push_back({j, overlap});
      }
    }
  }

  bool usable() const { return usable_; }

  int64_t counted_labels() const {
    return std::count_if(labels_.begin(), labels_.end(),
                         [](const Label& label) { return label.counts; });
  }

  // Pass one: each label, in order, takes its surest free detection. Returns the scores of hits.
  std::vector<double> HitScores() const {
    std::vector<bool> taken(detections_.size(), false);
    std::vector<double> scores;
    for (size_t i = 0; i < labels_.size(); ++i) {
      const Detection* best = nullptr;
      size_t best_index = 0;
      for (const Candidate& candidate : candidates_[i]) {
        const Detection& detection = detections_[candidate.detection];
        if (taken[candidate.detection]) continue;
        if (best == nullptr || detection.score > best->score) {
          best = &detection;
          best_index = candidate.detection;
        }
      }
      if (best == nullptr) continue;
      taken[best_index] = true;
      if (labels_[i].counts && !best->small) scores.push_back(best->score);
    }
    return scores;
  }

  // Pass two, with the detections whose score is at least `threshold`: each label, in order, takes
  // the free normal detection that it overlaps most, else the first small one.
  Counts CountAt(double threshold) const {
    std::vector<bool> taken(detections_.size(), false);
    Counts counts;
    for (size_t i = 0; i < labels_.size(); ++i) {
      const Candidate* best = nullptr;
      for (const Candidate& candidate : candidates_[i]) {
        const Detection& detection = detections_[candidate.detection];
        if (taken[candidate.detection] || detection.score < threshold) continue;
        const bool best_is_small = best != nullptr && detections_[best->detection].small;
        if (best == nullptr ||
            (!detection.small && (best_is_small || candidate.overlap > best->overlap))) {
          best = &candidate;
        }
      }
      if (best == nullptr) continue;
      taken[best->detection] = true;
      if (labels_[i].counts && !detections_[best->detection].small) ++counts.hits;
    }
    for (size_t j = 0; j < detections_.size(); ++j) {
      const Detection& detection = detections_[j];
      if (detection.score >= threshold && !taken[j] && !detection.small && !detection.forgiven) {
        ++counts.false_positives;
      }
    }
    return counts;
  }

  // Distinct scores of detections, falling: where CountAt changes.
  std::vector<double> Scores() const {
    std::vector<double> scores;
    for (const Detection& detection : detections_) scores.push_back(detection.score);
    std::sort(scores.begin(), scores.end(), std::greater<>());
    scores.erase(std::unique(scores.begin(), scores.end()), scores.end());
    return scores;
  }

 private:
  std::vector<Label> labels_;
  std::vector<Detection> detections_;
  std::vector<std::vector<Candidate>> candidates_;  // By label, in the detections' order.
  bool usable_ = false;
};

// The scores at which precision is sampled: where recall comes nearest to 0, 1/40, 2/40 ...
// @param weighted_scores  Scores of hits, falling, each with how often it occurs.
std::vector<double> Thresholds(const std::vector<std::pair<double, int32_t>>& weighted_scores,
                               int64_t label_count) {
  int64_t total = 0;
  for (const auto& [score, weight] : weighted_scores) total += weight;
  std::vector<double> thresholds;
  double recall = 0;
  int64_t i = 0;
  const auto n = static_cast<double>(label_count);
  for (const auto& [score, weight] : weighted_scores) {
    for (int32_t copy = 0; copy < weight; ++copy, ++i) {
      const double left = static_cast<double>(i + 1) / n;
      const double right = static_cast<double>(i + 2) / n;
      if (i + 1 < total && right - recall < recall - left) continue;
      thresholds.push_back(score);
      recall += 1.0 / (kSamples - 1.0);
    }
  }
  if (thresholds.size() > kSamples) thresholds.resize(kSamples);
  return thresholds;
}

double Average(std::vector<double> precisions, int recall_points) {
  for (size_t k = precisions.size() - 1; k-- > 0;) {
    precisions[k] = std::max(precisions[k], precisions[k + 1]);
  }
  double sum = 0;
  if (recall_points == 11) {
    for (int k = 0; k < kSamples; k += 4) sum += precisions[k];
    return 100 * sum / 11;
  }
  for (int k = 1; k < kSamples; ++k) sum += precisions[k];
  return 100 * sum / 40;
}

}  // namespace

// The two passes of the evaluator depend on other images only through the thresholds. So each
// image is matched once per distinct score of its own; any resample then only adds up.
struct AveragePrecision::Matches {
  struct Hit {
    double score;
    size_t image;
  };
  // What an image's counts change by when the threshold falls to `score`.
  struct Step {
    double score;
    size_t image;
    Counts change;
  };
  std::vector<Hit> hits;    // By falling score.
  std::vector<Step> steps;  // By falling score.
  std::vector<int64_t> counted_labels;
  std::vector<bool> usable;
  int recall_points = 40;
};

AveragePrecision::AveragePrecision(const std::vector<ImageObjects>& images,
                                   const AveragePrecisionOptions& options)
    : matches_(std::make_unique<Matches>()) {
  matches_->recall_points = options.recall_points;
  for (size_t i = 0; i < images.size(); ++i) {
    const ImageMatcher matcher(images[i], options);
    matches_->counted_labels.push_back(matcher.counted_labels());
    matches_->usable.push_back(matcher.usable());
    for (const double score : matcher.HitScores()) matches_->hits.push_back({score, i});
    Counts before;
    for (const double score : matcher.Scores()) {
      const Counts counts = matcher.CountAt(score);
      const Counts change = {counts.hits - before.hits,
                             counts.false_positives - before.false_positives};
      if (change.hits != 0 || change.false_positives != 0) {
        matches_->steps.push_back({score, i, change});
      }
      before = counts;
    }
  }
  const auto falling = [](const auto& a, const auto& b) { return a.score > b.score; };
  std::stable_sort(matches_->hits.begin(), matches_->hits.end(), falling);
  std::stable_sort(matches_->steps.begin(), matches_->steps.end(), falling);
}

AveragePrecision::~AveragePrecision() = default;

double AveragePrecision::Compute(const std::vector<int32_t>& counts) const {
  int64_t label_count = 0;
  bool usable = false;
  for (size_t i = 0; i < matches_->counted_labels.size(); ++i) {
    label_count += counts[i] * matches_->counted_labels[i];
    usable = usable || (counts[i] > 0 && matches_->usable[i]);
  }
  if (label_count == 0) return std::numeric_limits<double>::quiet_NaN();
  if (!usable) return 0;
  std::vector<std::pair<double, int32_t>> scores;
  scores.reserve(matches_->hits.size());
  for (const Matches::Hit& hit : matches_->hits) {
    if (counts[hit.image] > 0) scores.emplace_back(hit.score, counts[hit.image]);
  }
  const std::vector<double> thresholds = Thresholds(scores, label_count);
  std::vector<double> precisions(kSamples, 0);
  Counts total;
  size_t step = 0;
  for (size_t k = 0; k < thresholds.size(); ++k) {
    for (; step < matches_->steps.size() && matches_->steps[step].score >= thresholds[k]; ++step) {
      const Matches::Step& next = matches_->steps[step];
      total.hits += counts[next.image] * next.change.hits;
      total.false_positives += counts[next.image] * next.change.false_positives;
    }
    // 0/0 (the passes may disagree) is 0; the public tool has NaN there.
    const int64_t detected = total.hits + total.false_positives;
    precisions[k] = detected == 0 ? 0 : static_cast<double>(total.hits) / detected;
  }
  return Average(std::move(precisions), matches_->recall_points);
}

double AveragePrecision::Compute() const {
  return Compute(std::vector<int32_t>(matches_->counted_labels.size(), 1));
}

int64_t AveragePrecision::label_count() const {
  return std::accumulate(matches_->counted_labels.begin(), matches_->counted_labels.end(),
                         int64_t{0});
}

void AddAveragePrecisionLoss(const std::vector<ImageObjects>& images,
                             const AveragePrecisionOptions& options, const v1::Bootstrap& bootstrap,
                             const std::string& loss, const std::string& slice, bool judged,
                             v1::Evaluation& evaluation) {
  const AveragePrecision average_precision(images, options);
  v1::LossEstimate& estimate = *evaluation.add_losses();
  estimate.set_loss(loss);
  estimate.set_slice(slice);
  estimate.set_judged(judged);
  // Subtracted, so that AP 0 is loss 0 and not -0.
  estimate.set_value(0.0 - average_precision.Compute());
  const auto examples = static_cast<int64_t>(images.size());
  for (int32_t b = 0; b < bootstrap.resample_count(); ++b) {
    estimate.add_resampled(
        0.0 - average_precision.Compute(ResampleCounts(bootstrap.seed(), b, examples)));
  }
}

}  // namespace backfire::metrics
