#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "orchestrator/store/repository.h"
#include "orchestrator/store/sqlite_connection.h"
#include "services/base/mutex.h"

namespace backfire::store {

/// The orchestrator's database in SQLite. It is read by a connection of its own, so that nobody who
/// reads waits for a disk that is written to. Thread-safe.
class SqliteRepository final : public Repository {
 public:
  /// Opens or makes it; one that an older program made is brought up to date, in one transaction.
  /// DATA_LOSS: it is damaged, or no database. FAILED_PRECONDITION: a newer program made it.
  static absl::StatusOr<std::unique_ptr<SqliteRepository>> Open(const std::string& path);
  /// Looks at all of a store, evaluations included, and changes nothing; it may be in use.
  /// DATA_LOSS and FAILED_PRECONDITION as Open.
  static absl::Status Verify(const std::string& path);

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

 private:
  SqliteRepository(std::unique_ptr<SqliteConnection> writer,
                   std::unique_ptr<SqliteConnection> reader)
      : writer_(std::move(writer)), reader_(std::move(reader)) {}

  absl::Status WriteRows(const records::Change& change) ABSL_EXCLUSIVE_LOCKS_REQUIRED(writing_);
  absl::Status AddUpdate(const records::OpenUpdate& update) ABSL_EXCLUSIVE_LOCKS_REQUIRED(writing_);
  absl::Status AddStep(records::StepRef ref, const records::StepRecord& record)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(writing_);
  absl::Status WriteSystem(const records::SystemRevision& system)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(writing_);
  absl::Status WriteUpdate(int64_t number, const records::UpdateChange& changed)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(writing_);
  absl::Status WriteStep(records::StepRef ref, const records::StepChange& changed)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(writing_);
  absl::Status WriteRelease(int64_t number, const records::ReleaseChange& changed)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(writing_);
  absl::StatusOr<records::UpdateRecord> ReadUpdateRow(int64_t number) const
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(reading_);
  absl::Status ReadSteps(records::UpdateRecord& record) const
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(reading_);
  absl::Status ReadSystems(Beginning& beginning) const ABSL_EXCLUSIVE_LOCKS_REQUIRED(reading_);

  mutable Mutex writing_, reading_;
  const std::unique_ptr<SqliteConnection> writer_ ABSL_PT_GUARDED_BY(writing_);
  const std::unique_ptr<SqliteConnection> reader_ ABSL_PT_GUARDED_BY(reading_);
};

}  // namespace backfire::store
