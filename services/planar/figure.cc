#include "services/planar/figure.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <functional>
#include <map>
#include <utility>

#include "absl/strings/str_cat.h"
#include "services/base/status.h"
#include "services/planar/panels.h"
#include "services/planar/planar_model.h"
#include "services/planar/rehearsal.h"

namespace backfire::planar {
namespace {

using runtime::Split;
using runtime::Tensor;
using runtime::TensorMap;
using Versions = Rehearsal::Versions;

constexpr int kDots = 260;
constexpr int kContourCells = 72;
constexpr char kOne[] = "#2a9d4a";   // Label 1: green, as in the paper.
constexpr char kZero[] = "#d1495b";  // Label 0: red.
constexpr char kNeither[] = "#bbbbbb";
constexpr char kPaleOne[] = "#bfe3c8";
constexpr char kPaleZero[] = "#f3c6cc";
constexpr char kLearned[] = "#111111";
constexpr char kInClass[] = "#7fb2ff";
constexpr char kLine[] = "#1f6fd6";
constexpr char kOptimal[] = "#e08a00";
constexpr char kOptimalDash[] = "2 4";

struct Window {
  Position low{1e300, 1e300}, high{-1e300, -1e300};
  void Add(Position at) {
    low = {std::min(low.x, at.x), std::min(low.y, at.y)};
    high = {std::max(high.x, at.x), std::max(high.y, at.y)};
  }
  // Square, with a rim.
  Window Framed() const {
    const double half = 0.56 * std::max({high.x - low.x, high.y - low.y, 1e-3});
    const Position centre = {(low.x + high.x) / 2, (low.y + high.y) / 2};
    Window framed;
    framed.low = {centre.x - half, centre.y - half};
    framed.high = {centre.x + half, centre.y + half};
    return framed;
  }
};

Position ReadPosition(const Tensor& tensor) {
  return {tensor.As<double>()[0], tensor.As<double>()[1]};
}

Tensor WritePosition(Position at) {
  Tensor tensor = runtime::MakeTensor(runtime::Datatype::kFp64, {2});
  tensor.MutableAs<double>()[0] = at.x;
  tensor.MutableAs<double>()[1] = at.y;
  return tensor;
}

// Where a function of a triangle's corners, linear between them, is 0.
void AddZero(const std::array<Position, 3>& corners, const std::array<double, 3>& scores,
             Segments& segments) {
  std::vector<Position> ends;
  for (size_t i = 0; i < 3; ++i) {
    const size_t j = (i + 1) % 3;
    if ((scores[i] > 0) == (scores[j] > 0)) continue;
    const double t = scores[i] / (scores[i] - scores[j]);
    ends.push_back({corners[i].x + t * (corners[j].x - corners[i].x),
                    corners[i].y + t * (corners[j].y - corners[i].y)});
  }
  if (ends.size() == 2) segments.emplace_back(ends[0], ends[1]);
}

// Where a score over a window is 0. `where` maps a node's place in the window to where it is drawn.
Segments ZeroOf(const std::vector<Position>& drawn, const std::vector<double>& scores,
                int columns) {
  Segments segments;
  const auto n = static_cast<size_t>(columns);
  for (size_t row = 0; row + 1 < n; ++row) {
    for (size_t column = 0; column + 1 < n; ++column) {
      const size_t a = row * n + column, b = a + 1, c = a + n + 1, d = a + n;
      AddZero({drawn[a], drawn[b], drawn[c]}, {scores[a], scores[b], scores[c]}, segments);
      AddZero({drawn[a], drawn[c], drawn[d]}, {scores[a], scores[c], scores[d]}, segments);
    }
  }
  return segments;
}

absl::StatusOr<Segments> Contour(const Window& window,
                                 const std::function<absl::StatusOr<double>(Position)>& score) {
  std::vector<Position> nodes;
  std::vector<double> scores;
  for (int row = 0; row <= kContourCells; ++row) {
    for (int column = 0; column <= kContourCells; ++column) {
      nodes.push_back({window.low.x + (window.high.x - window.low.x) * column / kContourCells,
                       window.low.y + (window.high.y - window.low.y) * row / kContourCells});
      BACKFIRE_ASSIGN_OR_RETURN(scores.emplace_back(), score(nodes.back()));
    }
  }
  return ZeroOf(nodes, scores, kContourCells + 1);
}

// The observed label of an example by a target's name, or -1.
int LabelOf(const PlanarDataset& dataset, const Target& target, const Labels& labels) {
  const std::string name = target.label().empty() ? "class" : target.label();
  const auto& names = dataset.distribution().label_names();
  const auto found = std::find(names.begin(), names.end(), name);
  return found == names.end() ? -1 : labels[static_cast<size_t>(found - names.begin())];
}

class Artist {
 public:
  Artist(Rehearsal& rehearsal, const v1::Proposal& proposal)
      : rehearsal_(rehearsal), proposal_(proposal), dataset_(rehearsal.dataset()) {}

