#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "services/datasets/rendered_dataset.h"
#include "services/datasets/stereo_dataset.h"
#include "services/runtime/model.h"
#include "services/runtime/recipe.h"
#include "tests/support/temporary_directory.h"

namespace backfire::testing {

/// A job that keeps what it was told, and cancels itself after so many reports.
class RecordingJob : public runtime::JobContext {
 public:
  explicit RecordingJob(int64_t cancel_at_step = -1) : cancel_at_step_(cancel_at_step) {}
  void Report(const v1::Progress& progress) override {
    last_ = progress;
    if (progress.stage() == "training") losses_.push_back(progress.loss());
  }
  bool cancelled() const override {
    return cancel_at_step_ >= 0 && last_.stage() == "training" && last_.step() >= cancel_at_step_;
  }
  const v1::Progress& last() const { return last_; }
  /// The (smoothed) loss at every step of a training.
  const std::vector<double>& losses() const { return losses_; }

 private:
  const int64_t cancel_at_step_;
  v1::Progress last_;
  std::vector<double> losses_;
};

/// Examples in memory.
class FixedExamples : public runtime::Examples {
 public:
  explicit FixedExamples(std::vector<runtime::TensorMap> examples)
      : examples_(std::move(examples)) {}
  int64_t size() const override { return static_cast<int64_t>(examples_.size()); }
  absl::StatusOr<runtime::TensorMap> Get(int64_t example) const override {
    return examples_.at(static_cast<size_t>(example));
  }

 private:
  const std::vector<runtime::TensorMap> examples_;
};

/// A few rendered frames on disk, opened as any dataset is.
class RenderedFrames {
 public:
  RenderedFrames(int64_t train, int64_t test) {
    datasets::RenderedDatasetOptions options;
    options.train = train;
    options.validation = 0;
    options.test = test;
    const auto outcome = datasets::RenderDataset(
        options, directory_ / "world", 2, [](int64_t, int64_t) {}, [] { return false; });
    if (!outcome.ok()) throw std::runtime_error(outcome.status().ToString());
    auto dataset = datasets::OpenStereoDataset("kitti:" + (directory_ / "world").string(),
                                               runtime::DatasetAccess::Unlimited());
    if (!dataset.ok()) throw std::runtime_error(dataset.status().ToString());
    dataset_ = *std::move(dataset);
  }
  const datasets::StereoDataset& dataset() const { return *dataset_; }
  /// What a client would send for a frame.
  runtime::TensorMap Request(runtime::Split split, int64_t example) const {
    return *dataset_->RequestInputs(split, example, {"left", "right", "calibration"});
  }
  std::string checkpoint_path() const { return directory_ / "checkpoint"; }

 private:
  TemporaryDirectory directory_;
  std::shared_ptr<const datasets::StereoDataset> dataset_;
};

/// A recipe of a model with some parameters of its own.
inline v1::Recipe RecipeOf(const runtime::Model& model, const std::string& name,
                           const std::vector<std::pair<std::string, double>>& parameters) {
  v1::Recipe recipe;
  recipe.set_name(name);
  for (const auto& [parameter, value] : parameters) {
    runtime::SetParameter(recipe, parameter, value);
  }
  const auto resolved = model.ResolveRecipe(recipe);
  if (!resolved.ok()) throw std::runtime_error(resolved.status().ToString());
  return *resolved;
}

}  // namespace backfire::testing
