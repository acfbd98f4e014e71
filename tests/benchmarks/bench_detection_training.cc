// What a detector reaches on ground-truth disparity, or another: renders a world (or opens a
// dataset), trains the proposals and a detector in this process, and prints time and average
// precision on test frames.
#include <CLI/CLI.hpp>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <ctime>
#include <filesystem>
#include <iostream>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "services/base/command_line.h"
#include "services/base/digest.h"
#include "services/base/file.h"
#include "services/base/memory.h"
#include "services/base/status.h"
#include "services/car/car_model.h"
#include "services/datasets/rendered_dataset.h"
#include "services/datasets/stereo_dataset.h"
#include "services/disparity/disparity_model.h"
#include "services/metrics/iou.h"
#include "services/pedestrian/pedestrian_model.h"
#include "services/pointcloud/pointcloud_model.h"
#include "services/proposals/proposals_model.h"
#include "services/runtime/recipe.h"

namespace backfire::benchmarks {
namespace {

using runtime::Split;
using runtime::TensorMap;

struct Options {
  std::string dataset, profile = "tiny", work = "build/bench-detection-training";
  std::vector<std::string> vertices = {"car"};
  std::string recipe = "frustum-pointnet", boxes = "proposals", disparity = "truth";
  std::vector<std::string> parameters, proposals, pointcloud, disparity_parameters;
  int64_t train = 600, test = 320, seed = 1, render_seed = 1;
  int threads = 2;
};

double SecondsSince(std::chrono::steady_clock::time_point start) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

// Says now and then how far a training is.
class PrintingJob final : public runtime::JobContext {
 public:
  void Report(const v1::Progress& progress) override {
    const bool last = progress.step() == progress.total_steps();
    if (progress.stage() != "training" || (SecondsSince(printed_) < 10 && !last)) return;
    printed_ = std::chrono::steady_clock::now();
    std::fprintf(stderr, "  step %lld of %lld, loss %.3f, %.0f s to go\n",
                 static_cast<long long>(progress.step()),
                 static_cast<long long>(progress.total_steps()), progress.loss(),
                 progress.eta_seconds());
  }
  bool cancelled() const override { return false; }

 private:
  std::chrono::steady_clock::time_point printed_ = std::chrono::steady_clock::now();
};

absl::StatusOr<v1::Recipe> MakeRecipe(const runtime::Model& model, const std::string& name,
                                      const std::vector<std::string>& parameters) {
  v1::Recipe recipe;
  recipe.set_name(name);
  for (const std::string& parameter : parameters) {
    const std::pair<std::string, std::string> parts =
        absl::StrSplit(parameter, absl::MaxSplits('=', 1));
    double number = 0;
    if (absl::SimpleAtod(parts.second, &number)) {
      runtime::SetParameter(recipe, parts.first, number);
    } else {
      runtime::SetParameter(recipe, parts.first, parts.second);
    }
  }
  return model.ResolveRecipe(recipe);
}

class Outputs final : public runtime::Examples {
 public:
  std::vector<TensorMap> examples;
  int64_t size() const override { return static_cast<int64_t>(examples.size()); }
  absl::StatusOr<TensorMap> Get(int64_t example) const override {
    return examples.at(static_cast<size_t>(example));
  }
};

// What the parents of a detector give: points from the true disparity or a model's, boxes of the
// proposals or of the labels.
class ParentOutputs final : public runtime::Examples {
 public:
  ParentOutputs(const datasets::StereoDataset& dataset, Split split,
                const runtime::Predictor* disparity, const runtime::Predictor& pointcloud,
                const Outputs* proposals)
      : dataset_(dataset),
        split_(split),
        disparity_(disparity),
        pointcloud_(pointcloud),
        proposals_(proposals),
        kept_(static_cast<size_t>(dataset.size(split))) {}
  int64_t size() const override { return dataset_.size(split_); }
  absl::StatusOr<TensorMap> Get(int64_t example) const override {
    BACKFIRE_ASSIGN_OR_RETURN(
        TensorMap inputs,
        dataset_.RequestInputs(split_, example, {"left", "right", "calibration"}));
    BACKFIRE_ASSIGN_OR_RETURN(inputs["disparity"], Disparity(example, inputs));
    BACKFIRE_ASSIGN_OR_RETURN(TensorMap cloud, pointcloud_.Predict(inputs, Never));
    cloud["calibration"] = inputs["calibration"];
    if (proposals_ != nullptr) {
      BACKFIRE_ASSIGN_OR_RETURN(TensorMap boxes, proposals_->Get(example));
      cloud["boxes_2d"] = std::move(boxes["boxes_2d"]);
    } else {
      BACKFIRE_ASSIGN_OR_RETURN(cloud["boxes_2d"], LabelBoxes(example));
    }
    return cloud;
  }
  /// The disparity alone, for its own losses.
  absl::StatusOr<TensorMap> DisparityOutput(int64_t example) const {
    BACKFIRE_ASSIGN_OR_RETURN(
        const TensorMap inputs,
        dataset_.RequestInputs(split_, example, {"left", "right", "calibration"}));
    TensorMap outputs;
    BACKFIRE_ASSIGN_OR_RETURN(outputs["disparity"], Disparity(example, inputs));
    return outputs;
  }