  absl::StatusOr<std::string> Draw() {
    BACKFIRE_ASSIGN_OR_RETURN(before_, rehearsal_.TrainAll(0));
    BACKFIRE_ASSIGN_OR_RETURN(
        after_, rehearsal_.TrainUpdate(proposal_.vertex(), proposal_.recipe(), 0, before_));
    for (const std::string& vertex : rehearsal_.graph().Descendants(proposal_.vertex())) {
      if (rehearsal_.graph().node(vertex).vertex.has_references()) w_ = vertex;
    }
    if (w_.empty()) {
      return absl::InvalidArgumentError(
          absl::StrCat("no descendant of ", proposal_.vertex(), " has references"));
    }
    const auto& node = rehearsal_.graph().node(w_);
    for (const auto& [input, source] : node.inputs) {
      if (source.tensor == "position") return DrawPositions(input, source.vertex);
    }
    return DrawLabels();
  }

 private:
  Target TargetOf(const std::string& vertex) const {
    const auto& targets = dataset_.data().targets();
    const std::string model = rehearsal_.graph().node(vertex).model_name.substr(7);
    const auto found = targets.find(model);
    return found == targets.end() ? dataset_.data().default_target() : found->second;
  }

  // --- Positions: Figures 2 and 3.

  absl::StatusOr<std::vector<Position>> Predictions(const std::string& parent,
                                                    const Versions& versions, Split split) {
    BACKFIRE_ASSIGN_OR_RETURN(const auto outputs,
                              rehearsal_.Outputs(parent, *versions.at(parent), split));
    std::vector<Position> positions;
    for (const TensorMap& tensors : *outputs) {
      positions.push_back(ReadPosition(tensors.at("position")));
    }
    return positions;
  }

  void Dots(Panels& svg, const std::function<Position(size_t)>& where) const {
    const Target target = TargetOf(w_);
    const auto& examples = dataset_.examples(Split::kTest);
    std::map<int, std::vector<Position>> by_label;
    for (size_t i = 0; i < std::min<size_t>(kDots, examples.size()); ++i) {
      by_label[LabelOf(dataset_, target, examples[i].labels)].push_back(where(i));
    }
    svg.Dots(by_label[-1], 4, kNeither);
    svg.Dots(by_label[0], 4, kZero);
    svg.Dots(by_label[1], 4, kOne);
  }

  // The few training examples of replicate 0, where they are few.
  absl::Status FewTrained(Panels& svg, const std::vector<Position>& where) const {
    const auto& vertex = rehearsal_.graph().node(w_).vertex;
    BACKFIRE_ASSIGN_OR_RETURN(const v1::Recipe recipe,
                              rehearsal_.model(w_).ResolveRecipe(vertex.recipe()));
    BACKFIRE_ASSIGN_OR_RETURN(
        const auto chosen,
        TrainingExamples(dataset_, TargetOf(w_), recipe, rehearsal_.graph().system().seed()));
    if (chosen.size() > 20) return absl::OkStatus();
    for (const size_t i : chosen) {
      const int label = LabelOf(dataset_, TargetOf(w_), dataset_.examples(Split::kTrain)[i].labels);
      svg.Dots({where[i]}, 12, kLearned);
      svg.Dots({where[i]}, 9, label == 1 ? kOne : kZero);
    }
    return absl::OkStatus();
  }

