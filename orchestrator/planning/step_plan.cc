#include "orchestrator/planning/step_plan.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "orchestrator/planning/plan.h"
#include "services/base/status.h"

namespace backfire::planning {
namespace {

template <typename Steps>
absl::StatusOr<v1::Version> FindVersion(const Steps& steps, const std::string& vertex,
                                        int replicate) {
  const std::string id = StepId(v1::Step::TRAIN, vertex, replicate);
  BACKFIRE_ASSIGN_OR_RETURN(const records::Standing::Entry entry, steps.Find(id));
  if (entry.step->state() == v1::Step::SUCCEEDED) return entry.step->version();
  return absl::InternalError(absl::StrCat("step ", id, " has not succeeded"));
}

template <typename Steps>
absl::StatusOr<std::vector<v1::Parent>> FindLineage(const Steps& steps,
                                                    const graph::SystemGraph& graph,
                                                    const std::string& vertex, int replicate) {
  std::vector<v1::Parent> lineage;
  for (const auto& [input, source] : graph.node(vertex).inputs) {
    if (source.from_request()) continue;
    BACKFIRE_ASSIGN_OR_RETURN(const v1::Version version,
                              FindVersion(steps, source.vertex, replicate));
    v1::Parent& parent = lineage.emplace_back();
    parent.set_input(input);
    parent.set_version(version.name());
    parent.set_output(source.tensor);
    parent.set_digest(version.digest());
  }
  return lineage;
}

}  // namespace

std::shared_ptr<const records::OpenUpdate> OpenUpdate(
    records::UpdateRecord record, const graph::SystemGraph& graph,
    std::shared_ptr<const records::Standing> base) {
  const auto plan = std::make_shared<records::StepPlan>();
  std::vector<v1::Step> steps;
  for (const records::StepRecord& step : record.steps) steps.push_back(step.step);
  plan->dependents.resize(steps.size());
  plan->by_id.reserve(steps.size());
  const auto dependencies = Dependencies(graph, steps);
  for (size_t i = 0; i < steps.size(); ++i) {
    plan->by_id[steps[i].id()] = static_cast<uint32_t>(i);
    for (const size_t needed : dependencies[i]) {
      plan->dependents[needed].push_back(static_cast<uint32_t>(i));
    }
  }
  const std::set<std::string> touched = TouchedVertices(graph, record.update);
  for (size_t i = 0; i < graph.order().size(); ++i) {
    if (touched.count(graph.order()[i]) > 0) plan->touched.push_back(static_cast<uint32_t>(i));
  }
  return std::make_shared<const records::OpenUpdate>(std::move(record), plan, std::move(base));
}

absl::StatusOr<v1::Version> VersionAsOf(const records::OpenUpdate& update,
                                        const std::string& vertex, int replicate) {
  return FindVersion(update, vertex, replicate);
}

absl::StatusOr<v1::Version> VersionAsOf(const records::Standing& standing,
                                        const std::string& vertex, int replicate) {
  return FindVersion(standing, vertex, replicate);
}

absl::StatusOr<std::vector<v1::Parent>> LineageAsOf(const records::OpenUpdate& update,
                                                    const graph::SystemGraph& graph,
                                                    const std::string& vertex, int replicate) {
  return FindLineage(update, graph, vertex, replicate);
}

absl::StatusOr<std::vector<v1::Parent>> LineageAsOf(const records::Standing& standing,
                                                    const graph::SystemGraph& graph,
                                                    const std::string& vertex, int replicate) {
  return FindLineage(standing, graph, vertex, replicate);
}

}  // namespace backfire::planning