 private:
  static bool Never() { return false; }

  absl::StatusOr<runtime::Tensor> Disparity(int64_t example, const TensorMap& inputs) const {
    std::optional<runtime::Tensor>& kept = kept_[static_cast<size_t>(example)];
    if (kept.has_value()) return *kept;
    if (disparity_ != nullptr) {
      BACKFIRE_ASSIGN_OR_RETURN(TensorMap outputs, disparity_->Predict(inputs, Never));
      kept = std::move(outputs["disparity"]);
      return *kept;
    }
    BACKFIRE_ASSIGN_OR_RETURN(const cv::Mat truth, dataset_.Disparity(split_, example));
    kept = runtime::MakeTensor(runtime::Datatype::kFp32, {truth.rows, truth.cols});
    for (int row = 0; row < truth.rows; ++row) {
      std::memcpy(kept->MutableAs<float>() + static_cast<int64_t>(row) * truth.cols,
                  truth.ptr<float>(row), static_cast<size_t>(truth.cols) * sizeof(float));
    }
    return *kept;
  }

  absl::StatusOr<runtime::Tensor> LabelBoxes(int64_t example) const {
    BACKFIRE_ASSIGN_OR_RETURN(const auto labels, dataset_.Labels(split_, example));
    std::vector<float> values;
    for (const metrics::Object& label : labels) {
      if (label.type != "Car" && label.type != "Pedestrian") continue;
      const metrics::Box2d& box = label.box_2d;
      for (const double value :
           {box.left, box.top, box.right, box.bottom, 1.0, label.type == "Car" ? 0.0 : 1.0}) {
        values.push_back(static_cast<float>(value));
      }
    }
    runtime::Tensor boxes =
        runtime::MakeTensor(runtime::Datatype::kFp32, {static_cast<int64_t>(values.size()) / 6, 6});
    if (!values.empty()) std::memcpy(boxes.data.data(), values.data(), boxes.data.size());
    return boxes;
  }

