#include "services/proposals/centre_point.h"

#include <torch/nn/modules/activation.h>
#include <torch/nn/modules/batchnorm.h>
#include <torch/nn/modules/conv.h>
#include <torch/types.h>
#include <torch/utils.h>

#include <algorithm>
#include <cmath>

#include "services/metrics/iou.h"

namespace backfire::proposals {
namespace {

namespace nn = torch::nn;
using learning::Stack;

constexpr double kDuplicateIou = 0.6;
// Edges are taught this many cells around a centre, too, as the peak may be a cell off.
constexpr int64_t kTaughtRadius = 1;

Stack ConvBn(int64_t in, int64_t out, int64_t kernel, int64_t stride) {
  return Stack(
      nn::Conv2d(nn::Conv2dOptions(in, out, kernel).stride(stride).padding(kernel / 2).bias(false)),
      nn::BatchNorm2d(out), nn::ReLU());
}

class ResidualImpl : public nn::Module {
 public:
  explicit ResidualImpl(int64_t channels) {
    first_ = register_module("first", ConvBn(channels, channels, 3, 1));
    second_ = register_module("second", ConvBn(channels, channels, 3, 1));
  }
  torch::Tensor forward(const torch::Tensor& x) { return x + second_->forward(first_->forward(x)); }

 private:
  Stack first_, second_;
};
TORCH_MODULE(Residual);

torch::Tensor Double(const torch::Tensor& x) {
  return torch::upsample_nearest2d(x, {2 * x.size(2), 2 * x.size(3)});
}

}  // namespace

CentrePointImpl::CentrePointImpl(int64_t channels) {
  const int64_t c = channels;
  stem_ = register_module("stem", ConvBn(3, c, 3, 2));
  stage4_ = register_module("stage4", Stack(ConvBn(c, 2 * c, 3, 2), Residual(2 * c)));
  stage8_ = register_module("stage8", Stack(ConvBn(2 * c, 4 * c, 3, 2), Residual(4 * c)));
  stage16_ = register_module("stage16",
                             Stack(ConvBn(4 * c, 6 * c, 3, 2), Residual(6 * c), Residual(6 * c)));
  up8_ = register_module("up8", ConvBn(6 * c, 4 * c, 1, 1));
  lateral8_ = register_module("lateral8", ConvBn(4 * c, 4 * c, 3, 1));
  up4_ = register_module("up4", ConvBn(4 * c, 2 * c, 1, 1));
  lateral4_ = register_module("lateral4", ConvBn(2 * c, 2 * c, 3, 1));
  heat_head_ = register_module(
      "heat_head", Stack(ConvBn(2 * c, 2 * c, 3, 1), nn::Conv2d(2 * c, kClassCount, 1)));
  edge_head_ =
      register_module("edge_head", Stack(ConvBn(2 * c, 2 * c, 3, 1), nn::Conv2d(2 * c, 4, 1)));
  // A cell holds a centre once in a hundred times: starting there keeps the first steps calm.
  torch::NoGradGuard no_gradient;
  for (auto& parameter : heat_head_->named_parameters()) {
    if (parameter.key() == "1.bias") parameter.value().fill_(-4.6);
  }
}

CentrePointMaps CentrePointImpl::forward(const torch::Tensor& images) {
  const torch::Tensor x4 = stage4_->forward(stem_->forward(images));
  const torch::Tensor x8 = stage8_->forward(x4);
  const torch::Tensor x16 = stage16_->forward(x8);
  const torch::Tensor y8 = lateral8_->forward(x8 + Double(up8_->forward(x16)));
  const torch::Tensor y4 = lateral4_->forward(x4 + Double(up4_->forward(y8)));
  return {heat_head_->forward(y4), edge_head_->forward(y4)};
}

CentrePointTargets MakeTargets(const std::vector<metrics::Object>& labels, int64_t height,
                               int64_t width) {
  const int64_t rows = height / kCell, columns = width / kCell;
  CentrePointTargets targets;
  targets.heat = torch::zeros({kClassCount, rows, columns});
  targets.ignored = torch::zeros({1, rows, columns});
  targets.edges = torch::zeros({4, rows, columns});
  targets.weight = torch::zeros({1, rows, columns});
  auto heat = targets.heat.accessor<float, 3>();
  auto ignored = targets.ignored.accessor<float, 3>();
  auto edges = targets.edges.accessor<float, 3>();
  auto weight = targets.weight.accessor<float, 3>();
  // Large boxes first, so that a small one before a large one keeps its own edges.
  std::vector<metrics::Object> ordered = labels;
  std::stable_sort(ordered.begin(), ordered.end(), [](const auto& a, const auto& b) {
    return a.box_2d.width() * a.box_2d.height() > b.box_2d.width() * b.box_2d.height();
  });
  for (const metrics::Object& label : ordered) {
    const metrics::Box2d& box = label.box_2d;
    const auto* known = std::find(std::begin(kClasses), std::end(kClasses), label.type);
    const auto class_index = known - std::begin(kClasses);
    const double x = (box.left + box.right) / 2 / kCell, y = (box.top + box.bottom) / 2 / kCell;
    const auto column = static_cast<int64_t>(x), row = static_cast<int64_t>(y);
    if (column < 0 || row < 0 || column >= columns || row >= rows) continue;
    if (known == std::end(kClasses)) {
      for (int64_t r = std::max<int64_t>(0, static_cast<int64_t>(box.top / kCell));
           r < rows && static_cast<double>(r * kCell) <= box.bottom; ++r) {
        for (int64_t c = std::max<int64_t>(0, static_cast<int64_t>(box.left / kCell));
             c < columns && static_cast<double>(c * kCell) <= box.right; ++c) {
          ignored[0][r][c] = 1;
        }
      }
      continue;
    }
    const double sigma_x = std::max(0.6, 0.12 * box.width() / kCell);
    const double sigma_y = std::max(0.6, 0.12 * box.height() / kCell);
    const auto reach_x = static_cast<int64_t>(3 * sigma_x) + 1;
    const auto reach_y = static_cast<int64_t>(3 * sigma_y) + 1;
    for (int64_t r = std::max<int64_t>(0, row - reach_y); r <= std::min(rows - 1, row + reach_y);
         ++r) {
      for (int64_t c = std::max<int64_t>(0, column - reach_x);
           c <= std::min(columns - 1, column + reach_x); ++c) {
        const double dx = static_cast<double>(c - column) / sigma_x;
        const double dy = static_cast<double>(r - row) / sigma_y;
        float& cell = heat[class_index][r][c];
        cell = std::max(cell, static_cast<float>(std::exp(-(dx * dx + dy * dy) / 2)));
        if (std::abs(r - row) > kTaughtRadius || std::abs(c - column) > kTaughtRadius) continue;
        const double at_x = (static_cast<double>(c) + 0.5) * kCell;
        const double at_y = (static_cast<double>(r) + 0.5) * kCell;
        const double distances[] = {at_x - box.left, at_y - box.top, box.right - at_x,
                                    box.bottom - at_y};
        // A cell outside the box can't say how far its edges are.
        if (*std::min_element(std::begin(distances), std::end(distances)) < 0.5) continue;
        for (int64_t e = 0; e < 4; ++e) {
          edges[e][r][c] = static_cast<float>(std::log(distances[e] / kCell));
        }
        weight[0][r][c] = 1;
      }
    }
  }
  return targets;
}

torch::Tensor CentrePointLoss(const CentrePointMaps& maps, const CentrePointTargets& targets) {
  const torch::Tensor probability = torch::sigmoid(maps.heat_logits).clamp(1e-4, 1 - 1e-4);
  const torch::Tensor is_centre = (targets.heat > 0.999).to(torch::kFloat32);
  const torch::Tensor counts = 1 - targets.ignored;
  const torch::Tensor hits = is_centre * (1 - probability).pow(2) * probability.log();
  const torch::Tensor misses = (1 - is_centre) * (1 - targets.heat).pow(4) * probability.pow(2) *
                               (1 - probability).log() * counts;
  const torch::Tensor centres = is_centre.sum().clamp_min(1);
  const torch::Tensor heat = -(hits + misses).sum() / centres;
  const torch::Tensor taught = targets.weight.sum().clamp_min(1);
  const torch::Tensor edges = ((maps.edges - targets.edges).abs() * targets.weight).sum() / taught;
  return heat + edges;
}

std::vector<ProposedBox> Decode(const CentrePointMaps& maps, int64_t height, int64_t width,
                                double min_score, int64_t max_boxes) {
  const torch::Tensor heat = torch::sigmoid(maps.heat_logits);
  const torch::Tensor peak = torch::max_pool2d(heat, 3, 1, 1);
  const torch::Tensor kept =
      (heat * (heat == peak).to(torch::kFloat32))[0].to(torch::kCPU).contiguous();
  const torch::Tensor edges = maps.edges[0].to(torch::kCPU).contiguous();
  const auto scores = kept.accessor<float, 3>();
  const auto distance = edges.accessor<float, 3>();
  std::vector<ProposedBox> boxes;
  for (int64_t k = 0; k < kClassCount; ++k) {
    for (int64_t r = 0; r < kept.size(1); ++r) {
      for (int64_t c = 0; c < kept.size(2); ++c) {
        if (!(scores[k][r][c] >= min_score)) continue;
        const double x = (static_cast<double>(c) + 0.5) * kCell;
        const double y = (static_cast<double>(r) + 0.5) * kCell;
        const auto reach = [&](int64_t edge) {
          return kCell * std::exp(std::clamp<double>(distance[edge][r][c], -4, 6));
        };
        ProposedBox box;
        box.box.left = std::clamp<double>(x - reach(0), 0, static_cast<double>(width - 1));
        box.box.top = std::clamp<double>(y - reach(1), 0, static_cast<double>(height - 1));
        box.box.right = std::clamp<double>(x + reach(2), 0, static_cast<double>(width - 1));
        box.box.bottom = std::clamp<double>(y + reach(3), 0, static_cast<double>(height - 1));
        box.class_index = k;
        box.score = scores[k][r][c];
        // A peak in the padding gives an empty box.
        if (box.box.width() > 1 && box.box.height() > 1) boxes.push_back(box);
      }
    }
  }
  std::stable_sort(boxes.begin(), boxes.end(),
                   [](const auto& a, const auto& b) { return a.score > b.score; });
  std::vector<ProposedBox> distinct;
  for (const ProposedBox& box : boxes) {
    if (static_cast<int64_t>(distinct.size()) == max_boxes) break;
    const bool duplicate =
        std::any_of(distinct.begin(), distinct.end(), [&](const ProposedBox& surer) {
          return surer.class_index == box.class_index &&
                 metrics::Iou2d(surer.box, box.box) > kDuplicateIou;
        });
    if (!duplicate) distinct.push_back(box);
  }
  return distinct;
}

}  // namespace backfire::proposals
