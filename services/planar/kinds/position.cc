// An upstream predictor of where a point is, wrong by a stated field: a list of steps, each of
// which moves points on from where the ones before it put them.
#include <cmath>
#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "services/base/status.h"
#include "services/planar/kind.h"
#include "services/planar/parameters.h"
#include "services/runtime/recipe.h"

namespace backfire::planar {
namespace {

using google::protobuf::Struct;
using google::protobuf::Value;

constexpr double kPi = 3.14159265358979323846;

// One step of a field. What it does first is where the point truly is.
using Step = std::function<Position(Position truth, Position now)>;
using Inside = std::function<bool(Position truth)>;

constexpr char kSteps[] =
    "offset: [x, y]; bend: C (y grows by C x^2); scale: [x, y]; rotate_degrees: A; wave: [x, y] "
    "with length: L (x and y grow by so much times sin(2 pi y / L) and sin(2 pi x / L)); collapse: "
    "[x, y] (all points go there); flatten_x: X; flatten_y: Y; any of them only for points in "
    "disc: [x, y, radius], polygon: [[x, y] ...] or half_plane: [normal x, normal y, offset]";

class FieldRule : public Rule {
 public:
  FieldRule(std::vector<Step> steps, double strength)
      : steps_(std::move(steps)), strength_(strength) {}
  Output Apply(const Input& input) const override {
    Position now = input.point;
    for (const Step& step : steps_) now = step(input.point, now);
    Output output;
    if (strength_ == 1) {
      output.position = now;  // Points that a step puts together stay together, to the last bit.
    } else {
      output.position = {input.point.x + strength_ * (now.x - input.point.x),
                         input.point.y + strength_ * (now.y - input.point.y)};
    }
    return output;
  }

 private:
  const std::vector<Step> steps_;
  const double strength_;
};

absl::StatusOr<std::vector<double>> Numbers(const Value& value, int count,
                                            const std::string& path) {
  std::vector<double> numbers;
  for (const Value& number : value.list_value().values()) {
    BACKFIRE_ASSIGN_OR_RETURN(numbers.emplace_back(), ToNumber(number, path));
  }
  if (static_cast<int>(numbers.size()) == count) return numbers;
  return absl::InvalidArgumentError(absl::StrCat(path, " must have ", count, " numbers"));
}

absl::StatusOr<Step> ParseStep(const Value& value, const std::string& path) {
  std::optional<Step> move;
  Inside inside = [](Position) { return true; };
  double length = 1;
  if (const auto found = value.struct_value().fields().find("length");
      found != value.struct_value().fields().end()) {
    BACKFIRE_ASSIGN_OR_RETURN(length, ToNumber(found->second, path + ".length"));
    if (!(length > 0)) return absl::InvalidArgumentError(path + ".length must be > 0");
  }
  int moves = 0;
  for (const auto& [name, argument] : value.struct_value().fields()) {
    const std::string where = absl::StrCat(path, ".", name);
    if (name == "length") continue;
    if (name == "disc") {
      BACKFIRE_ASSIGN_OR_RETURN(const auto disc, Numbers(argument, 3, where));
      inside = [disc](Position p) { return Distance(p, {disc[0], disc[1]}) < disc[2]; };
      continue;
    }
    if (name == "polygon") {
      BACKFIRE_ASSIGN_OR_RETURN(const auto polygon, ToPoints(argument, where));
      inside = [polygon](Position p) { return Contains(polygon, p); };
      continue;
    }
    if (name == "half_plane") {
      BACKFIRE_ASSIGN_OR_RETURN(const auto line, Numbers(argument, 3, where));
      inside = [line](Position p) { return line[0] * p.x + line[1] * p.y > line[2]; };
      continue;
    }
    ++moves;
    if (name == "offset" || name == "scale" || name == "wave" || name == "collapse") {
      BACKFIRE_ASSIGN_OR_RETURN(const Position by, ToPosition(argument, where));
      if (name == "offset") {
        move = [by](Position, Position now) { return Position{now.x + by.x, now.y + by.y}; };
      } else if (name == "scale") {
        move = [by](Position, Position now) { return Position{now.x * by.x, now.y * by.y}; };
      } else if (name == "collapse") {
        move = [by](Position, Position) { return by; };
      } else {
        move = [by, length](Position, Position now) {
          return Position{now.x + by.x * std::sin(2 * kPi * now.y / length),
                          now.y + by.y * std::sin(2 * kPi * now.x / length)};
        };
      }
      continue;
    }
    BACKFIRE_ASSIGN_OR_RETURN(const double by, ToNumber(argument, where));
    if (name == "bend") {
      move = [by](Position, Position now) { return Position{now.x, now.y + by * now.x * now.x}; };
    } else if (name == "rotate_degrees") {
      const double c = std::cos(by * kPi / 180), s = std::sin(by * kPi / 180);
      move = [c, s](Position, Position now) {
        return Position{c * now.x - s * now.y, s * now.x + c * now.y};
      };
    } else if (name == "flatten_x") {
      move = [by](Position, Position now) { return Position{by, now.y}; };
    } else if (name == "flatten_y") {
      move = [by](Position, Position now) { return Position{now.x, by}; };
    } else {
      return absl::InvalidArgumentError(absl::StrCat(where, ": unknown; there are ", kSteps));
    }
  }
  if (moves != 1) {
    return absl::InvalidArgumentError(absl::StrCat(path, " must be one of ", kSteps));
  }
  return Step([move = *move, inside](Position truth, Position now) {
    return inside(truth) ? move(truth, now) : now;
  });
}

absl::StatusOr<std::vector<Step>> ParseSteps(const v1::Recipe& recipe) {
  const auto& list = Parameter(recipe, "field").list_value();
  std::vector<Step> steps;
  for (int i = 0; i < list.values_size(); ++i) {
    BACKFIRE_ASSIGN_OR_RETURN(
        steps.emplace_back(),
        ParseStep(list.values(i), absl::StrCat(ParameterPath("field"), "[", i, "]")));
  }
  return steps;
}

class PositionKind : public Kind {
 public:
  Gives gives() const override { return Gives::kPosition; }
  v1::Recipe defaults() const override {
    v1::Recipe recipe;
    recipe.set_name("position");
    runtime::Declare(
        recipe, "field", ToValue(std::vector<double>()),
        std::string("Steps by which points are moved from where they are, each one of ") + kSteps +
            ".");
    runtime::Declare(recipe, "strength", 1, {-10, 10}, "",
                     "How far along its way a point is moved; 0: not at all.");
    return recipe;
  }
  absl::Status Check(const v1::Recipe& recipe) const override {
    return ParseSteps(recipe).status();
  }
  absl::StatusOr<std::string> Train(const Lesson&) const override { return std::string(kStated); }
  absl::StatusOr<std::unique_ptr<const Rule>> Load(const v1::Recipe& recipe,
                                                   const std::string& weights,
                                                   size_t) const override {
    BACKFIRE_RETURN_IF_ERROR(CheckStated(weights));
    BACKFIRE_ASSIGN_OR_RETURN(auto steps, ParseSteps(recipe));
    runtime::ParameterReader parameters(recipe);
    return std::make_unique<FieldRule>(std::move(steps), parameters.Number("strength"));
  }
};

const bool registered_position = RegisterKind(std::make_unique<PositionKind>());

}  // namespace
}  // namespace backfire::planar