  absl::Status Panel(Panels& svg, int column, const std::string& input, const std::string& parent,
                     const Versions& versions, const std::string& title) {
    BACKFIRE_ASSIGN_OR_RETURN(const auto tested, Predictions(parent, versions, Split::kTest));
    BACKFIRE_ASSIGN_OR_RETURN(const auto trained, Predictions(parent, versions, Split::kTrain));
    BACKFIRE_ASSIGN_OR_RETURN(const auto nodes, Predictions(parent, versions, Split::kPopulation));
    Window window;
    for (size_t i = 0; i < std::min<size_t>(kDots, tested.size()); ++i) window.Add(tested[i]);
    window = window.Framed();
    svg.Panel(column, 0, window.low, window.high, title);
    Dots(svg, [&](size_t i) { return tested[i]; });

    const v1::References& references = rehearsal_.graph().node(w_).vertex.references();
    const auto contour = [&](const Rehearsal::Version& version) {
      return Contour(window, [&](Position at) -> absl::StatusOr<double> {
        TensorMap inputs;
        for (const auto& [name, source] : rehearsal_.graph().node(w_).inputs) {
          inputs[name] = name == input || name == "point" ? WritePosition(at) : Tensor();
        }
        BACKFIRE_ASSIGN_OR_RETURN(const TensorMap outputs, Rehearsal::Predict(version, inputs));
        return *outputs.at("score").As<double>();
      });
    };
    if (!dataset_.population().discrete() && references.has_optimal()) {
      BACKFIRE_ASSIGN_OR_RETURN(const auto optimal,
                                rehearsal_.Train(w_, references.optimal(), 0, versions));
      BACKFIRE_ASSIGN_OR_RETURN(const auto said,
                                rehearsal_.Outputs(w_, *optimal, Split::kPopulation));
      std::vector<double> scores;
      for (const TensorMap& tensors : *said) {
        scores.push_back(*tensors.at("score").As<double>());
      }
      // Drawn where the mesh's triangles go.
      const auto columns = static_cast<int>(std::lround(std::sqrt(scores.size())));
      svg.Lines(ZeroOf(nodes, scores, columns), kOptimal, 2, kOptimalDash);
    }
    if (references.has_optimal_in_class()) {
      BACKFIRE_ASSIGN_OR_RETURN(const auto in_class,
                                rehearsal_.Train(w_, references.optimal_in_class(), 0, versions));
      BACKFIRE_ASSIGN_OR_RETURN(const Segments zero, contour(*in_class));
      svg.Lines(zero, kInClass, 4.5, "");
    }
    BACKFIRE_ASSIGN_OR_RETURN(const Segments zero, contour(*versions.at(w_)));
    svg.Lines(zero, kLearned, 1.6, "");
    return FewTrained(svg, trained);
  }

  absl::StatusOr<std::string> DrawPositions(const std::string& input, const std::string& parent) {
    Panels svg(3, 1, /*footer=*/26);
    const auto& examples = dataset_.examples(Split::kTest);
    Window window;
    for (size_t i = 0; i < std::min<size_t>(kDots, examples.size()); ++i) {
      window.Add(examples[i].point);
    }
    window = window.Framed();
    svg.Panel(0, 0, window.low, window.high, "ground truth");
    Dots(svg, [&](size_t i) { return examples[i].point; });
    std::vector<Position> points;
    for (const auto& example : dataset_.examples(Split::kTrain)) points.push_back(example.point);
    BACKFIRE_RETURN_IF_ERROR(FewTrained(svg, points));
    BACKFIRE_RETURN_IF_ERROR(
        Panel(svg, 1, input, parent, before_, absl::StrCat("predictions of ", parent)));
    BACKFIRE_RETURN_IF_ERROR(
        Panel(svg, 2, input, parent, after_, absl::StrCat("predictions of ", parent, "'")));
    svg.Legend(Panels::kMargin, absl::StrCat("optimal ", w_), kOptimal, kOptimalDash);
    svg.Legend(Panels::kMargin + 170, absl::StrCat("optimal ", w_, " in its hypothesis set"),
               kInClass, "");
    svg.Legend(Panels::kMargin + 420, absl::StrCat(w_, " as learned"), kLearned, "");
    return svg.Finish();
  }

  // --- Labels: Figure 4.