  const datasets::StereoDataset& dataset_;
  const Split split_;
  const runtime::Predictor* const disparity_;
  const runtime::Predictor& pointcloud_;
  const Outputs* const proposals_;                            // Null: the labels' boxes.
  mutable std::vector<std::optional<runtime::Tensor>> kept_;  // One thread.
};

absl::StatusOr<std::unique_ptr<runtime::Predictor>> Train(
    const runtime::Model& model, const v1::Recipe& recipe, const datasets::StereoDataset& dataset,
    const runtime::Examples& inputs, const Options& options, const std::string& key) {
  const std::string digest = Sha256Hex(absl::StrCat(
      recipe.ShortDebugString(), "\n", dataset.digest(), "\n", options.seed, "\n", key));
  const std::filesystem::path kept =
      std::filesystem::path(options.work) / absl::StrCat(digest.substr(0, 16), ".weights");
  if (const auto weights = ReadFile(kept); weights.ok()) {
    std::printf("  weights of an earlier run: %s\n", kept.c_str());
    return model.Load(recipe, *weights);
  }
  runtime::TrainingTask task;
  task.recipe = recipe;
  task.seed = options.seed;
  task.dataset = &dataset;
  task.train_inputs = task.validation_inputs = &inputs;
  task.files.checkpoint = kept.string() + ".checkpoint";
  PrintingJob job;
  const auto start = std::chrono::steady_clock::now();
  const std::clock_t cpu = std::clock();
  BACKFIRE_ASSIGN_OR_RETURN(const std::string weights, model.Train(task, job));
  std::printf("  trained in %.1f s (%.1f s of CPU), %.2f MB of weights\n", SecondsSince(start),
              static_cast<double>(std::clock() - cpu) / CLOCKS_PER_SEC,
              static_cast<double>(weights.size()) / 1e6);
  BACKFIRE_RETURN_IF_ERROR(WriteFileAtomically(kept, weights));
  std::filesystem::remove(task.files.checkpoint);
  return model.Load(recipe, weights);
}

void PrintLosses(const v1::Evaluation& evaluation) {
  for (const auto& loss : evaluation.losses()) {
    std::printf("  %-18s %-16s %7.2f\n", loss.loss().c_str(), loss.slice().c_str(), loss.value());
  }
}

// How many labels some proposal of the class finds, by overlap.
absl::Status PrintRecall(const datasets::StereoDataset& dataset, const Outputs& outputs) {
  for (const auto& [type, index, depth] :
       {std::tuple("Car", 0, 40.0), std::tuple("Pedestrian", 1, 20.0)}) {
    int64_t labels = 0, found5 = 0, found7 = 0;
    for (int64_t i = 0; i < outputs.size(); ++i) {
      BACKFIRE_ASSIGN_OR_RETURN(const auto objects, dataset.Labels(Split::kTest, i));
      const runtime::Tensor& boxes = outputs.examples[static_cast<size_t>(i)].at("boxes_2d");
      for (const metrics::Object& object : objects) {
        if (object.type != type || object.occlusion > 1 || object.box_2d.height() < 25 ||
            object.box_3d.z > depth) {
          continue;
        }
        double best = 0;
        for (int64_t b = 0; b < boxes.shape[0]; ++b) {
          const float* row = boxes.As<float>() + 6 * b;
          if (static_cast<int>(row[5]) != index) continue;
          best = std::max(best, metrics::Iou2d({row[0], row[1], row[2], row[3]}, object.box_2d));
        }
        ++labels;
        found5 += best > 0.5;
        found7 += best > 0.7;
      }
    }
    std::printf(
        "  %s within %.0f m, moderate: %lld labels, recall %.3f at overlap 0.5, %.3f at 0.7\n",
        type, depth, static_cast<long long>(labels),
        static_cast<double>(found5) / static_cast<double>(std::max<int64_t>(labels, 1)),
        static_cast<double>(found7) / static_cast<double>(std::max<int64_t>(labels, 1)));
  }
  return absl::OkStatus();
}

absl::Status Run(Options options) {
  std::filesystem::create_directories(options.work);
  if (options.dataset.empty()) {
    datasets::RenderedDatasetOptions render;
    BACKFIRE_ASSIGN_OR_RETURN(render.profile, datasets::FindRenderProfile(options.profile));
    render.train = options.train;
    render.validation = 0;
    render.test = options.test;
    render.seed = static_cast<uint64_t>(options.render_seed);
    const std::filesystem::path directory =
        std::filesystem::path(options.work) / absl::StrCat(options.profile, "-", options.train, "-",
                                                           options.test, "-", options.render_seed);
    BACKFIRE_RETURN_IF_ERROR(
        datasets::RenderDataset(
            render, directory, options.threads, [](int64_t, int64_t) {}, [] { return false; })
            .status());
    options.dataset = "kitti:" + std::filesystem::absolute(directory).string();
  }
  BACKFIRE_ASSIGN_OR_RETURN(
      const auto dataset,
      datasets::OpenStereoDataset(options.dataset, runtime::DatasetAccess::Unlimited()));
  std::printf("%s: %lld training frames, %lld test frames\n", options.dataset.c_str(),
              static_cast<long long>(dataset->size(Split::kTrain)),
              static_cast<long long>(dataset->size(Split::kTest)));

  const auto pointcloud = pointcloud::MakePointCloudModel();
  BACKFIRE_ASSIGN_OR_RETURN(const v1::Recipe cloud_recipe,
                            MakeRecipe(*pointcloud, "pseudo-lidar", options.pointcloud));
  BACKFIRE_ASSIGN_OR_RETURN(const auto clouds, pointcloud->Load(cloud_recipe, ""));

  const Outputs none;
  std::unique_ptr<runtime::Predictor> disparity;
  const auto disparity_model = disparity::MakeDisparityModel({"cpu"});
  std::string disparity_key;
  if (options.disparity != "truth") {
    std::printf("disparity, %s\n", options.disparity.c_str());
    BACKFIRE_ASSIGN_OR_RETURN(
        const v1::Recipe recipe,
        MakeRecipe(*disparity_model, options.disparity, options.disparity_parameters));
    BACKFIRE_ASSIGN_OR_RETURN(disparity,
                              Train(*disparity_model, recipe, *dataset, none, options, ""));
    disparity_key = recipe.ShortDebugString();
  }
  Outputs boxes;
  if (options.boxes == "proposals") {
    std::printf("proposals\n");
    const auto model = proposals::MakeProposalsModel({"cpu"});
    BACKFIRE_ASSIGN_OR_RETURN(const v1::Recipe recipe,
                              MakeRecipe(*model, "centre-point", options.proposals));
    BACKFIRE_ASSIGN_OR_RETURN(const auto predictor,
                              Train(*model, recipe, *dataset, none, options, ""));
    for (int64_t i = 0; i < dataset->size(Split::kTest); ++i) {
      BACKFIRE_ASSIGN_OR_RETURN(const TensorMap inputs,
                                dataset->RequestInputs(Split::kTest, i, {"left"}));
      BACKFIRE_ASSIGN_OR_RETURN(boxes.examples.emplace_back(),
                                predictor->Predict(inputs, [] { return false; }));
    }
    PrintingJob job;
    BACKFIRE_ASSIGN_OR_RETURN(const v1::Evaluation evaluation,
                              model->Evaluate(*dataset, Split::kTest, boxes, {}, job));
    PrintLosses(evaluation);
    BACKFIRE_RETURN_IF_ERROR(PrintRecall(*dataset, boxes));
  }
  const ParentOutputs train_inputs(*dataset, Split::kTrain, disparity.get(), *clouds, nullptr);
  const ParentOutputs test_inputs(*dataset, Split::kTest, disparity.get(), *clouds,
                                  options.boxes == "proposals" ? &boxes : nullptr);
  if (disparity != nullptr) {
    Outputs outputs;
    for (int64_t i = 0; i < test_inputs.size(); ++i) {
      BACKFIRE_ASSIGN_OR_RETURN(outputs.examples.emplace_back(), test_inputs.DisparityOutput(i));
    }
    PrintingJob job;
    BACKFIRE_ASSIGN_OR_RETURN(const v1::Evaluation evaluation,
                              disparity_model->Evaluate(*dataset, Split::kTest, outputs, {}, job));
    std::printf("losses of the disparity\n");
    PrintLosses(evaluation);
  }
  for (const std::string& vertex : options.vertices) {
    std::printf("%s, %s\n", vertex.c_str(), options.recipe.c_str());
    const auto model =
        vertex == "car" ? car::MakeCarModel({"cpu"}) : pedestrian::MakePedestrianModel({"cpu"});
    BACKFIRE_ASSIGN_OR_RETURN(const v1::Recipe recipe,
                              MakeRecipe(*model, options.recipe, options.parameters));
    BACKFIRE_ASSIGN_OR_RETURN(
        const auto predictor,
        Train(*model, recipe, *dataset, train_inputs, options,
              absl::StrCat(vertex, cloud_recipe.ShortDebugString(), disparity_key)));
    Outputs outputs;
    const auto start = std::chrono::steady_clock::now();
    double seconds = 0;
    for (int64_t i = 0; i < test_inputs.size(); ++i) {
      BACKFIRE_ASSIGN_OR_RETURN(const TensorMap inputs, test_inputs.Get(i));
      const auto begin = std::chrono::steady_clock::now();
      BACKFIRE_ASSIGN_OR_RETURN(outputs.examples.emplace_back(),
                                predictor->Predict(inputs, [] { return false; }));
      seconds += SecondsSince(begin);
    }
    std::printf("  %.1f ms a test frame (%.1f s with its inputs)\n",
                1e3 * seconds / static_cast<double>(std::max<int64_t>(1, test_inputs.size())),
                SecondsSince(start));
    PrintingJob job;
    BACKFIRE_ASSIGN_OR_RETURN(const v1::Evaluation evaluation,
                              model->Evaluate(*dataset, Split::kTest, outputs, {}, job));
    PrintLosses(evaluation);
  }
  return absl::OkStatus();
}

}  // namespace
}  // namespace backfire::benchmarks

