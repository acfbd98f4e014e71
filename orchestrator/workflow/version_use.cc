#include "orchestrator/workflow/version_use.h"

#include <algorithm>

#include "absl/strings/str_cat.h"

namespace backfire::workflow {
namespace {

// A release that was never live and lost its update's promotion is only history.
bool IsOfUse(const v1::Release& release) {
  return release.state() != v1::Release::RETIRED || release.epoch() > 0;
}

// Whether an update may still ask for its versions: it goes on, can be retried or promoted, or is
// what later ones are compared with.
bool IsOfUse(const v1::Update& update) {
  return update.state() != v1::Update::CANCELLED && update.state() != v1::Update::REJECTED;
}

bool Names(const v1::Recipe& recipe, const std::string& version) {
  const auto& parameters = recipe.parameters().fields();
  return std::any_of(parameters.begin(), parameters.end(),
                     [&](const auto& field) { return field.second.string_value() == version; });
}

bool Holds(const store::UpdateRecord& update, const std::string& version) {
  return std::any_of(update.steps.begin(), update.steps.end(), [&](const auto& record) {
    return record.step.kind() == v1::Step::TRAIN && record.step.version().name() == version;
  });
}

}  // namespace

void TakeProposedVersion(const std::string& vertex, const v1::Version& version,
                         store::UpdateRecord& update) {
  for (store::StepRecord& record : update.steps) {
    if (record.step.kind() != v1::Step::TRAIN || record.step.vertex() != vertex) continue;
    record.step.set_state(v1::Step::SUCCEEDED);
    *record.step.mutable_version() = version;
  }
}

std::vector<std::string> NeedsOf(const store::Contents& contents, const std::string& version) {
  std::vector<std::string> needs;
  for (const auto& [number, release] : contents.releases) {
    const auto& versions = release.versions();
    if (!IsOfUse(release)) continue;
    if (std::any_of(versions.begin(), versions.end(),
                    [&](const auto& entry) { return entry.second == version; })) {
      needs.push_back(
          absl::StrCat(release.name(), " (", v1::Release::State_Name(release.state()), ")"));
    }
  }
  if (contents.systems.empty()) return needs;
  const store::SystemRecord& current = contents.systems.rbegin()->second;
  for (const auto& [number, update] : contents.updates) {
    if (update.update.system_revision() != current.revision || !IsOfUse(update.update)) continue;
    if (Holds(update, version)) {
      needs.push_back(absl::StrCat(
          update.update.name(), " (",
          update.update.baseline() ? "the baseline" : v1::Update::State_Name(update.update.state()),
          ")"));
    } else if (Names(update.update.recipe(), version)) {
      needs.push_back(absl::StrCat("the recipe of ", update.update.name()));
    }
  }
  for (const v1::Vertex& vertex : current.system.vertices()) {
    if (Names(vertex.recipe(), version)) {
      needs.push_back(absl::StrCat("the recipe of vertex ", vertex.name()));
    }
  }
  return needs;
}

}  // namespace backfire::workflow
