#pragma once

#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/io/zero_copy_stream_impl_lite.h>
#include <prometheus/counter.h>
#include <prometheus/gauge.h>
#include <prometheus/histogram.h>
#include <prometheus/registry.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <map>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "orchestrator/workflow/engine.h"
#include "orchestrator/workflow/plan.h"
#include "services/base/digest.h"
#include "services/base/status.h"
#include "services/runtime/request_id.h"

// What the parts of the engine share, and nobody else sees.
namespace backfire::workflow {

struct Engine::RunningStep {
  std::atomic<bool> cancel{false};
  std::chrono::steady_clock::time_point start = std::chrono::steady_clock::now();
  std::thread thread;
};

/// What one transaction changes.
struct Engine::Change {
  const store::SystemRecord* system = nullptr;
  std::vector<store::UpdateRecord> added;      ///< New updates, with all their steps.
  std::map<int64_t, v1::Update> updates;       ///< Known ones, by number.
  std::map<StepKey, store::StepRecord> steps;  ///< Of known updates.
  std::map<int64_t, v1::Release> releases;     ///< New and known ones, by number.
  std::vector<store::RequestRecord> requests;
};

struct Engine::Metrics {
  explicit Metrics(prometheus::Registry& registry);
  prometheus::Family<prometheus::Counter>& steps;
  prometheus::Family<prometheus::Histogram>& step_seconds;
  prometheus::Family<prometheus::Counter>& updates;
  prometheus::Family<prometheus::Counter>& verdicts;
  prometheus::Gauge& live_release;
  prometheus::Gauge& epoch;
};

/// Whether an update has work to do.
inline bool IsOpen(const v1::Update& update) {
  switch (update.state()) {
    case v1::Update::PROPOSED:
    case v1::Update::TRAINING_CANDIDATE:
    case v1::Update::EVALUATING_CANDIDATE:
    case v1::Update::RETRAINING:
    case v1::Update::EVALUATING:
      return true;
    default:
      return false;
  }
}

/// The state of an update by the least advanced of its due steps that have not succeeded.
inline v1::Update::State PhaseOf(const store::UpdateRecord& update) {
  v1::Update::State state = v1::Update::EVALUATING;
  for (const store::StepRecord& record : update.steps) {
    if (record.step.state() == v1::Step::SUCCEEDED || !IsDue(update.update, record.step)) continue;
    state = std::min(state, PhaseOf(update.update, record.step));
  }
  return state;
}

/// Whether nothing has been done for an update yet; that a proposed version exists is nothing.
inline bool HasNotBegun(const store::UpdateRecord& update) {
  return std::all_of(update.steps.begin(), update.steps.end(), [&](const auto& record) {
    const bool is_proposed = !update.update.version().empty() &&
                             record.step.kind() == v1::Step::TRAIN &&
                             record.step.vertex() == update.update.vertex();
    return is_proposed || (record.step.state() == v1::Step::WAITING && record.attempt == 1);
  });
}

template <typename Request>
std::string RequestFingerprint(const Request& request) {
  Request named = request;
  named.clear_request_id();
  // A retry may come from another place.
  if (const auto* actor = Request::descriptor()->FindFieldByName("actor"); actor != nullptr) {
    named.GetReflection()->ClearField(&named, actor);
  }
  std::string bytes;
  {
    google::protobuf::io::StringOutputStream stream(&bytes);
    google::protobuf::io::CodedOutputStream coded(&stream);
    coded.SetSerializationDeterministic(true);
    named.SerializeToCodedStream(&coded);
  }
  return Sha256().UpdateField(request.GetTypeName()).UpdateField(bytes).Finish();
}

template <typename Request>
absl::StatusOr<std::string> Engine::FindRequest(const Request& request) const {
  if (request.request_id().empty()) return std::string();
  BACKFIRE_RETURN_IF_ERROR(runtime::CheckRequestId(request.request_id()));
  const auto found = contents_.requests.find(request.request_id());
  if (found == contents_.requests.end()) return std::string();
  if (found->second.fingerprint == RequestFingerprint(request)) return found->second.resource;
  return absl::AlreadyExistsError(absl::StrCat("request_id \"", request.request_id(),
                                               "\" names a call on ", found->second.resource,
                                               " that had other arguments"));
}

template <typename Request>
void Engine::NoteRequest(const Request& request, const std::string& resource, Change& change) {
  if (request.request_id().empty()) return;
  change.requests.push_back({request.request_id(), RequestFingerprint(request), resource});
}

/// How long to go on with a service of this system.
inline runtime::Patience PatienceOf(const v1::System& system, std::string key) {
  runtime::Patience patience;
  // Stored systems have it.
  if (system.has_service_timeout()) {
    patience.timeout = absl::Seconds(system.service_timeout().seconds());
  }
  patience.key = std::move(key);
  return patience;
}

inline std::string UpdateName(int64_t number) { return "updates/" + std::to_string(number); }
inline std::string ReleaseName(int64_t number) { return "releases/" + std::to_string(number); }

}  // namespace backfire::workflow