int main(int argc, char** argv) {
  backfire::KeepFreedMemory();
  using namespace backfire::benchmarks;
  Options options;
  CLI::App app(
      "Trains detectors on ground-truth disparity, or another, and prints what they reach on test "
      "frames. "
      "Worlds "
      "and weights are kept in --work, and used again.",
      "bench-detection-training");
  app.add_option("--dataset", options.dataset, "kitti:DIRECTORY; by default a world is rendered");
  app.add_option("--profile", options.profile, "Of the rendered world")->capture_default_str();
  app.add_option("--train", options.train, "Rendered training frames")->capture_default_str();
  app.add_option("--test", options.test, "Rendered test frames")->capture_default_str();
  app.add_option("--render-seed", options.render_seed)->capture_default_str();
  app.add_option("--vertex", options.vertices, "car, pedestrian, or both")
      ->check(CLI::IsMember({"car", "pedestrian"}))
      ->capture_default_str();
  app.add_option("--recipe", options.recipe, "Of the detector")->capture_default_str();
  app.add_option("--set", options.parameters, "The detector's parameters, NAME=VALUE");
  app.add_option("--set-proposals", options.proposals, "The proposals' parameters, NAME=VALUE");
  app.add_option("--set-pointcloud", options.pointcloud, "The point cloud's, NAME=VALUE");
  app.add_option("--disparity", options.disparity, "truth, or a recipe of the disparity model")
      ->capture_default_str();
  app.add_option("--set-disparity", options.disparity_parameters, "Its parameters, NAME=VALUE");
  app.add_option("--boxes", options.boxes, "2D boxes of test frames: proposals, or labels")
      ->check(CLI::IsMember({"proposals", "labels"}))
      ->capture_default_str();
  app.add_option("--seed", options.seed, "Of the trainings")->capture_default_str();
  app.add_option("--threads", options.threads, "That render")->capture_default_str();
  app.add_option("--work", options.work, "Where worlds and weights are kept")
      ->capture_default_str();
  app.footer(
      "Example: bench-detection-training --vertex car pedestrian --set steps=600 width=0.25 "
      "points=256 object_points=128 depth=relative");
  if (const std::optional<int> code = backfire::ParseCommandLine(app, argc, argv)) return *code;
  std::setvbuf(stdout, nullptr, _IOLBF, 0);
  const absl::Status status = Run(options);
  if (!status.ok()) std::cerr << "bench-detection-training: " << status.ToString() << "\n";
  return status.ok() ? 0 : 1;
}
