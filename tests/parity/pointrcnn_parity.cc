// PointRCNN: the first stage in evaluation; box decoding, proposals, RoI pooling, the second stage
// on given RoIs, and both losses.
#include <torch/types.h>
#include <torch/utils.h>

#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "services/base/status.h"
#include "services/detection/point_rcnn/box_coding.h"
#include "services/detection/point_rcnn/point_rcnn.h"
#include "services/detection/point_rcnn/proposal_layer.h"
#include "services/detection/point_rcnn/stage_losses.h"
#include "tests/parity/formula.h"
#include "tests/parity/networks.h"
#include "tests/parity/state_dict_table.h"

namespace backfire::parity {
namespace {

using detection::PointRcnn;
using detection::PointRcnnOptions;
using torch::Tensor;

// Losses are sums over a thousand terms in float.
constexpr double kLossFraction = 1e-5;

absl::StatusOr<PointRcnn> MakeNetwork(const VectorCase& vector_case) {
  BACKFIRE_ASSIGN_OR_RETURN(const auto table,
                            ReadStateDictTable(vector_case.directory / "pointrcnn.state_dict.tsv"));
  PointRcnn network(PointRcnnOptions(), /*seed=*/1);
  BACKFIRE_RETURN_IF_ERROR(FillByFormula(table, absl::StrCat(vector_case.name.set, "."), *network));
  network->eval();
  return network;
}

// Numbers of the reference's inputs, named without their common prefix.
class PointRcnnInputs {
 public:
  explicit PointRcnnInputs(const VectorCase& vector_case)
      : prefix_(absl::StrCat(vector_case.name.set, ".pointrcnn.")) {}
  Tensor u(const std::string& name, torch::IntArrayRef shape) const {
    return FormulaU(prefix_ + name, shape);
  }
  Tensor v(const std::string& name, torch::IntArrayRef shape) const {
    return FormulaV(prefix_ + name, shape);
  }

