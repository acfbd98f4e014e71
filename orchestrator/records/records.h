#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <tuple>
#include <vector>

#include "backfire/v1/orchestrator.pb.h"

namespace backfire::records {

/// How seeds of trainings and resamples come from those of a system: see planning/seeds.h. Values
/// are stored.
enum class SeedRule : int64_t {
  kConsecutive = 0,  ///< Of revisions that were made before there was another.
  kHashed = 1,
};

/// A revision of the system.
struct SystemRecord {
  int64_t revision = 0;
  v1::System system;
  std::map<std::string, v1::Model> models;  ///< By vertex, as the services described them.
  int64_t baseline_update = 0;              ///< Number of the update that trains its baseline.
  SeedRule seed_rule = SeedRule::kHashed;
};

/// Which step: its update and its position there.
struct StepRef {
  int64_t update = 0;
  size_t position = 0;
  friend bool operator<(const StepRef& a, const StepRef& b) {
    return std::tie(a.update, a.position) < std::tie(b.update, b.position);
  }
  friend bool operator==(const StepRef& a, const StepRef& b) {
    return a.update == b.update && a.position == b.position;
  }
};

/// A step, with what its message leaves out. Its evaluation's resampled losses are a record of
/// their own (store/repository.h), because only verdicts read them.
struct StepRecord {
  v1::Step step;
  int64_t attempt = 1;  ///< Grows when it is retried; part of its job's request_id.
};

/// An update with its steps.
struct UpdateRecord {
  int64_t number = 0;
  std::string request_id;  ///< Of the proposal; empty for a baseline.
  v1::Update update;       ///< Without steps.
  /// Number of the update whose versions it is compared with, and inherits where it makes none
  /// itself: the one that made its baseline release. 0: it is a baseline.
  int64_t base = 0;
  std::vector<StepRecord> steps;  ///< In order of dependency.
};

/// A release, with the revision of the system that it belongs to.
struct ReleaseRecord {
  v1::Release release;
  int64_t revision = 0;
};

/// A call that changed something, so that the same call again is known.
struct RequestRecord {
  std::string id;           ///< Its request_id.
  std::string fingerprint;  ///< Digest of the method and all arguments.
  std::string resource;     ///< What it made or changed: `releases/3`.
};

}  // namespace backfire::records
