#include "tests/benchmarks/plain_boxes.h"

#include <ATen/ATen.h>

#include <cmath>
#include <limits>

namespace backfire::benchmarks {
namespace {

using at::Tensor;

// Corners of the footprints in order, [n, 4, 2] of (x, z).
Tensor Corners(const Tensor& boxes) {
  const Tensor cos = boxes.select(1, 6).cos().unsqueeze(1),
               sin = boxes.select(1, 6).sin().unsqueeze(1);
  const Tensor along = boxes.select(1, 5).unsqueeze(1) / 2 * at::tensor({1.f, 1.f, -1.f, -1.f});
  const Tensor across = boxes.select(1, 4).unsqueeze(1) / 2 * at::tensor({1.f, -1.f, -1.f, 1.f});
  return at::stack({boxes.select(1, 0).unsqueeze(1) + cos * along + sin * across,
                    boxes.select(1, 2).unsqueeze(1) - sin * along + cos * across},
                   2);
}

// Which of points [m or 1, n or 1, k, 2] lie in the footprints of boxes, given as [m or 1, n or 1,
// 7].
Tensor InFootprint(const Tensor& points, const Tensor& boxes) {
  const auto column = [&](int64_t i) { return boxes.select(2, i).unsqueeze(2); };
  const Tensor dx = points.select(3, 0) - column(0), dz = points.select(3, 1) - column(2);
  const Tensor cos = column(6).cos(), sin = column(6).sin();
  return ((dx * cos - dz * sin).abs() <= column(5) / 2 + 1e-5)
      .logical_and((dx * sin + dz * cos).abs() <= column(4) / 2 + 1e-5);
}

Tensor Cross(const Tensor& a, const Tensor& b) {
  return a.select(-1, 0) * b.select(-1, 1) - a.select(-1, 1) * b.select(-1, 0);
}

// [m, n] of shared areas: the convex hull of corners inside the other and of crossing edges.
Tensor Overlaps(const Tensor& a, const Tensor& b) {
  const int64_t m = a.size(0), n = b.size(0);
  const Tensor corners_a = Corners(a).unsqueeze(1).expand({m, n, 4, 2});
  const Tensor corners_b = Corners(b).unsqueeze(0).expand({m, n, 4, 2});
  const Tensor inside_a = InFootprint(corners_a, b.unsqueeze(0));
  const Tensor inside_b = InFootprint(corners_b, a.unsqueeze(1));
  const Tensor edges_a = corners_a.roll(-1, 2) - corners_a,
               edges_b = corners_b.roll(-1, 2) - corners_b;
  const Tensor p = corners_a.unsqueeze(3), r = edges_a.unsqueeze(3);
  const Tensor q = corners_b.unsqueeze(2), s = edges_b.unsqueeze(2);
  const Tensor parallel = Cross(r, s);
  const Tensor t = Cross(q - p, s) / parallel, u = Cross(q - p, r) / parallel;
  const Tensor crosses = (t >= 0).logical_and(t <= 1).logical_and(u >= 0).logical_and(u <= 1);
  const Tensor crossings = (p + t.nan_to_num(0, 0, 0).unsqueeze(4) * r).reshape({m, n, 16, 2});
  const Tensor points = at::cat({corners_a, corners_b, crossings}, 2);
  const Tensor valid = at::cat({inside_a, inside_b, crosses.reshape({m, n, 16})}, 2);
  const Tensor weight = valid.to(at::kFloat).unsqueeze(3);
  const Tensor middle = (points * weight).sum(2, true) / weight.sum(2, true).clamp_min(1);
  const Tensor from = points - middle;
  const Tensor angle = at::where(valid, at::atan2(from.select(3, 1), from.select(3, 0)),
                                 at::full({}, std::numeric_limits<float>::infinity()));
  const Tensor order = angle.argsort(/*dim=*/int64_t{2});
  Tensor ranked = from.gather(2, order.unsqueeze(3).expand({m, n, 24, 2}));
  const Tensor ranked_valid = valid.gather(2, order).unsqueeze(3);
  // What is no vertex becomes the first one, which adds no area.
  ranked = at::where(ranked_valid, ranked, ranked.narrow(2, 0, 1));
  const Tensor area = Cross(ranked, ranked.roll(-1, 2)).sum(2).abs() / 2;
  return at::where(valid.sum(2) > 2, area, at::zeros_like(area));
}

Tensor Ious(const Tensor& boxes, bool rotated) {
  const Tensor area = boxes.select(1, 4) * boxes.select(1, 5);
  if (!rotated) {
    const auto side = [&](int64_t centre, int64_t extent) {
      const Tensor low = boxes.select(1, centre) - boxes.select(1, extent) / 2;
      const Tensor high = boxes.select(1, centre) + boxes.select(1, extent) / 2;
      return (at::minimum(high.unsqueeze(1), high.unsqueeze(0)) -
              at::maximum(low.unsqueeze(1), low.unsqueeze(0)))
          .clamp_min(0);
    };
    const Tensor overlap = side(0, 5) * side(2, 4);
    return overlap / (area.unsqueeze(1) + area.unsqueeze(0) - overlap);
  }
  std::vector<Tensor> rows;
  for (const Tensor& part : boxes.split(64)) {
    const Tensor overlap = Overlaps(part, boxes);
    const Tensor own = part.select(1, 4) * part.select(1, 5);
    rows.push_back(overlap / (own.unsqueeze(1) + area.unsqueeze(0) - overlap));
  }
  return at::cat(rows);
}

}  // namespace

std::vector<int64_t> PlainSuppress(const Tensor& boxes, double threshold, bool rotated) {
  const Tensor hides = Ious(boxes, rotated) > threshold;
  Tensor alive = at::ones({boxes.size(0)}, at::kBool);
  std::vector<int64_t> kept;
  for (int64_t i = 0; i < boxes.size(0); ++i) {
    if (!alive[i].item<bool>()) continue;
    kept.push_back(i);
    alive.logical_and_(hides[i].logical_not());
  }
  return kept;
}

Tensor PlainPoolRois(const Tensor& xyz, const Tensor& boxes, int64_t limit) {
  const int64_t points = xyz.size(0);
  std::vector<Tensor> rows;
  for (const Tensor& box : boxes.split(16)) {
    const auto column = [&](int64_t i) { return box.select(1, i).unsqueeze(1); };
    const Tensor half_height = column(3) / 2 + 1;
    const Tensor dx = xyz.select(1, 0).unsqueeze(0) - column(0);
    const Tensor dy = xyz.select(1, 1).unsqueeze(0) - (column(1) + 1 - half_height);
    const Tensor dz = xyz.select(1, 2).unsqueeze(0) - column(2);
    const Tensor cos = column(6).cos(), sin = column(6).sin();
    const Tensor inside = (dx.abs() <= 10)
                              .logical_and(dz.abs() <= 10)
                              .logical_and(dy.abs() <= half_height)
                              .logical_and((dx * cos - dz * sin).abs() <= column(5) / 2 + 1)
                              .logical_and((dx * sin + dz * cos).abs() <= column(4) / 2 + 1);
    const Tensor rank = at::where(inside, at::arange(points).unsqueeze(0), points);
    rows.push_back(std::get<0>(rank.topk(limit, 1, /*largest=*/false, /*sorted=*/true)));
  }
  return at::cat(rows);
}

}  // namespace backfire::benchmarks
