#pragma once

#include <map>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "orchestrator/planning/completion.h"
#include "orchestrator/planning/plan.h"
#include "orchestrator/planning/step_plan.h"
#include "orchestrator/records/change.h"
#include "orchestrator/records/resource_name.h"
#include "orchestrator/records/state.h"

// Records of a small system, for tests of what is pure: x -> a -> b, x -> c.
namespace backfire::testing {

inline v1::System SmallSystem(int replicates = 2) {
  v1::System system;
  system.set_name("small");
  system.set_dataset("toy:1");
  system.set_replicates(replicates);
  system.set_alpha(0.05);
  system.set_parallel_jobs(4);
  system.mutable_bootstrap()->set_resample_count(20);
  system.mutable_service_timeout()->set_seconds(1);
  auto* x = system.add_request();
  x->set_name("x");
  x->set_datatype("FP64");
  x->add_shape(1);
  for (const auto& [name, source] :
       std::map<std::string, std::string>{{"a", "request.x"}, {"b", "a.y"}, {"c", "request.x"}}) {
    v1::Vertex& vertex = *system.add_vertices();
    vertex.set_name(name);
    vertex.set_endpoint("host-" + name + ":1");
    vertex.set_model("m" + name);
    (*vertex.mutable_inputs())["x"] = source;
    vertex.mutable_recipe()->set_name("fit");
  }
  (*system.mutable_outputs())["y"] = "b.y";
  (*system.mutable_outputs())["z"] = "c.y";
  return system;
}

inline std::shared_ptr<const records::SystemRevision> SmallRevision(int replicates = 2) {
  records::SystemRecord record;
  record.revision = 1;
  record.system = SmallSystem(replicates);
  record.baseline_update = 1;
  for (const char* vertex : {"a", "b", "c"}) {
    v1::Model& model = record.models[vertex];
    model.set_name(std::string("models/m") + vertex);
    model.add_losses()->set_name("mae");
    model.add_capabilities(v1::DELETE_VERSION);
  }
  return *records::MakeSystemRevision(record);
}

/// A baseline (number 1) or an update of a vertex, none of whose steps has begun.
inline records::UpdateRecord SmallUpdate(int64_t number, const std::string& vertex,
                                         int replicates = 2) {
  const auto system = SmallRevision(replicates);
  records::UpdateRecord record;
  record.number = number;
  v1::Update& update = record.update;
  update.set_name(records::UpdateName(number));
  update.set_state(v1::Update::PROPOSED);
  update.set_system_revision(1);
  update.set_replicates(replicates);
  const bool is_baseline = vertex.empty();
  update.set_baseline(is_baseline);
  if (!is_baseline) {
    record.request_id = "request-" + std::to_string(number);
    record.base = 1;
    update.set_vertex(vertex);
    update.mutable_recipe()->set_name("fit");
    update.set_baseline_release("releases/1");
    update.set_look(1);
    update.set_planned_looks(1);
    update.set_planned_replicates(replicates);
  }
  const auto steps = is_baseline ? planning::PlanBaseline(system->graph, replicates)
                                 : planning::PlanUpdate(system->graph, vertex, {}, replicates);
  for (const v1::Step& step : steps) record.steps.emplace_back().step = step;
  return record;
}

/// Has a step succeed, with a version or an evaluation by which it can be told from others.
inline void Succeed(records::UpdateRecord& update, size_t position) {
  v1::Step& step = update.steps[position].step;
  step.set_state(v1::Step::SUCCEEDED);
  const std::string tag = std::to_string(update.number) + "0" + std::to_string(step.replicate());
  if (step.kind() == v1::Step::TRAIN) {
    step.mutable_version()->set_name("models/m" + step.vertex() + "/versions/" + tag);
    step.mutable_version()->set_digest("digest-" + step.vertex() + tag);
    step.mutable_version()->mutable_recipe()->set_name("fit");
    step.mutable_version()->mutable_dataset()->set_digest("data");
  } else if (step.kind() != v1::Step::LOAD) {
    v1::Evaluation& evaluation = *step.mutable_evaluation();
    evaluation.set_dataset_digest("data");
    evaluation.set_example_count(50);
    evaluation.add_losses()->set_loss("mae");
    evaluation.mutable_losses(0)->set_value(static_cast<double>(update.number));
  }
}

/// The same with all steps done, in this state.
inline records::UpdateRecord EndedUpdate(int64_t number, const std::string& vertex,
                                         v1::Update::State state, int replicates = 2) {
  records::UpdateRecord record = SmallUpdate(number, vertex, replicates);
  for (size_t i = 0; i < record.steps.size(); ++i) Succeed(record, i);
  record.update.set_state(state);
  record.update.set_release(records::ReleaseName(number));
  return record;
}

/// The release of an ended update.
inline records::ReleaseRecord SmallRelease(int64_t number, v1::Release::State state,
                                           int64_t epoch = 0) {
  records::ReleaseRecord record;
  record.revision = 1;
  record.release.set_name(records::ReleaseName(number));
  record.release.set_update(records::UpdateName(number));
  record.release.set_state(state);
  record.release.set_epoch(epoch);
  for (const char* vertex : {"a", "b", "c"}) {
    (*record.release.mutable_versions())[vertex] =
        std::string("models/m") + vertex + "/versions/" + std::to_string(number) + "00";
  }
  return record;
}

inline std::shared_ptr<const records::OpenUpdate> Open(
    records::UpdateRecord record, std::shared_ptr<const records::Standing> base = nullptr) {
  return planning::OpenUpdate(std::move(record), SmallRevision()->graph, std::move(base));
}

/// A state with a baseline, updates/1, whose release is live at epoch 1.
inline records::State LiveState(int replicates = 2) {
  records::State state;
  state.identity = "store";
  records::Change change;
  change.system = SmallRevision(replicates);
  change.releases[1].record = SmallRelease(1, v1::Release::LIVE, 1);
  change.live_standing = Open(EndedUpdate(1, "", v1::Update::PROMOTED, replicates))->MakeStanding();
  state = records::Apply(state, change);
  state.last_update = 1;
  return state;
}

/// Adds an update of a vertex to a state.
inline records::State WithUpdate(const records::State& state, records::UpdateRecord record) {
  records::Change change;
  change.added.push_back(Open(std::move(record), state.live_standing));
  return records::Apply(state, change);
}

/// A state in which another update, whose vertex has one of two replicates, is live at epoch 2.
inline records::State LackingState(
    records::UpdateRecord promoted = EndedUpdate(2, "b", v1::Update::PROMOTED, 1)) {
  const records::State state = LiveState();
  records::Change change;
  records::ChangeRelease(1, *state.FindRelease(1), change)
      .record.release.set_state(v1::Release::DRAINING);
  change.releases[2].record = SmallRelease(2, v1::Release::LIVE, 2);
  change.live_standing = Open(std::move(promoted), state.live_standing)->MakeStanding();
  records::State next = records::Apply(state, change);
  next.last_update = 2;
  return next;
}

/// An update that completes the replicates of LackingState's live release.
inline records::UpdateRecord SmallCompletion(const records::State& state, int64_t number,
                                             const std::set<std::string>& proposed = {}) {
  records::UpdateRecord record;
  record.number = number;
  record.base = state.live_standing->number();
  v1::Update& update = record.update;
  update.set_name(records::UpdateName(number));
  update.set_state(v1::Update::PROPOSED);
  update.set_system_revision(1);
  update.set_baseline_release(records::ReleaseName(state.live));
  update.set_replicates(2);
  const std::vector<v1::Step> steps =
      planning::PlanCompletion(*state.live_standing, SmallRevision()->graph, 2, proposed).value();
  for (const v1::Step& step : steps) {
    record.steps.emplace_back().step = step;
  }
  return record;
}

/// Position of a step of an update.
inline size_t PositionOf(const records::OpenUpdate& update, const std::string& id) {
  return update.plan().by_id.at(id);
}

}  // namespace backfire::testing
