#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "orchestrator/store/repository.h"
#include "services/base/mutex.h"

namespace backfire::store {

/// Forgets everything with the process: for tests. Thread-safe.
class MemoryRepository final : public Repository {
 public:
  absl::Status Write(const records::Change& change) override;
  absl::StatusOr<Beginning> ReadBeginning() const override;
  absl::StatusOr<records::UpdateRecord> ReadUpdate(int64_t number) const override;
  absl::StatusOr<std::vector<v1::Update>> ListUpdates(const UpdateFilter& filter,
                                                      const Page& page) const override;
  absl::StatusOr<std::optional<int64_t>> FindProposal(const std::string& request_id) const override;
  absl::StatusOr<std::vector<int64_t>> FindUpdatesWithVersion(
      const std::string& version) const override;
  absl::StatusOr<int64_t> CountJudged(const std::string& test_split, int64_t before) const override;
  absl::StatusOr<std::map<v1::Update::State, int64_t>> CountUpdates() const override;
  absl::StatusOr<std::map<v1::Release::State, int64_t>> CountReleases() const override;
  absl::StatusOr<std::optional<v1::Update>> ReadLatestVerdict() const override;
  absl::StatusOr<std::shared_ptr<const records::Standing>> ReadStanding(
      int64_t update) const override;
  absl::StatusOr<v1::Evaluation> ReadEvaluation(records::StepRef step) const override;
  absl::StatusOr<records::ReleaseRecord> ReadRelease(int64_t number) const override;
  absl::StatusOr<std::vector<v1::Release>> ListReleases(const Page& page) const override;
  absl::StatusOr<std::optional<records::RequestRecord>> FindRequest(
      const std::string& id) const override;
  absl::StatusOr<std::vector<v1::Event>> ListEvents(const EventFilter& filter,
                                                    const Page& page) const override;

  /// The next writes fail like this; OK: they succeed again.
  void FailWrites(absl::Status status);
  int64_t writes() const;

 private:
  struct Update {
    records::UpdateRecord record;
    std::string test_split;
  };
  absl::Status Check(const records::Change& change) const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Whether both have a verdict on one test split.
  bool AreJudgedAlike(int64_t one, int64_t other) const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  mutable Mutex mutex_;
  absl::Status failure_ ABSL_GUARDED_BY(mutex_);
  int64_t writes_ ABSL_GUARDED_BY(mutex_) = 0;
  std::map<int64_t, records::SystemRecord> systems_ ABSL_GUARDED_BY(mutex_);
  std::map<int64_t, Update> updates_ ABSL_GUARDED_BY(mutex_);
  std::map<records::StepRef, v1::Evaluation> evaluations_ ABSL_GUARDED_BY(mutex_);
  std::map<int64_t, records::ReleaseRecord> releases_ ABSL_GUARDED_BY(mutex_);
  std::map<std::string, records::RequestRecord> requests_ ABSL_GUARDED_BY(mutex_);
  std::vector<v1::Event> events_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace backfire::store
