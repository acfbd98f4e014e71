#include "services/gateway/release_view.h"

#include <spdlog/spdlog.h>

#include <map>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "services/base/status.h"
#include "services/runtime/version_name.h"

namespace backfire::gateway {
namespace {

absl::Status AddRelease(const v1::Release& release, ReleaseView& view) {
  absl::string_view rest = release.name();
  int64_t number = 0;
  if (!absl::ConsumePrefix(&rest, "releases/") || !absl::SimpleAtoi(rest, &number)) {
    return absl::InternalError(absl::StrCat("not a release's name: ", release.name()));
  }
  std::map<std::string, int64_t> versions;
  for (const std::string& vertex : view.graph.order()) {
    const auto version = release.versions().find(vertex);
    if (version == release.versions().end()) {
      return absl::InternalError(
          absl::StrCat(release.name(), " has no version of vertex ", vertex));
    }
    BACKFIRE_ASSIGN_OR_RETURN(const runtime::VersionId id,
                              runtime::ParseVersionName(version->second));
    versions[vertex] = id.number;
  }
  view.releases[number] = std::move(versions);
  view.digests[number] = {release.digests().begin(), release.digests().end()};
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<std::shared_ptr<const ReleaseView>> MakeReleaseView(
    const v1::ReleaseSnapshot& snapshot) {
  auto view = std::make_shared<ReleaseView>();
  BACKFIRE_ASSIGN_OR_RETURN(view->graph, graph::SystemGraph::Build(snapshot.system()));
  for (const std::string& vertex : view->graph.order()) {
    const auto model = snapshot.models().find(vertex);
    if (model == snapshot.models().end()) {
      return absl::InternalError(absl::StrCat("the snapshot has no model of vertex ", vertex));
    }
    view->models[vertex] = model->second;
  }
  for (const v1::Release& release : snapshot.releases()) {
    const absl::Status status = AddRelease(release, *view);
    // One that can't be served says so when it is asked for; the others are served all the same.
    if (!status.ok()) {
      spdlog::error("release state=REFUSED release={} error=\"{}\"", release.name(),
                    std::string(status.message()));
    }
  }
  if (snapshot.live() != 0 && view->releases.count(snapshot.live()) == 0) {
    return absl::InternalError(
        absl::StrCat("the live release ", snapshot.live(), " is not among the releases"));
  }
  view->live = snapshot.live();
  view->epoch = snapshot.epoch();
  return std::shared_ptr<const ReleaseView>(std::move(view));
}

}  // namespace backfire::gateway
