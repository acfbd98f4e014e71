// Frustum PointNet v1: layers, masks, boxes and losses in evaluation, of the port and of the
// original; losses, gradients and batch normalisation in training.
#include <torch/types.h>
#include <torch/utils.h>

#include <cmath>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "services/base/file.h"
#include "services/base/status.h"
#include "services/detection/frustum_pointnet.h"
#include "tests/parity/formula.h"
#include "tests/parity/networks.h"
#include "tests/parity/state_dict_table.h"

namespace backfire::parity {
namespace {

using detection::FrustumLoss;
using detection::FrustumLossOptions;
using detection::FrustumPointNet;
using detection::FrustumPointNetOptions;
using detection::FrustumPrediction;
using detection::FrustumTruth;
using detection::FrustumVariant;
using torch::Tensor;

// What the reference's README accepts: losses in training agree to 5e-5 between float32 and
// float64, gradients of the segmentation to a percent; a bias before a batch norm has none.
constexpr double kTrainingLossFraction = 5e-5, kGradientFraction = 0.01, kNoGradient = 1e-4;
constexpr double kHalfBin = M_PI / detection::kHeadingBins;

struct FrustumInputs {
  Tensor points, one_hot;
  FrustumTruth truth;
};

// The reference has channels before points.
absl::StatusOr<FrustumInputs> MakeInputs(const VectorCase& vector_case) {
  BACKFIRE_ASSIGN_OR_RETURN(const Vector* logits, vector_case.Find("logits"));
  if (logits->shape.size() != 3) return absl::DataLossError("logits must be [B, N, 2]");
  const int64_t batch = logits->shape[0], count = logits->shape[1];
  if (batch != 4) return absl::DataLossError("the formula's labels are of 4 items");
  const std::string prefix = absl::StrCat(vector_case.name.set, ".frustum.");
  const Tensor v = FormulaV(prefix + "points.1", {batch, 4, count});
  const Tensor scale = torch::tensor({3.0, 1.5, 4.0, 0.5}, torch::kFloat64).view({1, 4, 1});
  const Tensor offset = torch::tensor({0.0, 1.0, 0.0, 0.5}, torch::kFloat64).view({1, 4, 1});
  FrustumInputs inputs;
  inputs.points = (v * scale + offset).to(torch::kFloat32).transpose(1, 2).contiguous();
  inputs.one_hot =
      torch::tensor({{1.f, 0.f, 0.f}, {0.f, 1.f, 0.f}, {0.f, 0.f, 1.f}, {1.f, 0.f, 0.f}});
  FrustumTruth& truth = inputs.truth;
  truth.mask = (FormulaU(prefix + "seg", {batch, count}) < 0.4).to(torch::kInt64);
  truth.center =
      (FormulaV(prefix + "center", {batch, 3}) * torch::tensor({2.0, 0.5, 2.0}, torch::kFloat64) +
       torch::tensor({0.0, 1.0, 0.0}, torch::kFloat64))
          .to(torch::kFloat32);
  truth.heading_bin = torch::tensor({int64_t{0}, int64_t{3}, int64_t{7}, int64_t{11}});
  truth.heading_residual =
      (kHalfBin * FormulaV(prefix + "heading_residual", {batch})).to(torch::kFloat32);
  truth.size_cluster = torch::tensor({int64_t{0}, int64_t{3}, int64_t{5}, int64_t{1}});
  truth.size_residual = (0.2 * FormulaV(prefix + "size_residual", {batch, 3})).to(torch::kFloat32);
  return inputs;
}

absl::StatusOr<FrustumPointNet> MakeNetwork(const VectorCase& vector_case, FrustumVariant variant) {
  BACKFIRE_ASSIGN_OR_RETURN(
      const auto table,
      ReadStateDictTable(vector_case.directory /
                         absl::StrCat(vector_case.name.network, ".state_dict.tsv")));
  FrustumPointNetOptions options;
  options.variant = variant;
  FrustumPointNet network(options);
  BACKFIRE_RETURN_IF_ERROR(FillByFormula(table, absl::StrCat(vector_case.name.set, "."), *network));
  return network;
}

// Compares what the file has under `prefix`.
void CompareOutputs(const std::string& prefix, const FrustumPrediction& p,
                    const VectorCase& vector_case, ParityReport& report) {
  std::vector<float> means;
  for (const detection::SizeCluster& cluster : detection::kSizeClusters) {
    means.insert(means.end(), {cluster.length, cluster.width, cluster.height});
  }
  const Tensor sizes = torch::tensor(means).view({1, detection::kSizeClusterCount, 3});
  const std::vector<std::pair<std::string, Tensor>> outputs = {
      {"logits", p.logits},
      {"mask", p.mask.to(torch::kFloat32)},
      {"positive_counts", p.mask.sum(1)},
      {"object_points", p.object_points.transpose(1, 2)},
      {"center_delta", p.center_delta},
      {"stage1_center", p.stage1_center},
      {"box_pred", p.box},
      {"center_boxnet", p.box.narrow(1, 0, 3)},
      {"heading_scores", p.heading_scores},
      {"heading_residuals_normalized", p.heading_residual},
      {"heading_residuals", p.heading_residual * kHalfBin},
      {"size_scores", p.size_scores},
      {"size_residuals_normalized", p.size_residual},
      {"size_residuals", p.size_residual * sizes},
      {"center", p.center}};
  for (const auto& [name, tensor] : outputs) {
    if (vector_case.vectors.count(prefix + name) > 0) report.Compare(prefix + name, tensor);
  }
}

void CompareLosses(const std::string& prefix, const FrustumLoss& loss, double fraction,
                   const VectorCase& vector_case, ParityReport& report) {
  const std::vector<std::pair<std::string, Tensor>> terms = {
      {"total", loss.total},
      {"mask", loss.mask},
      {"center", loss.center},
      {"heading_class", loss.heading_class},
      {"size_class", loss.size_class},
      {"heading_residual_normalized", loss.heading_residual},
      {"size_residual_normalized", loss.size_residual},
      {"stage1_center", loss.stage1_center},
      {"corners", loss.corners}};
  for (const auto& [name, term] : terms) {
    if (vector_case.vectors.count(prefix + name) == 0) continue;
    report.CompareScalar(prefix + name, term.item<double>(), fraction);
  }
}

absl::Status RunEvaluation(const VectorCase& vector_case, const FrustumInputs& inputs,
                           ParityReport& report) {
  constexpr double kFraction = 1e-6;
  const torch::InferenceMode no_gradient;
  for (const FrustumVariant variant : {FrustumVariant::kPort, FrustumVariant::kOriginal}) {
    const bool port = variant == FrustumVariant::kPort;
    BACKFIRE_ASSIGN_OR_RETURN(FrustumPointNet network, MakeNetwork(vector_case, variant));
    network->eval();
    detection::LayerTrace trace;
    const FrustumPrediction p = network->forward(inputs.points, inputs.one_hot, nullptr, &trace);
    const std::string prefix = port ? "" : "tf_variant.";
    CompareOutputs(prefix, p, vector_case, report);
    for (const auto& [name, tensor] : trace) {
      if (port && vector_case.vectors.count(name) > 0) report.Compare(name, tensor);
    }
    FrustumLossOptions options;
    options.stage1_from_label = true;
    const FrustumLoss original = ComputeFrustumLoss(p, inputs.truth, options);
    CompareLosses(port ? "eval_loss.label_stage1." : "tf_variant.eval_loss.", original, kFraction,
                  vector_case, report);
    if (!port) continue;
    options.stage1_from_label = false;
    CompareLosses("eval_loss.", ComputeFrustumLoss(p, inputs.truth, options), kFraction,
                  vector_case, report);
  }
  return absl::OkStatus();
}

absl::Status CompareGradients(const VectorCase& vector_case, const FrustumPointNet& network,
                              ParityReport& report) {
  const std::string table = absl::StrCat(vector_case.Label(), ".train.gradnorms.tsv");
  BACKFIRE_ASSIGN_OR_RETURN(const std::string content, ReadFile(vector_case.directory / table));
  const auto parameters = network->named_parameters();
  size_t rows = 0;
  for (const absl::string_view line : absl::StrSplit(content, '\n', absl::SkipEmpty())) {
    if (absl::StartsWith(line, "index")) continue;
    // index, name, norm in float32, norm in float64 ...
    const std::vector<std::string> cells = absl::StrSplit(line, '\t');
    double norm32 = 0, norm64 = 0;
    if (cells.size() < 4 || !absl::SimpleAtod(cells[2], &norm32) ||
        !absl::SimpleAtod(cells[3], &norm64)) {
      return absl::DataLossError(absl::StrCat(table, ": not a table of gradient norms"));
    }
    ++rows;
    const std::string label = absl::StrCat("grad_norm.", cells[1]);
    const Tensor* parameter = parameters.find(cells[1]);
    if (parameter == nullptr) {
      report.Fail(label, "the network has no such parameter");
      continue;
    }
    const double ours = parameter->grad().to(torch::kFloat64).norm().item<double>();
    const bool none = norm64 < 1e-9;
    report.Number(label, ours, none ? 0 : norm32, none ? kNoGradient : kGradientFraction * norm32);
  }
  if (rows != parameters.size()) {
    report.Fail(table, absl::StrCat("has ", rows, " rows: the network has ", parameters.size(),
                                    " parameters"));
  }
  return absl::OkStatus();
}

absl::Status RunTrainingStep(const VectorCase& vector_case, const FrustumInputs& inputs,
                             ParityReport& report) {
  BACKFIRE_ASSIGN_OR_RETURN(FrustumPointNet network,
                            MakeNetwork(vector_case, FrustumVariant::kPort));
  network->train();
  const FrustumPrediction p = network->forward(inputs.points, inputs.one_hot);
  CompareOutputs("train.", p, vector_case, report);
  FrustumLossOptions options;
  options.stage1_from_label = false;
  const FrustumLoss loss = ComputeFrustumLoss(p, inputs.truth, options);
  CompareLosses("train_loss.", loss, kTrainingLossFraction, vector_case, report);
  loss.total.backward();
  BACKFIRE_RETURN_IF_ERROR(CompareGradients(vector_case, network, report));
  for (const auto& buffer : network->named_buffers()) {
    const std::string name = absl::StrCat("train.after.", buffer.key());
    if (vector_case.vectors.count(name) > 0) report.Compare(name, buffer.value());
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status RunFrustumPointNetParity(const VectorCase& vector_case, ParityReport& report) {
  BACKFIRE_ASSIGN_OR_RETURN(const FrustumInputs inputs, MakeInputs(vector_case));
  BACKFIRE_RETURN_IF_ERROR(RunEvaluation(vector_case, inputs, report));
  return RunTrainingStep(vector_case, inputs, report);
}

}  // namespace backfire::parity
