#include "services/planar/distribution.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <set>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "services/base/status.h"
#include "services/base/text_file.h"
#include "services/planar/triangle_rule.h"

namespace backfire::planar {
namespace {

constexpr double kPi = 3.14159265358979323846;
// A normal variable is farther out than this once in 10^10.
constexpr double kTailDeviations = 6.6;
constexpr size_t kMaxAtoms = 100'000;
constexpr int kMaxComponents = 1000;
constexpr size_t kMaxLabels = 64;  // Every atom has a place for each.

template <typename... Parts>
absl::Status Invalid(const Parts&... parts) {
  return absl::InvalidArgumentError(absl::StrCat(parts...));
}

absl::Status TooManyAtoms() {
  return Invalid("components must have at most ", kMaxAtoms, " points together");
}

template <typename List>
absl::StatusOr<Position> Pair(const List& list, const std::string& path) {
  if (list.size() == 2) return Position{list.Get(0), list.Get(1)};
  return Invalid(path, " must be [x, y]: got ", list.size(), " numbers");
}

std::vector<Position> Corners(const google::protobuf::RepeatedPtrField<Point>& points) {
  std::vector<Position> corners;
  for (const Point& point : points) corners.push_back({point.x(), point.y()});
  return corners;
}

}  // namespace

size_t Distribution::LabelIndex(const std::string& name) {
  const auto found = std::find(label_names_.begin(), label_names_.end(), name);
  if (found != label_names_.end()) return static_cast<size_t>(found - label_names_.begin());
  label_names_.push_back(name);
  return label_names_.size() - 1;
}

absl::Status Distribution::AddComponent(const Component& component, const std::string& path,
                                        Shape& shape) {
  const auto enclose = [this](Position at, double x, double y) {
    low_ = {std::min(low_.x, at.x - x), std::min(low_.y, at.y - y)};
    high_ = {std::max(high_.x, at.x + x), std::max(high_.y, at.y + y)};
  };
  const auto add_arc = [&](const Arc& arc, double from, double to,
                           const std::string& name) -> absl::Status {
    BACKFIRE_ASSIGN_OR_RETURN(const Position centre, Pair(arc.centre(), name + ".centre"));
    if (!(arc.deviation() > 0)) {
      return Invalid(name, ".deviation must be > 0: got ", arc.deviation());
    }
    if (!(arc.radius() >= 7 * arc.deviation())) {
      return Invalid(name, ".radius must be >= 7 deviations: got ", arc.radius());
    }
    if (!(to > from && to - from <= 360)) {
      return Invalid(name, ".to_degrees must be in (from_degrees, from_degrees + 360]: got ", to);
    }
    shape.band = {centre, arc.radius(), arc.deviation(), (from + to) / 2 * kPi / 180,
                  (to - from) / 2 * kPi / 180};
    const double rim = kTailDeviations * arc.deviation();
    for (double degrees = from; degrees <= to; ++degrees) {
      enclose({centre.x + arc.radius() * std::cos(degrees * kPi / 180),
               centre.y + arc.radius() * std::sin(degrees * kPi / 180)},
              rim, rim);
    }
    return absl::OkStatus();
  };
  switch (component.shape_case()) {
    case Component::kGaussian: {
      const Gaussian& gaussian = component.gaussian();
      BACKFIRE_ASSIGN_OR_RETURN(const Position mean,
                                Pair(gaussian.mean(), path + ".gaussian.mean"));
      const double variance = gaussian.deviation() * gaussian.deviation();
      double xx = variance, xy = 0, yy = variance;
      if (gaussian.covariance_size() > 0) {
        if (gaussian.covariance_size() != 3 || gaussian.deviation() != 0) {
          return Invalid(path, ".gaussian must have a deviation or covariance: [xx, xy, yy]");
        }
        xx = gaussian.covariance(0), xy = gaussian.covariance(1), yy = gaussian.covariance(2);
        if (!(xx > 0 && yy > 0 && xx * yy > xy * xy)) {
          return Invalid(path, ".gaussian.covariance must be positive definite");
        }
      } else if (!(gaussian.deviation() > 0)) {
        return Invalid(path, ".gaussian.deviation must be > 0: got ", gaussian.deviation());
      }
      const double determinant = xx * yy - xy * xy;
      Blob& blob = shape.blob.emplace();
      blob.mean = mean;
      blob.xx = yy / determinant;
      blob.xy = -xy / determinant;
      blob.yy = xx / determinant;
      blob.log_norm = -std::log(2 * kPi) - 0.5 * std::log(determinant);
      blob.l11 = std::sqrt(xx);
      blob.l21 = xy / blob.l11;
      blob.l22 = std::sqrt(yy - blob.l21 * blob.l21);
      enclose(mean, kTailDeviations * std::sqrt(xx), kTailDeviations * std::sqrt(yy));
      return absl::OkStatus();
    }
    case Component::kRing:
      return add_arc(component.ring(), 0, 360, path + ".ring");
    case Component::kMoon:
      return add_arc(component.moon(), component.moon().from_degrees(),
                     component.moon().to_degrees(), path + ".moon");
    case Component::kPolygon:
      shape.polygon = Corners(component.polygon().corners());
      if (!IsConvex(shape.polygon)) {
        return Invalid(path, ".polygon.corners must be those of a convex polygon, in order");
      }
      if (Area(shape.polygon) < 0) std::reverse(shape.polygon.begin(), shape.polygon.end());
      shape.area = Area(shape.polygon);
      for (const Position corner : shape.polygon) enclose(corner, 0, 0);
      return absl::OkStatus();
    default:
      return Invalid(path, " must have a gaussian, ring, moon, polygon, grid or points");
  }
}

absl::Status Distribution::AddPoints(const Points& points, int component, const std::string& path,
                                     const runtime::DatasetAccess& access) {
  BACKFIRE_RETURN_IF_ERROR(access.roots.Check(points.file()));
  BACKFIRE_ASSIGN_OR_RETURN(const std::string text, ReadTextFile(points.file()));
  std::vector<std::string> lines = absl::StrSplit(text, '\n', absl::SkipWhitespace());
  const auto cells = [](absl::string_view line) {
    std::vector<std::string> row = absl::StrSplit(absl::StripAsciiWhitespace(line), ',');
    return row;
  };
  if (lines.size() > kMaxAtoms + 1) return TooManyAtoms();
  const std::vector<std::string> header =
      lines.empty() ? std::vector<std::string>() : cells(lines[0]);
  if (header.size() > 2 + kMaxLabels) {
    return Invalid(path, ".points.file: ", points.file(), " has more than ", kMaxLabels, " labels");
  }
  if (header.size() < 2 || header[0] != "x" || header[1] != "y" || lines.size() < 2) {
    return Invalid(path, ".points.file: ", points.file(),
                   " must have a header `x,y,LABEL...` and a line per point");
  }
  for (size_t i = 1; i < lines.size(); ++i) {
    const std::vector<std::string> row = cells(lines[i]);
    Atom atom;
    atom.component = component;
    atom.probability = share(component) / static_cast<double>(lines.size() - 1);
    atom.labels = labels(component);
    bool good = row.size() == header.size() && absl::SimpleAtod(row[0], &atom.point.x) &&
                absl::SimpleAtod(row[1], &atom.point.y) && std::isfinite(atom.point.x) &&
                std::isfinite(atom.point.y);
    for (size_t column = 2; good && column < row.size(); ++column) {
      const size_t index = LabelIndex(header[column]);
      atom.labels.resize(std::max(atom.labels.size(), index + 1), -1);
      good = row[column] == "0" || row[column] == "1";
      atom.labels[index] = row[column] == "1" ? 1 : 0;
    }
    if (!good) {
      return Invalid(points.file(), ":", i + 1, ": must be two numbers and then labels 0 or 1");
    }
    atoms_.push_back(std::move(atom));
  }
  return absl::OkStatus();
}

absl::Status Distribution::PaintRegions(const Data& data, const runtime::DatasetAccess& access) {
  for (int r = 0; r < data.regions_size(); ++r) {
    BACKFIRE_RETURN_IF_ERROR(access.CheckWanted());
    const Region& region = data.regions(r);
    const std::string path = absl::StrCat("regions[", r, "]");
    if (atoms_.empty()) return Invalid(path, ": only grids and points can have regions");
    if (region.value() != 0 && region.value() != 1) {
      return Invalid(path, ".value must be 0 or 1: got ", region.value());
    }
    if (region.polygon().empty() != region.has_half_plane()) {
      return Invalid(path, " must have either a polygon or a half_plane");
    }
    const std::vector<Position> polygon = Corners(region.polygon());
    Position normal;
    if (region.has_half_plane()) {
      BACKFIRE_ASSIGN_OR_RETURN(normal,
                                Pair(region.half_plane().normal(), path + ".half_plane.normal"));
    }
    const size_t label = LabelIndex(region.label().empty() ? "class" : region.label());
    for (Atom& atom : atoms_) {
      const bool inside =
          region.has_half_plane()
              ? normal.x * atom.point.x + normal.y * atom.point.y > region.half_plane().offset()
              : Contains(polygon, atom.point);
      atom.labels.resize(std::max(atom.labels.size(), label + 1), -1);
      if (inside) atom.labels[label] = static_cast<int8_t>(region.value());
    }
  }
  return absl::OkStatus();
}

absl::StatusOr<Distribution> Distribution::Build(const Data& data,
                                                 const runtime::DatasetAccess& access) {
  Distribution made;
  constexpr double kFar = std::numeric_limits<double>::infinity();
  made.low_ = {kFar, kFar};
  made.high_ = {-kFar, -kFar};
  if (data.components().empty()) return Invalid("components must not be empty");
  if (data.components_size() > kMaxComponents) {
    return Invalid("there may be at most ", kMaxComponents, " components: got ",
                   data.components_size());
  }
  double total = 0;
  for (int c = 0; c < data.components_size(); ++c) {
    const Component& component = data.components(c);
    const std::string path = absl::StrCat("components[", c, "]");
    if (component.weight() < 0)
      return Invalid(path, ".weight must be > 0: got ", component.weight());
    made.shares_.push_back(component.weight() == 0 ? 1 : component.weight());
    total += made.shares_.back();
    Labels& labels = made.labels_.emplace_back();
    const std::map<std::string, int32_t> sorted(component.labels().begin(),
                                                component.labels().end());
    for (const auto& [name, value] : sorted) {
      if (value != 0 && value != 1) {
        return Invalid(path, ".labels[", name, "] must be 0 or 1: got ", value);
      }
      const size_t index = made.LabelIndex(name);
      labels.resize(std::max(labels.size(), index + 1), -1);
      labels[index] = static_cast<int8_t>(value);
    }
  }
  for (double& share : made.shares_) share /= total;
  made.shapes_.resize(made.shares_.size());
  bool continuous = false;
  for (int c = 0; c < data.components_size(); ++c) {
    const Component& component = data.components(c);
    const std::string path = absl::StrCat("components[", c, "]");
    BACKFIRE_RETURN_IF_ERROR(access.CheckWanted());
    if (component.has_points()) {
      BACKFIRE_RETURN_IF_ERROR(made.AddPoints(component.points(), c, path, access));
      if (made.atoms_.size() > kMaxAtoms) return TooManyAtoms();
    } else if (component.has_grid()) {
      const Grid& grid = component.grid();
      BACKFIRE_ASSIGN_OR_RETURN(const Position low, Pair(grid.low(), path + ".grid.low"));
      BACKFIRE_ASSIGN_OR_RETURN(const Position high, Pair(grid.high(), path + ".grid.high"));
      if (grid.columns() < 1 || grid.rows() < 1 || grid.columns() > 1000 || grid.rows() > 1000) {
        return Invalid(path, ".grid.columns and rows must be in [1, 1000]");
      }
      const double count = static_cast<double>(grid.columns()) * grid.rows();
      // Before there is room for them: a description may repeat a grid in a few bytes.
      if (static_cast<double>(made.atoms_.size()) + count > kMaxAtoms) return TooManyAtoms();
      for (int row = 0; row < grid.rows(); ++row) {
        for (int column = 0; column < grid.columns(); ++column) {
          made.atoms_.push_back({{low.x + (high.x - low.x) * (column + 0.5) / grid.columns(),
                                  low.y + (high.y - low.y) * (row + 0.5) / grid.rows()},
                                 c,
                                 made.share(c) / count,
                                 made.labels(c)});
        }
      }
    } else {
      continuous = true;
      BACKFIRE_RETURN_IF_ERROR(
          made.AddComponent(component, path, made.shapes_[static_cast<size_t>(c)]));
    }
  }
  if (continuous && made.discrete()) {
    return Invalid("components must be all continuous, or all grids and points");
  }
  BACKFIRE_RETURN_IF_ERROR(made.PaintRegions(data, access));
  if (made.label_names_.size() > kMaxLabels) {
    return Invalid("there may be at most ", kMaxLabels, " labels: got ", made.label_names_.size());
  }
  for (Labels& labels : made.labels_) labels.resize(made.label_names_.size(), -1);
  double cumulative = 0;
  for (Atom& atom : made.atoms_) {
    atom.labels.resize(made.label_names_.size(), -1);
    made.cumulative_.push_back(cumulative += atom.probability);
  }
  return made;
}

double Distribution::LogDensityOf(const Shape& shape, Position point) {
  constexpr double kNever = -std::numeric_limits<double>::infinity();
  if (!shape.polygon.empty()) {
    return Contains(shape.polygon, point) ? -std::log(shape.area) : kNever;
  }
  if (shape.blob.has_value()) {
    const Blob& blob = *shape.blob;
    const double dx = point.x - blob.mean.x, dy = point.y - blob.mean.y;
    return blob.log_norm - 0.5 * (dx * dx * blob.xx + 2 * dx * dy * blob.xy + dy * dy * blob.yy);
  }
  const Band& band = shape.band;
  const double radius = std::hypot(point.x - band.centre.x, point.y - band.centre.y);
  if (!(radius > 0)) return kNever;
  const double across = (radius - band.radius) / band.deviation;
  const double log_radial =
      -0.5 * across * across - std::log(radius * band.deviation) - 0.5 * std::log(2 * kPi);
  if (band.half >= kPi) return log_radial - std::log(2 * kPi);
  // How far from the arc's middle; the blur along it is as wide as across.
  const double angle = std::abs(std::remainder(
      std::atan2(point.y - band.centre.y, point.x - band.centre.x) - band.middle, 2 * kPi));
  const double blur = band.deviation / band.radius * std::sqrt(2.0);
  // P(|u + blur| near angle) for u uniform: a difference of normal tails, without cancellation.
  const double along =
      (std::erfc((angle - band.half) / blur) - std::erfc((angle + band.half) / blur)) / 2;
  if (!(along > 0)) return kNever;
  return log_radial + std::log(along) - std::log(2 * band.half);
}

double Distribution::LogDensity(int component, Position point) const {
  return LogDensityOf(shapes_[static_cast<size_t>(component)], point);
}

double Distribution::Mass(int component, const std::vector<Position>& polygon) const {
  if (polygon.size() < 3) return 0;
  const Shape& shape = shapes_[static_cast<size_t>(component)];
  if (!shape.polygon.empty()) return std::abs(Area(Intersect(polygon, shape.polygon))) / shape.area;
  double mass = 0;
  for (size_t i = 2; i < polygon.size(); ++i) {
    ForEachNode(polygon[0], polygon[i - 1], polygon[i],
                [&](Position point, double, double, double area) {
                  mass += area * std::exp(LogDensityOf(shape, point));
                });
  }
  return mass;
}

void Distribution::AddHatMasses(int component, const Position corners[3], double masses[3]) const {
  const Shape& shape = shapes_[static_cast<size_t>(component)];
  if (!shape.polygon.empty()) {
    // The integral of a linear function over a polygon, by its triangles' centres.
    const std::vector<Position> part =
        Intersect({corners[0], corners[1], corners[2]}, shape.polygon);
    const double whole = Cross(corners[0], corners[1], corners[2]);
    for (size_t i = 2; i < part.size(); ++i) {
      const double area = Cross(part[0], part[i - 1], part[i]) / 2 / shape.area;
      const Position centre = {(part[0].x + part[i - 1].x + part[i].x) / 3,
                               (part[0].y + part[i - 1].y + part[i].y) / 3};
      for (int k = 0; k < 3; ++k) {
        masses[k] +=
            std::abs(area) * Cross(centre, corners[(k + 1) % 3], corners[(k + 2) % 3]) / whole;
      }
    }
    return;
  }
  ForEachNode(corners[0], corners[1], corners[2],
              [&](Position point, double u, double v, double area) {
                const double mass = area * std::exp(LogDensityOf(shape, point));
                masses[0] += mass * (1 - u - v);
                masses[1] += mass * u;
                masses[2] += mass * v;
              });
}

}  // namespace backfire::planar
