// PSMNet: features, cost volume, scores and disparity in evaluation; losses, gradients and batch
// normalisation in training.
#include <torch/nn/module.h>
#include <torch/types.h>

#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "services/base/file.h"
#include "services/base/status.h"
#include "services/disparity/disparity_loss.h"
#include "services/disparity/psmnet.h"
#include "services/learning/state_dict.h"
#include "tests/parity/formula.h"
#include "tests/parity/networks.h"
#include "tests/parity/state_dict_table.h"

namespace backfire::parity {
namespace {

using disparity::PsmNet;
using disparity::PsmNetOptions;
using disparity::PsmNetTrace;

// What the reference's README accepts in training.
constexpr double kGradientNormFraction = 0.01, kGradientFraction = 0.03;

absl::StatusOr<PsmNet> MakeNetwork(const VectorCase& vector_case, const PsmNetOptions& options) {
  BACKFIRE_ASSIGN_OR_RETURN(
      const auto table,
      ReadStateDictTable(vector_case.directory /
                         absl::StrCat(vector_case.name.network, ".state_dict.tsv")));
  PsmNet network(options, /*seed=*/1);
  BACKFIRE_RETURN_IF_ERROR(FillByFormula(table, absl::StrCat(vector_case.name.set, "."), *network));
  return network;
}

torch::Tensor Image(const std::string& name, torch::IntArrayRef shape) {
  return (2 * FormulaV(name, shape)).to(torch::kFloat32);
}

absl::Status RunEvaluation(const VectorCase& vector_case, PsmNetOptions options,
                           ParityReport& report) {
  BACKFIRE_ASSIGN_OR_RETURN(const Vector* pred, vector_case.Find("pred"));
  if (pred->shape.size() != 4) return absl::DataLossError("pred must be [B, 1, H, W]");
  const std::vector<int64_t> shape = {pred->shape[0], 3, pred->shape[2], pred->shape[3]};
  // Without a volume, it is as published.
  if (const auto volume = vector_case.Find("cost_volume"); volume.ok()) {
    if ((*volume)->shape.size() != 5) {
      return absl::DataLossError("cost_volume must be [B, C, D, h, w]");
    }
    options.max_disparity = (*volume)->shape[2] * options.volume_scale;
  }
  const std::string prefix = absl::StrCat(vector_case.name.set, ".psmnet.");
  const torch::Tensor left = Image(prefix + "left", shape), right = Image(prefix + "right", shape);
  const c10::InferenceMode no_gradient;
  for (const auto& [side, image] : {std::pair("left", left), std::pair("right", right)}) {
    const std::string name = absl::StrCat("input.", side, ".head");
    if (vector_case.vectors.count(name) > 0) {
      report.Compare(name, image.reshape({-1}).narrow(0, 0, 16));
    }
  }
  for (const bool aligned : {false, true}) {
    const std::string names = aligned ? "aligned." : "";
    if (aligned && vector_case.vectors.count("aligned.pred") == 0) continue;
    options.align_corners = aligned;
    BACKFIRE_ASSIGN_OR_RETURN(PsmNet network, MakeNetwork(vector_case, options));
    network->eval();
    PsmNetTrace trace;
    network->forward(left, right, &trace);
    for (const auto& [name, tensor] : trace) {
      if (vector_case.vectors.count(names + name) > 0) report.Compare(names + name, tensor);
    }
    // As it is served: without a trace, both images as one batch.
    const torch::Tensor served = network->forward(left, right).back().unsqueeze(1);
    report.Compare(names + "pred", served);
  }
  return absl::OkStatus();
}

// Norms by parameter from a `.gradnorms.tsv`: index, name, norm ...
absl::StatusOr<std::vector<std::pair<std::string, double>>> ReadGradientNorms(
    const std::filesystem::path& path) {
  BACKFIRE_ASSIGN_OR_RETURN(const std::string content, ReadFile(path));
  std::vector<std::pair<std::string, double>> norms;
  std::vector<std::string> header;
  size_t name_column = 0, norm_column = 0;
  for (const absl::string_view line : absl::StrSplit(content, '\n', absl::SkipEmpty())) {
    const std::vector<std::string> cells = absl::StrSplit(line, '\t');
    if (header.empty()) {
      header = cells;
      const auto find = [&](absl::string_view word) {
        size_t i = 0;
        while (i < header.size() && !absl::StrContains(header[i], word)) ++i;
        return i;
      };
      name_column = find("name");
      if (name_column == header.size()) name_column = find("parameter");
      norm_column = find("norm");
      continue;
    }
    double norm = 0;
    if (name_column >= cells.size() || norm_column >= cells.size() ||
        !absl::SimpleAtod(cells[norm_column], &norm)) {
      return absl::DataLossError(absl::StrCat(path.string(), ": not a table of gradient norms"));
    }
    norms.emplace_back(cells[name_column], norm);
  }
  return norms;
}

absl::Status CompareGradients(const VectorCase& vector_case, const PsmNet& network,
                              ParityReport& report) {
  std::vector<double> norms;
  double squares = 0;
  for (const auto& parameter : network->named_parameters()) {
    norms.push_back(parameter.value().grad().to(torch::kFloat64).norm().item<double>());
    squares += norms.back() * norms.back();
    const std::string name = absl::StrCat("grad.", parameter.key());
    if (vector_case.vectors.count(name) > 0) {
      report.CompareRelative(name, parameter.value().grad(), kGradientFraction);
    }
  }
  report.CompareScalar("grad_norm_total", std::sqrt(squares), kGradientNormFraction);
  // The file has them in the order of the state dictionary, and so does the table.
  const std::string table = absl::StrCat(vector_case.Label(), ".gradnorms.tsv");
  BACKFIRE_ASSIGN_OR_RETURN(const auto expected, ReadGradientNorms(vector_case.directory / table));
  BACKFIRE_ASSIGN_OR_RETURN(const Vector* in_file, vector_case.Find("grad_norms"));
  report.Cover("grad_norms");
  const auto parameters = network->named_parameters().keys();
  if (expected.size() != parameters.size() ||
      in_file->values.numel() != static_cast<int64_t>(parameters.size())) {
    report.Fail("grad_norms", absl::StrCat("there must be ", expected.size(),
                                           " parameters: the network has ", parameters.size()));
    return absl::OkStatus();
  }
  for (size_t i = 0; i < parameters.size(); ++i) {
    if (parameters[i] != expected[i].first) {
      report.Fail(absl::StrCat("grad_norms.", i),
                  absl::StrCat("must be of ", expected[i].first, ": ours is of ", parameters[i]));
      continue;
    }
    const double stored = in_file->values.reshape({-1})[static_cast<int64_t>(i)].item<double>();
    report.Number(absl::StrCat("grad_norms.", parameters[i]), norms[i], stored,
                  kGradientNormFraction * stored);
    if (std::abs(stored - expected[i].second) > 1e-6 * std::abs(stored)) {
      report.Fail(absl::StrCat(table, " ", parameters[i]), "differs from the vector file");
    }
  }
  return absl::OkStatus();
}

absl::Status RunTrainingStep(const VectorCase& vector_case, PsmNetOptions options,
                             ParityReport& report) {
  // One map for each hourglass; the only one of `basic` has no need of a number.
  const int64_t maps = std::max<int64_t>(options.hourglasses, 1);
  const bool unnumbered = maps == 1 && vector_case.vectors.count("pred") > 0;
  const auto name_of_map = [&](int64_t map) {
    return unnumbered ? "pred" : absl::StrCat("pred", map + 1);
  };
  BACKFIRE_ASSIGN_OR_RETURN(const Vector* pred, vector_case.Find(name_of_map(maps - 1)));
  if (pred->shape.size() != 3) {
    return absl::DataLossError(absl::StrCat(name_of_map(maps - 1), " must be [B, H, W]"));
  }
  const std::string prefix = absl::StrCat(vector_case.name.set, ".psmnet.train.");
  const std::vector<int64_t> shape = {pred->shape[0], 3, pred->shape[1], pred->shape[2]};
  const torch::Tensor truth =
      (220 * FormulaU(prefix + "disparity", pred->shape) - 14).to(torch::kFloat32);
  BACKFIRE_ASSIGN_OR_RETURN(PsmNet network, MakeNetwork(vector_case, options));
  network->train();
  const auto predicted =
      network->forward(Image(prefix + "left", shape), Image(prefix + "right", shape));
  const torch::Tensor mask = (truth > 0) & (truth < options.max_disparity);
  report.CompareScalar("mask_count", mask.sum().item<double>(), /*fraction=*/0);
  std::vector<torch::Tensor> terms;
  for (size_t i = 0; i < predicted.size(); ++i) {
    report.Compare(name_of_map(static_cast<int64_t>(i)), predicted[i]);
    terms.push_back(
        torch::smooth_l1_loss(predicted[i].masked_select(mask), truth.masked_select(mask)));
  }
  const std::vector<double> weights = disparity::OutputWeights(terms.size());
  torch::Tensor loss = terms[0] * weights[0];
  for (size_t i = 1; i < terms.size(); ++i) loss = loss + terms[i] * weights[i];
  // The loss is reproducible to 1e-6.
  const double bound = 2e-6 * std::abs(loss.item<double>());
  for (const char* suffix : {"", ".float64"}) {
    report.CompareWithin(absl::StrCat("loss", suffix), loss.detach(), bound);
    report.CompareWithin(absl::StrCat("loss_terms", suffix), torch::stack(terms).detach(), bound);
  }
  loss.backward();
  BACKFIRE_RETURN_IF_ERROR(CompareGradients(vector_case, network, report));
  for (const auto& [name, tensor] : learning::StateDict(*network)) {
    const std::string vector = absl::StrCat("after.", name);
    if (vector_case.vectors.count(vector) > 0) report.Compare(vector, tensor);
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status RunPsmNetParity(const VectorCase& vector_case, ParityReport& report) {
  const PsmNetOptions options = absl::StrContains(vector_case.name.network, "basic")
                                    ? disparity::BasicPsmNet()
                                    : PsmNetOptions();
  if (vector_case.name.part == "eval") return RunEvaluation(vector_case, options, report);
  if (vector_case.name.part == "train") return RunTrainingStep(vector_case, options, report);
  return absl::NotFoundError(absl::StrCat(vector_case.Label(), ": must be of part eval or train"));
}

}  // namespace backfire::parity
