#include "orchestrator/cli/update_context.h"

#include <cmath>
#include <set>

#include "absl/strings/str_cat.h"
#include "orchestrator/report/recipe_report.h"
#include "services/graph/system_graph.h"

namespace backfire::cli {
namespace {

// A curve of more points is thinned to half of them: nobody sees more in a picture.
constexpr int kMostPoints = 240;

void AddVertices(const v1::System& system, v1::UpdateContext& context) {
  for (const v1::Vertex& vertex : system.vertices()) {
    v1::UpdateVertex& added = *context.add_vertices();
    added.set_name(vertex.name());
    std::set<std::string> parents;
    for (const auto& [input, reference] : vertex.inputs()) {
      const auto source = graph::ParseSource(reference);
      if (source.ok() && !source->from_request()) parents.insert(source->vertex);
    }
    for (const std::string& parent : parents) added.add_parents(parent);
  }
}

v1::UpdateVertex& VertexOf(const std::string& name, v1::UpdateContext& context) {
  for (v1::UpdateVertex& vertex : *context.mutable_vertices()) {
    if (vertex.name() == name) return vertex;
  }
  v1::UpdateVertex& added = *context.add_vertices();
  added.set_name(name);
  return added;
}

void Thin(v1::TrainingCurve& curve) {
  v1::TrainingCurve half;
  for (int i = 0; i < curve.steps_size(); i += 2) {
    half.add_steps(curve.steps(i));
    half.add_losses(curve.losses(i));
  }
  *curve.mutable_steps() = half.steps();
  *curve.mutable_losses() = half.losses();
}

}  // namespace

v1::UpdateContext ContextOf(const v1::Update& update, const v1::GetSystemResponse& system) {
  v1::UpdateContext context;
  context.set_name(update.name());
  context.set_vertex(update.vertex());
  context.set_change(update.version().empty() ? report::RecipeText(update.recipe())
                                              : update.version());
  context.set_actor(update.actor());
  context.set_reason(update.reason());
  if (update.has_create_time()) *context.mutable_create_time() = update.create_time();
  if (update.has_decide_time()) *context.mutable_decide_time() = update.decide_time();
  context.set_baseline_release(update.baseline_release());
  context.set_release(update.release());
  *context.mutable_diagnoses() = update.diagnoses();
  if (system.revision() == update.system_revision()) AddVertices(system.system(), context);
  context.set_saved_seconds(update.reuse().seconds());
  std::map<std::string, v1::UpdateVertex*> vertices;
  for (const v1::Step& step : update.steps()) {
    context.set_compute_seconds(context.compute_seconds() + step.compute_seconds());
    context.set_saved_seconds(context.saved_seconds() + step.saved_seconds());
    v1::UpdateVertex& vertex = VertexOf(step.vertex(), context);
    vertex.set_compute_seconds(vertex.compute_seconds() + step.compute_seconds());
    if (step.kind() != v1::Step::TRAIN || step.version().name().empty()) continue;
    vertex.add_versions(step.version().name());
    vertex.add_digests(step.version().digest());
    vertex.add_seeds(step.version().seed());
  }
  return context;
}

void TrainingCurves::Take(const v1::Update& update) {
  for (const v1::Step& step : update.steps()) {
    if (step.kind() != v1::Step::TRAIN || step.state() != v1::Step::RUNNING) continue;
    const v1::Progress& progress = step.progress();
    if (progress.step() <= 0 || progress.loss() == 0 || !std::isfinite(progress.loss())) continue;
    v1::TrainingCurve& curve = curves_[{step.vertex(), step.replicate()}];
    curve.set_vertex(step.vertex());
    curve.set_replicate(step.replicate());
    const int points = curve.steps_size();
    // A stage of its own begins again at its first step: the curve is that of the last stage.
    if (points > 0 && progress.step() < curve.steps(points - 1)) {
      curve.clear_steps();
      curve.clear_losses();
    }
    if (curve.steps_size() > 0 && progress.step() == curve.steps(curve.steps_size() - 1)) continue;
    curve.add_steps(progress.step());
    curve.add_losses(progress.loss());
    if (curve.steps_size() > kMostPoints) Thin(curve);
  }
}

void TrainingCurves::AddTo(v1::UpdateContext& context) const {
  for (const auto& [key, curve] : curves_) *context.add_curves() = curve;
}

}  // namespace backfire::cli
