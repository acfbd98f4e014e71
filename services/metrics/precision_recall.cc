#include "services/metrics/precision_recall.h"

#include <algorithm>
#include <limits>
#include <numeric>

namespace backfire::metrics {
namespace {

// Precision at a threshold counts for every lower recall as well.
void TakeMaximumFromTheRight(PrecisionRecall::Samples& samples) {
  for (size_t k = samples.size() - 1; k-- > 0;) samples[k] = std::max(samples[k], samples[k + 1]);
}

}  // namespace

double PrecisionRecall::Average(const Samples& samples, int recall_points) {
  double sum = 0;
  if (recall_points == 11) {
    for (size_t k = 0; k < samples.size(); k += 4) sum += samples[k];
    return 100 * sum / 11;
  }
  for (size_t k = 1; k < samples.size(); ++k) sum += samples[k];
  return 100 * sum / 40;
}

double PrecisionRecall::AverageSimilarity(int recall_points) const {
  return oriented ? Average(similarity, recall_points) : std::numeric_limits<double>::quiet_NaN();
}

MatchPool::MatchPool(const std::vector<FrameMatches>& frames, bool with_similarity) {
  struct ScoredStep {
    double score, similarity;
    Step step;
  };
  size_t hit_count = 0, step_count = 0;
  for (const FrameMatches& frame : frames) {
    hit_count += frame.hit_scores.size();
    step_count += frame.steps.size();
  }
  std::vector<ScoredStep> steps;
  images_.reserve(frames.size());
  hits_.reserve(hit_count);
  steps.reserve(step_count);
  for (const FrameMatches& frame : frames) {
    const auto image = static_cast<int32_t>(images_.size());
    images_.push_back({frame.label_count, frame.usable, frame.oriented && with_similarity});
    for (const double score : frame.hit_scores) hits_.push_back({score, image, 0});
    for (const MatchStep& step : frame.steps) {
      steps.push_back(
          {step.score, step.similarity, {image, step.hits, step.false_positives, step.misses}});
    }
  }
  const auto falling = [](const auto& a, const auto& b) { return a.score > b.score; };
  std::stable_sort(hits_.begin(), hits_.end(), falling);
  std::stable_sort(steps.begin(), steps.end(), falling);
  int32_t down_to = 0;
  for (Hit& hit : hits_) {
    while (static_cast<size_t>(down_to) < steps.size() && steps[down_to].score >= hit.score) {
      ++down_to;
    }
    hit.step_count = down_to;
  }
  // No threshold lies below the last hit.
  steps.resize(static_cast<size_t>(down_to));
  steps_.reserve(steps.size());
  for (const ScoredStep& step : steps) {
    steps_.push_back(step.step);
    if (with_similarity) step_similarity_.push_back(step.similarity);
  }
}

PrecisionRecall MatchPool::Compute(const std::vector<int32_t>& counts) const {
  PrecisionRecall result;
  result.oriented = true;
  for (size_t i = 0; i < images_.size(); ++i) {
    result.label_count += int64_t{counts[i]} * images_[i].label_count;
    if (counts[i] <= 0) continue;
    result.evaluated = result.evaluated || images_[i].usable;
    result.oriented = result.oriented && images_[i].oriented;
  }
  if (!result.evaluated) return result;

  int64_t total = 0;
  for (const Hit& hit : hits_) total += counts[hit.image];
  int64_t hits = 0, false_positives = 0, misses = result.label_count;
  double similarity = 0;
  size_t step = 0;
  double recall = 0;
  int64_t i = 0;
  const auto label_count = static_cast<double>(result.label_count);
  for (const Hit& hit : hits_) {
    for (const int64_t end = i + counts[hit.image]; i < end; ++i) {
      // A score is skipped if the next one comes nearer to the recall that is looked for.
      const double left = static_cast<double>(i + 1) / label_count;
      const double right = static_cast<double>(i + 2) / label_count;
      if (right - recall < recall - left && i + 1 < total) continue;
      recall += 1.0 / (kRecallSamples - 1);
      for (; step < static_cast<size_t>(hit.step_count); ++step) {
        const Step& change = steps_[step];
        const int64_t times = counts[change.image];
        hits += times * change.hits;
        false_positives += times * change.false_positives;
        misses += times * change.misses;
        if (result.oriented && times > 0) {
          similarity += static_cast<double>(times) * step_similarity_[step];
        }
      }
      const size_t k = result.thresholds.size();
      result.thresholds.push_back(hit.score);
      result.hits.push_back(hits);
      result.false_positives.push_back(false_positives);
      result.misses.push_back(misses);
      // There are at most 41: hits are no more than labels that count.
      if (const auto detected = static_cast<double>(hits + false_positives); detected > 0) {
        result.precision[k] = static_cast<double>(hits) / detected;
        result.similarity[k] = result.oriented ? similarity / detected : 0;
      }
    }
  }
  TakeMaximumFromTheRight(result.precision);
  TakeMaximumFromTheRight(result.similarity);
  return result;
}

PrecisionRecall MatchPool::Compute() const {
  return Compute(std::vector<int32_t>(images_.size(), 1));
}

int64_t MatchPool::label_count() const {
  return std::accumulate(images_.begin(), images_.end(), int64_t{0},
                         [](int64_t sum, const Image& image) { return sum + image.label_count; });
}

std::vector<bool> MatchPool::labelled_images() const {
  std::vector<bool> labelled;
  for (const Image& image : images_) labelled.push_back(image.label_count > 0);
  return labelled;
}

}  // namespace backfire::metrics
