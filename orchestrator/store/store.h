#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "backfire/v1/orchestrator.pb.h"

struct sqlite3;

namespace backfire::store {

/// How seeds of trainings and resamples come from those of a system: see workflow/seeds.h. Values
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

/// A step, with what its message leaves out.
struct StepRecord {
  v1::Step step;
  v1::Evaluation evaluation;  ///< With the resampled losses.
  int64_t attempt = 1;        ///< Grows when it is retried; part of its job's request_id.
};

/// An update with its steps.
struct UpdateRecord {
  int64_t number = 0;
  std::string request_id;         ///< Of the proposal; empty for a baseline.
  v1::Update update;              ///< Without steps.
  std::vector<StepRecord> steps;  ///< In order of dependency.
};

/// A call that changed something, so that the same call again is known.
struct RequestRecord {
  std::string id;           ///< Its request_id.
  std::string fingerprint;  ///< Digest of the method and all arguments.
  std::string resource;     ///< What it made or changed: `releases/3`.
};

/// Everything that the store keeps.
struct Contents {
  std::string identity;  ///< Random, made with the store: tells its jobs from another's.
  std::map<int64_t, SystemRecord> systems;
  std::map<int64_t, UpdateRecord> updates;
  std::map<int64_t, v1::Release> releases;
  std::map<std::string, RequestRecord> requests;  ///< By id.
};

/// What one transaction writes. Pointers are borrowed for the call.
struct Changes {
  /// An update's own row.
  struct Update {
    int64_t number = 0;
    std::string request_id;
    const v1::Update* update = nullptr;
  };
  /// A step's row.
  struct Step {
    int64_t update = 0;
    size_t position = 0;
    const StepRecord* record = nullptr;
  };
  std::vector<const SystemRecord*> systems;
  std::vector<Update> updates;
  std::vector<Step> steps;
  std::vector<std::pair<int64_t, const v1::Release*>> releases;
  std::vector<const RequestRecord*> requests;
};

/// The orchestrator's database. One thread at a time.
class Store {
 public:
  /// Opens or makes it; one that an older program made is brought up to date, in one transaction.
  /// DATA_LOSS: it is damaged, or no database. FAILED_PRECONDITION: a newer program made it.
  static absl::StatusOr<std::unique_ptr<Store>> Open(const std::string& path);
  ~Store();
  Store(const Store&) = delete;
  Store& operator=(const Store&) = delete;

  /// DATA_LOSS: a row can't be read.
  absl::StatusOr<Contents> ReadAll();
  /// Writes all or nothing, and returns once it is on disk. RESOURCE_EXHAUSTED: the disk is full.
  absl::Status Write(const Changes& changes);

 private:
  explicit Store(sqlite3* database) : database_(database) {}
  sqlite3* const database_;
};

}  // namespace backfire::store