 private:
  const std::string prefix_;
};

Tensor Float(const Tensor& values) { return values.to(torch::kFloat32).contiguous(); }
Tensor MeanSize() {
  return torch::tensor({1.52563191462, 1.62856739989, 3.88311640418}, torch::kFloat64);
}

// One cloud: a street's half at random, then 128 clusters around its first points.
Tensor Points(const PointRcnnInputs& inputs, int64_t item, int64_t count) {
  const std::string name = absl::StrCat("points.", item);
  const Tensor u = inputs.u(name, {count, 3}), v = inputs.v(name, {count, 3});
  const int64_t half = count / 2;
  const Tensor spread =
      torch::stack({8 * v.select(1, 0).pow(3), 1 + v.select(1, 1), 2 + 24 * u.select(1, 2).pow(2)},
                   1)
          .narrow(0, 0, half);
  const Tensor centre = torch::arange(count - half).remainder(128);
  const Tensor clusters = spread.index_select(0, centre) + 0.25 * v.narrow(0, half, count - half);
  return Float(torch::cat({spread, clusters}));
}

// [clouds, channels, points] as the reference has features, from rows.
Tensor ChannelsFirst(const Tensor& rows, int64_t clouds) {
  return rows.view({clouds, -1, rows.size(1)}).transpose(1, 2).contiguous();
}

// Indices of a group, filled up with the first, [clouds, groups, samples], within the cloud.
Tensor FilledUp(const pointnet2::Groups& groups, int64_t clouds, int64_t points, int64_t samples) {
  const int64_t count = groups.start.size(0) - 1;
  const Tensor first = groups.start.narrow(0, 0, count).unsqueeze(1);
  const Tensor size = groups.start.narrow(0, 1, count).unsqueeze(1) - first;
  const Tensor k = torch::arange(samples).unsqueeze(0);
  const Tensor entry = torch::where(k < size, first + k, first.expand({count, samples}));
  return groups.index.index_select(0, entry.reshape({-1}))
      .remainder(points)
      .view({clouds, count / clouds, samples});
}

absl::Status RunFirstStage(const VectorCase& vector_case, ParityReport& report) {
  BACKFIRE_ASSIGN_OR_RETURN(const Vector* scores, vector_case.Find("rpn_cls"));
  BACKFIRE_ASSIGN_OR_RETURN(PointRcnn network, MakeNetwork(vector_case));
  if (scores->shape.size() != 3) return absl::DataLossError("rpn_cls must be [B, N, 1]");
  const PointRcnnInputs inputs(vector_case);
  const int64_t clouds = scores->shape[0], points = scores->shape[1];
  std::vector<Tensor> parts;
  for (int64_t i = 0; i < clouds; ++i) parts.push_back(Points(inputs, i, points));
  report.Compare("input.points.head", parts[0].reshape({-1}).narrow(0, 0, 30));
  report.Compare("input.points.cluster_head", parts[0].narrow(0, points / 2, 10));

  const torch::NoGradGuard no_gradient;
  const pointnet2::Clouds stacked = pointnet2::StackClouds(torch::stack(parts));
  const auto found = network->proposals->forward(stacked, nullptr);
  int64_t count = points;  // Of the level below.
  Tensor xyz = stacked.xyz, features;
  for (size_t l = 0; l < found.levels.size(); ++l) {
    const auto& [sampling, after] = found.levels[l];
    const std::string name = absl::StrCat("sa", l + 1, ".");
    report.Compare(name + "fps_idx",
                   sampling.index.remainder(count).view({clouds, -1}).to(torch::kInt32));
    for (size_t ball = 0; ball < 2; ++ball) {
      const Tensor index = FilledUp(sampling.groups[ball], clouds, count, ball == 0 ? 16 : 32);
      report.Compare(absl::StrCat(name, "ball_idx", ball), index.to(torch::kInt32));
      const std::string grouped = absl::StrCat(name, "grouped", ball);
      if (vector_case.vectors.count(grouped) == 0) continue;
      const Tensor base = count * torch::arange(clouds).view({clouds, 1, 1});
      const Tensor rows = (index + base).reshape({-1});
      Tensor columns = xyz.index_select(0, rows).view({clouds, index.size(1), index.size(2), 3}) -
                       sampling.centres.xyz.view({clouds, index.size(1), 1, 3});
      if (features.defined()) {
        const Tensor gathered = features.index_select(0, rows).view(
            {clouds, index.size(1), index.size(2), features.size(1)});
        columns = torch::cat({columns, gathered}, 3);
      }
      report.Compare(grouped, columns.permute({0, 3, 1, 2}).contiguous());
    }
    report.Compare(name + "xyz", sampling.centres.xyz.view({clouds, -1, 3}));
    report.Compare(name + "features", ChannelsFirst(after, clouds));
    count = sampling.centres.xyz.size(0) / clouds;
    xyz = sampling.centres.xyz;
    features = after;
  }
  for (size_t i = 0; i < found.propagated.size(); ++i) {
    const size_t module = found.propagated.size() - 1 - i;
    const std::string name = absl::StrCat("fp_module_", module, ".");
    const int64_t known = found.levels[module].sampling.centres.xyz.size(0) / clouds;
    report.Compare(name + "nn_dist2", found.neighbours[i].squared_distance.view({clouds, -1, 3}));
    report.Compare(
        name + "nn_idx",
        found.neighbours[i].index.remainder(known).view({clouds, -1, 3}).to(torch::kInt32));
    report.Compare(name + "features", ChannelsFirst(found.propagated[i], clouds));
  }
  report.Compare("backbone_features", ChannelsFirst(found.features, clouds));
  report.Compare("rpn_cls", found.scores.view({clouds, points, 1}));
  report.Compare("rpn_reg", found.regression.view({clouds, points, -1}));
  report.Compare("seg_mask", detection::SegmentationMask(found.scores).to(torch::kInt32));
  return absl::OkStatus();
}

void RunDecoding(const PointRcnnInputs& inputs, ParityReport& report) {
  const auto mean_size = PointRcnnOptions().mean_size;
  const auto spread = [](const Tensor& v) {
    return torch::stack({20 * v.select(1, 0), v.select(1, 1), 35 + 35 * v.select(1, 2)}, 1);
  };
  report.Compare("decode.rpn",
                 detection::DecodeBoxes(Float(spread(inputs.v("decode.xyz", {512, 3}))),
                                        Float(1.5 * inputs.v("decode.reg", {512, 76})),
                                        detection::kProposalCoding, mean_size));
  const Tensor rois = torch::cat({spread(inputs.v("decode.roi_centre", {128, 3})),
                                  MeanSize() * (1 + 0.2 * inputs.v("decode.roi_size", {128, 3})),
                                  M_PI * inputs.v("decode.roi_ry", {128, 1})},
                                 1);
  report.Compare(
      "decode.rcnn",
      detection::DecodeBoxes(Float(rois), Float(1.5 * inputs.v("decode.rcnn_reg", {128, 46})),
                             detection::kRefinementCoding, mean_size));
}

void RunProposals(const PointRcnnInputs& inputs, ParityReport& report) {
  const auto mean_size = PointRcnnOptions().mean_size;
  const int64_t points = 4096;
  const Tensor c =
      inputs.v("prop0.centres", {24, 3}).index_select(0, torch::arange(points).remainder(24));
  const Tensor o = inputs.v("prop0.offsets", {points, 3});
  const Tensor xyz = Float(torch::stack(
      {20 * c.select(1, 0) + 0.1 * o.select(1, 0), 1 + 0.5 * c.select(1, 1) + 0.1 * o.select(1, 1),
       35 + 35 * c.select(1, 2) + 0.1 * o.select(1, 2)},
      1));
  const Tensor scores = Float(4 * inputs.v("prop0.scores", {points}));
  const Tensor regression =
      Float(0.08 * inputs.v("prop0.reg", {points, 76}) + 0.5 * inputs.v("prop0.regbase", {76}));
  report.Compare("prop.decoded",
                 detection::DecodeBoxes(xyz, regression, detection::kProposalCoding, mean_size));
  for (const bool training : {false, true}) {
    const auto limits =
        training ? detection::ProposalLimits::ForTraining() : detection::ProposalLimits();
    const auto kept = detection::ProposeBoxes(xyz, scores, regression, mean_size, limits);
    const int64_t missing = limits.after - kept.scores.size(0);
    const std::string suffix = training ? ".TRAIN" : ".TEST";
    report.Compare("proposals" + suffix,
                   torch::constant_pad_nd(kept.boxes, {0, 0, 0, missing}).unsqueeze(0));
    report.Compare("proposal_scores" + suffix,
                   torch::constant_pad_nd(kept.scores, {0, missing}).unsqueeze(0));
  }
}

// [rois, channels, count] from the rows of each RoI: repeated cyclically, or row 0 from the end on.
Tensor Expanded(const Tensor& rows, const std::vector<int64_t>& start, int64_t count, bool cyclic) {
  std::vector<int64_t> index;
  for (size_t r = 0; r + 1 < start.size(); ++r) {
    const int64_t size = start[r + 1] - start[r];
    for (int64_t k = 0; k < count; ++k) {
      index.push_back(start[r] + (cyclic ? k % size : k < size ? k : 0));
    }
  }
  return rows.index_select(0, torch::tensor(index, torch::kInt64))
      .view({static_cast<int64_t>(start.size()) - 1, count, rows.size(1)})
      .transpose(1, 2)
      .contiguous();
}

absl::Status RunSecondStage(const VectorCase& vector_case, const PointRcnnInputs& inputs,
                            ParityReport& report) {
  BACKFIRE_ASSIGN_OR_RETURN(PointRcnn network, MakeNetwork(vector_case));
  const torch::NoGradGuard no_gradient;
  const int64_t points = 16384, count = 16;
  const Tensor xyz = Points(inputs, 0, points);
  const Tensor w = inputs.v("rcnn.rois", {count, 7});
  const Tensor q =
      xyz.index_select(0, torch::arange(count).mul(1021).remainder(points)).to(torch::kFloat64);
  Tensor rois = torch::cat(
      {q + torch::stack({0.3 * w.select(1, 0), 0.75 + 0.2 * w.select(1, 1), 0.3 * w.select(1, 2)},
                        1),
       MeanSize() * (1 + 0.15 * w.narrow(1, 3, 3)), M_PI * w.narrow(1, 6, 1)},
      1);
  const double heights[] = {-0.97, -0.95, -0.9, -0.8};
  for (int64_t i = 0; i < 4; ++i) rois[10 + i][1] = heights[i];
  rois[14].narrow(0, 0, 3).copy_(torch::tensor({30.0, 1.0, 60.0}));
  rois[15][0] = q[15][0];
  rois[15][1] = 5.0;
  rois[15][2] = q[15][2];
  rois = Float(rois);
  report.Compare("rois", rois.unsqueeze(0));

  const Tensor mask = Float(inputs.u("rcnn.seg_mask", {points}) > 0.5);
  const Tensor depth = detection::NormalisedDepth(xyz);
  const auto pooled = detection::PoolRois(
      xyz, mask, depth, Float(inputs.u("rcnn.features", {points, 128})), rois, 512);
  const Tensor counts = torch::tensor(pooled.counts, torch::kInt64);
  report.Compare("rcnn.roi_point_counts", counts);
  report.Compare("rcnn.roi_empty", (counts == 0).to(torch::kInt32).unsqueeze(0));
  const auto& start = pooled.clouds.start;
  const auto expanded = [&](const Tensor& rows) {
    return Expanded(rows, start, 512, /*cyclic=*/true).unsqueeze(3);
  };
  report.Compare("rcnn.xyz_input", expanded(torch::cat({pooled.clouds.xyz, pooled.extra}, 1)));
  const auto found = network->refinement->forward(pooled);
  report.Compare("rcnn.xyz_up", expanded(found.lifted));
  report.Compare("rcnn.merged", expanded(found.merged));
  for (size_t i = 0; i < 2; ++i) {
    const auto& level = found.levels[i];
    report.Compare(absl::StrCat("rcnn.sa", i + 1, ".features"),
                   Expanded(level.features, level.sampling.centres.start, i == 0 ? 128 : 32,
                            /*cyclic=*/false));
  }
  report.Compare("rcnn.sa3.features", found.levels[2].features.unsqueeze(2));
  report.Compare("rcnn_cls", found.scores.unsqueeze(1));
  report.Compare("rcnn_reg", found.regression);
  report.Compare("rcnn_decoded",
                 detection::DecodeBoxes(rois, found.regression, detection::kRefinementCoding,
                                        PointRcnnOptions().mean_size));
  return absl::OkStatus();
}

// True boxes relative to their origins: w = v, with these amplitudes of x, y and z.
Tensor Truth(const Tensor& w, double xz, double y) {
  return Float(
      torch::cat({torch::stack({xz * w.select(1, 0), y * w.select(1, 1), xz * w.select(1, 2)}, 1),
                  MeanSize() * (1 + 0.2 * w.narrow(1, 3, 3)), M_PI * w.narrow(1, 6, 1)},
                 1));
}

// 1 where u < positive, -1 where u > ignored, else 0.
Tensor Labels(const Tensor& u, double positive, double ignored) {
  return (u < positive).to(torch::kInt64) - (u > ignored).to(torch::kInt64);
}

using Terms = std::vector<std::pair<std::string, double>>;

void CompareLoss(const std::string& name, const detection::StageLoss& loss, const Tensor& scores,
                 const Tensor& regression, Terms terms, ParityReport& report) {
  loss.total.backward();
  const auto value = [](const Tensor& tensor) { return tensor.item<double>(); };
  const auto compare = [&](const std::string& what, double ours) {
    report.CompareScalar(absl::StrCat("loss.", name, what), ours, kLossFraction);
  };
  compare("", value(loss.total));
  compare(".grad_norm.cls", value(scores.grad().norm()));
  compare(".grad_norm.reg", value(regression.grad().norm()));
  compare(".positives", static_cast<double>(loss.positives));
  terms.emplace_back(name + "_loss", value(loss.total));
  terms.emplace_back(name + "_loss_cls", value(loss.classification));
  terms.emplace_back(name + "_loss_reg", value(loss.regression.total()));
  terms.emplace_back(name + "_loss_loc", value(loss.regression.location()));
  terms.emplace_back(name + "_loss_angle", value(loss.regression.heading()));
  terms.emplace_back(name + "_loss_size", 3 * value(loss.regression.size));
  for (const auto& [term, ours] : terms) compare(".term." + term, ours);
}

void RunLosses(const PointRcnnInputs& inputs, ParityReport& report) {
  const auto mean_size = PointRcnnOptions().mean_size;
  const auto value = [](const Tensor& tensor) { return tensor.item<double>(); };
  {
    const int64_t points = 4096;
    const Tensor scores = Float(3 * inputs.v("loss.rpn_cls", {points})).set_requires_grad(true);
    const Tensor regression = Float(inputs.v("loss.rpn_reg", {points, 76})).set_requires_grad(true);
    const auto loss = detection::ProposalLoss(
        scores, regression, Labels(inputs.u("loss.rpn_label", {points}), 0.1, 0.9),
        Truth(inputs.v("loss.rpn_reg_label", {points, 7}), 2.5, 0.5), mean_size);
    CompareLoss("rpn", loss, scores, regression,
                {{"rpn_loss_cls_pos", value(loss.classification_positive)},
                 {"rpn_loss_cls_neg", value(loss.classification_negative)},
                 {"rpn_fg_sum", static_cast<double>(loss.positives)}},
                report);
  }
  const int64_t rois = 64;
  const Tensor scores = Float(2 * inputs.v("loss.rcnn_cls", {rois})).set_requires_grad(true);
  const Tensor regression = Float(inputs.v("loss.rcnn_reg", {rois, 46})).set_requires_grad(true);
  const Tensor u = inputs.u("loss.rcnn_label", {rois});
  const Tensor labels = Labels(u, 0.4, 0.8);
  const auto loss =
      detection::RefinementLoss(scores, regression, labels, (u < 0.5).to(torch::kInt64),
                                Truth(inputs.v("loss.rcnn_gt", {rois, 7}), 1.4, 0.4), mean_size);
  CompareLoss("rcnn", loss, scores, regression,
              {{"loss_x_bin", value(loss.regression.x_bin)},
               {"loss_z_bin", value(loss.regression.z_bin)},
               {"loss_x_res", value(loss.regression.x_residual)},
               {"loss_z_res", value(loss.regression.z_residual)},
               {"loss_y_offset", value(loss.regression.y)},
               {"loss_ry_bin", value(loss.regression.heading_bin)},
               {"loss_ry_res", value(loss.regression.heading_residual)},
               {"loss_loc", value(loss.regression.location())},
               {"loss_angle", value(loss.regression.heading())},
               {"loss_size", value(loss.regression.size)},
               {"rcnn_cls_fg", value((labels > 0).sum())},
               {"rcnn_cls_bg", value((labels == 0).sum())},
               {"rcnn_reg_fg", static_cast<double>(loss.positives)}},
              report);
}

}  // namespace

absl::Status RunPointRcnnParity(const VectorCase& vector_case, ParityReport& report) {
  if (vector_case.name.network == "pointrcnn_rpn") return RunFirstStage(vector_case, report);
  const PointRcnnInputs inputs(vector_case);
  RunDecoding(inputs, report);
  RunProposals(inputs, report);
  BACKFIRE_RETURN_IF_ERROR(RunSecondStage(vector_case, inputs, report));
  RunLosses(inputs, report);
  return absl::OkStatus();
}

}  // namespace backfire::parity