  absl::Status LabelPanel(Panels& svg, int column, int row, const std::string& vertex,
                          const Versions& versions, const std::string& title,
                          const std::string& line) {
    const bool discrete = dataset_.population().discrete();
    BACKFIRE_ASSIGN_OR_RETURN(const auto said,
                              rehearsal_.Outputs(vertex, *versions.at(vertex),
                                                 discrete ? Split::kPopulation : Split::kTest));
    Window window;
    const auto& examples = dataset_.examples(Split::kTest);
    const auto& atoms = dataset_.distribution().atoms();
    const size_t count = discrete ? atoms.size() : std::min<size_t>(kDots, examples.size());
    const auto point = [&](size_t i) { return discrete ? atoms[i].point : examples[i].point; };
    for (size_t i = 0; i < count; ++i) window.Add(point(i));
    window = window.Framed();
    svg.Panel(column, row, window.low, window.high, title);
    const Target target = TargetOf(vertex);
    std::vector<Position> positive, negative, wrong, says_1, says_0;
    for (size_t i = 0; i < count; ++i) {
      const bool truth =
          LabelOf(dataset_, target, discrete ? atoms[i].labels : examples[i].labels) == 1;
      const bool says = *(*said)[i].at("score").As<double>() > 0;
      (truth ? positive : negative).push_back(point(i));
      (says ? says_1 : says_0).push_back(point(i));
      if (truth != says) wrong.push_back(point(i));
    }
    svg.Squares(positive, 10, kPaleOne, "none");
    svg.Squares(negative, 10, kPaleZero, "none");
    svg.Squares(wrong, 9, "none", kLearned);
    svg.Signs(says_1, true, kLearned);
    svg.Signs(says_0, false, kLearned);
    bool by_point = true;
    for (const auto& [input, source] : rehearsal_.graph().node(vertex).inputs) {
      by_point = by_point && source.from_request();
    }
    if (!by_point) return absl::OkStatus();
    BACKFIRE_ASSIGN_OR_RETURN(
        const Segments zero, Contour(window, [&](Position at) -> absl::StatusOr<double> {
          BACKFIRE_ASSIGN_OR_RETURN(
              const TensorMap outputs,
              Rehearsal::Predict(*versions.at(vertex), {{"point", WritePosition(at)}}));
          return *outputs.at("score").As<double>();
        }));
    svg.Lines(zero, line, 2.2, "");
    return absl::OkStatus();
  }

  absl::StatusOr<std::string> DrawLabels() {
    std::vector<std::string> shown;
    for (const std::string& parent : rehearsal_.graph().node(w_).parents) shown.push_back(parent);
    shown.push_back(w_);
    Panels svg(static_cast<int>(shown.size()), 2, /*footer=*/26);
    for (size_t i = 0; i < shown.size(); ++i) {
      const bool changed = after_.at(shown[i]) != before_.at(shown[i]);
      const auto column = static_cast<int>(i);
      BACKFIRE_RETURN_IF_ERROR(LabelPanel(svg, column, 0, shown[i], before_, shown[i], kLine));
      BACKFIRE_RETURN_IF_ERROR(LabelPanel(svg, column, 1, shown[i], after_,
                                          absl::StrCat(shown[i], changed ? "'" : ""),
                                          changed ? kZero : kLine));
    }
    svg.Legend(Panels::kMargin, "boundary", kLine, "");
    svg.Legend(Panels::kMargin + 120, "boundary after the update", kZero, "");
    svg.Legend(Panels::kMargin + 330, "green: should be +, red: should be -; boxed: is wrong",
               "none", "");
    return svg.Finish();
  }

  Rehearsal& rehearsal_;
  const v1::Proposal& proposal_;
  const PlanarDataset& dataset_;
  Versions before_, after_;
  std::string w_;
};

}  // namespace

absl::StatusOr<std::string> DrawFigure(const v1::System& system, int proposal) {
  if (proposal < 0 || proposal >= system.proposals_size()) {
    return absl::InvalidArgumentError(absl::StrCat("system ", system.name(), " has ",
                                                   system.proposals_size(),
                                                   " proposals: there is no number ", proposal));
  }
  BACKFIRE_ASSIGN_OR_RETURN(const auto rehearsal, Rehearsal::Make(system));
  return Artist(*rehearsal, system.proposals(proposal)).Draw();
}

}  // namespace backfire::planar
