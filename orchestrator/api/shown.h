#pragma once

#include <chrono>
#include <map>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "orchestrator/records/state.h"
#include "orchestrator/store/repository.h"
#include "services/base/mutex.h"

namespace backfire::api {

/// An update as it is shown, with its steps. NOT_FOUND: there is none. INVALID_ARGUMENT: malformed.
/// @param progress  What its running steps said last, by position.
absl::StatusOr<v1::Update> ShowUpdate(const records::State& state, const store::Repository& history,
                                      const std::string& name,
                                      const std::map<size_t, v1::Progress>& progress);

/// Which update this one waits for, as it is shown; empty: none.
std::string WaitsFor(const records::State& state, const std::string& name);

/// What a gateway must know: releases that can be served, and their system.
v1::ReleaseSnapshot ShowReleases(const records::State& state);

/// ShowReleases, made once for all gateways and until it may be another: it names every vertex, and
/// each gateway asks for it twice a second. Thread-safe.
class ShownReleases {
 public:
  /// @param lease  How long a gateway's report counts.
  explicit ShownReleases(std::chrono::milliseconds lease) : lease_(lease) {}
  /// The same object while systems and releases are the same.
  std::shared_ptr<const v1::ReleaseSnapshot> Of(const records::State& state);

 private:
  const std::chrono::milliseconds lease_;
  Mutex mutex_;
  // What it was made of: held, so that nothing else is at these addresses.
  std::shared_ptr<const records::State::Systems> systems_ ABSL_GUARDED_BY(mutex_);
  std::shared_ptr<const records::State::Releases> releases_ ABSL_GUARDED_BY(mutex_);
  std::shared_ptr<const v1::ReleaseSnapshot> shown_ ABSL_GUARDED_BY(mutex_);
};

/// What an observer hears of: all releases, with their history.
absl::StatusOr<v1::ReleaseSnapshot> ShowAllReleases(const records::State& state,
                                                    const store::Repository& history);

}  // namespace backfire::api
