// The half of SqliteRepository that writes.
#include <fstream>

#include "absl/strings/str_cat.h"
#include "orchestrator/store/row.h"
#include "orchestrator/store/row_seal.h"
#include "orchestrator/store/sqlite_repository.h"
#include "orchestrator/store/sqlite_schema.h"
#include "services/base/status.h"

namespace backfire::store {
namespace {

int64_t UpdateOf(const v1::Release& release) {
  const std::string& name = release.update();
  return name.empty() ? 0 : std::stoll(name.substr(name.rfind('/') + 1));
}

absl::Status CheckOneRow(const SqliteConnection& connection, const std::string& name) {
  if (connection.changes() == 1) return absl::OkStatus();
  return absl::AbortedError(absl::StrCat("the store: ", name, " has changed meanwhile"));
}

// Whose format SQLite says by other means than its content: a bit there makes it a file that can't
// be written to.
absl::Status CheckHeader(const std::string& path) {
  constexpr size_t kHeaderBytes = 100, kWriteVersion = 18, kReadVersion = 19;
  std::ifstream file(path, std::ios::binary);
  std::string header(kHeaderBytes, '\0');
  if (!file.read(header.data(), kHeaderBytes)) return absl::OkStatus();  // New, or SQLite says.
  if (header[kWriteVersion] <= 2 && header[kReadVersion] <= 2) return absl::OkStatus();
  return absl::DataLossError(
      absl::StrCat(path, ": the store is damaged: its header; restore it from a backup"));
}

}  // namespace

absl::Status SqliteRepository::Verify(const std::string& path) {
  BACKFIRE_RETURN_IF_ERROR(CheckHeader(path));
  BACKFIRE_ASSIGN_OR_RETURN(const auto connection, SqliteConnection::Open(path));
  const auto verify = [&]() -> absl::Status {
    BACKFIRE_ASSIGN_OR_RETURN(const std::string finding,
                              connection->ReadText("PRAGMA integrity_check(1)"));
    if (finding != "ok") {
      return absl::DataLossError(
          absl::StrCat("the store is damaged: ", finding, "; restore it from a backup"));
    }
    BACKFIRE_RETURN_IF_ERROR(VerifySchema(*connection));
    return VerifyEvaluations(*connection);
  };
  return Annotate(verify(), path);
}

absl::StatusOr<std::unique_ptr<SqliteRepository>> SqliteRepository::Open(const std::string& path) {
  BACKFIRE_RETURN_IF_ERROR(CheckHeader(path));
  BACKFIRE_ASSIGN_OR_RETURN(auto writer, SqliteConnection::Open(path));
  BACKFIRE_RETURN_IF_ERROR(Annotate(CheckIntegrity(*writer), path));
  BACKFIRE_RETURN_IF_ERROR(Annotate(Migrate(*writer), path));
  BACKFIRE_RETURN_IF_ERROR(Annotate(SealWhatIsWritten(*writer), path));
  BACKFIRE_ASSIGN_OR_RETURN(auto reader, SqliteConnection::Open(path));
  BACKFIRE_RETURN_IF_ERROR(Annotate(VerifyWhatIsRead(*reader), path));
  return std::unique_ptr<SqliteRepository>(
      new SqliteRepository(std::move(writer), std::move(reader)));
}

absl::Status SqliteRepository::Write(const records::Change& change) {
  MutexLock lock(writing_);
  BACKFIRE_RETURN_IF_ERROR(writer_->Prepare("BEGIN IMMEDIATE").Run());
  absl::Status status = WriteRows(change);
  if (status.ok()) status = writer_->Prepare("COMMIT").Run();
  // A full disk may have ended the transaction already.
  if (!status.ok()) writer_->Execute("ROLLBACK").IgnoreError();
  return status;
}

absl::Status SqliteRepository::WriteRows(const records::Change& change) {
  if (change.system != nullptr) BACKFIRE_RETURN_IF_ERROR(WriteSystem(*change.system));
  for (const auto& update : change.added) BACKFIRE_RETURN_IF_ERROR(AddUpdate(*update));
  for (const auto& [number, changed] : change.updates) {
    BACKFIRE_RETURN_IF_ERROR(WriteUpdate(number, changed));
  }
  for (const auto& [ref, changed] : change.steps) BACKFIRE_RETURN_IF_ERROR(WriteStep(ref, changed));
  for (const auto& [number, changed] : change.releases) {
    BACKFIRE_RETURN_IF_ERROR(WriteRelease(number, changed));
  }
  for (const records::RequestRecord& request : change.requests) {
    BACKFIRE_RETURN_IF_ERROR(writer_
                                 ->Prepare("INSERT INTO requests (id, fingerprint, resource) "
                                           "VALUES (?, ?, ?)")
                                 .BindText(request.id)
                                 .BindText(request.fingerprint)
                                 .BindText(request.resource)
                                 .Run());
  }
  for (const v1::Event& event : change.events) {
    BACKFIRE_RETURN_IF_ERROR(
        writer_->Prepare("INSERT INTO events (time, subject, event) VALUES (?, ?, ?)")
            .Bind(Nanoseconds(event.time()))
            .BindText(event.subject())
            .Bind(event.SerializeAsString())
            .Run());
  }
  return absl::OkStatus();
}

absl::Status SqliteRepository::WriteSystem(const records::SystemRevision& system) {
  BACKFIRE_RETURN_IF_ERROR(
      writer_
          ->Prepare("INSERT INTO systems (revision, system, baseline_update, seed_rule) "
                    "VALUES (?, ?, ?, ?) ON CONFLICT (revision) DO UPDATE SET "
                    "system = excluded.system, baseline_update = excluded.baseline_update, "
                    "seed_rule = excluded.seed_rule")
          .Bind(system.revision)
          .Bind(system.system().SerializeAsString())
          .Bind(system.baseline_update)
          .Bind(static_cast<int64_t>(system.seed_rule))
          .Run());
  for (const auto& [vertex, model] : system.models) {
    BACKFIRE_RETURN_IF_ERROR(writer_
                                 ->Prepare("INSERT INTO models (revision, vertex, model) "
                                           "VALUES (?, ?, ?) ON CONFLICT (revision, vertex) "
                                           "DO UPDATE SET model = excluded.model")
                                 .Bind(system.revision)
                                 .BindText(vertex)
                                 .Bind(model.SerializeAsString())
                                 .Run());
  }
  return absl::OkStatus();
}

absl::Status SqliteRepository::AddUpdate(const records::OpenUpdate& update) {
  BACKFIRE_RETURN_IF_ERROR(
      writer_
          ->Prepare("INSERT INTO updates (number, request_id, message, state, vertex, revision, "
                    "base) VALUES (?, ?, ?, ?, ?, ?, ?)")
          .Bind(update.number())
          .BindText(update.request_id())
          .Bind(update.update().SerializeAsString())
          .Bind(int64_t{update.update().state()})
          .BindText(update.update().vertex())
          .Bind(update.update().system_revision())
          .Bind(update.base() == nullptr ? 0 : update.base()->number())
          .Run());
  for (size_t i = 0; i < update.step_count(); ++i) {
    BACKFIRE_RETURN_IF_ERROR(AddStep({update.number(), i}, update.step(i)));
  }
  return absl::OkStatus();
}

absl::Status SqliteRepository::AddStep(records::StepRef ref, const records::StepRecord& record) {
  return writer_
      ->Prepare(
          "INSERT INTO steps (update_number, position, step, attempt, id, state, version) "
          "VALUES (?, ?, ?, ?, ?, ?, ?)")
      .Bind(ref.update)
      .Bind(static_cast<int64_t>(ref.position))
      .Bind(record.step.SerializeAsString())
      .Bind(record.attempt)
      .BindText(record.step.id())
      .Bind(int64_t{record.step.state()})
      .BindText(TrainedVersion(record.step))
      .Run();
}

absl::Status SqliteRepository::WriteUpdate(int64_t number, const records::UpdateChange& changed) {
  {
    auto statement = writer_->Prepare(
        "UPDATE updates SET message = ?, state = ?, judged = ?, end_time = ?, "
        "base = coalesce(?, base), test_split = coalesce(?, test_split) "
        "WHERE number = ? AND state = ?");
    statement.Bind(changed.update.SerializeAsString())
        .Bind(int64_t{changed.update.state()})
        .Bind(int64_t{IsJudged(changed.update)})
        .Bind(DecideTime(changed.update));
    changed.base == nullptr ? statement.BindNull() : statement.Bind(changed.base->number());
    changed.test_split.has_value() ? statement.BindText(*changed.test_split) : statement.BindNull();
    BACKFIRE_RETURN_IF_ERROR(statement.Bind(number).Bind(int64_t{changed.from}).Run());
  }
  return CheckOneRow(*writer_, changed.update.name());
}

absl::Status SqliteRepository::WriteStep(records::StepRef ref, const records::StepChange& changed) {
  const v1::Step& step = changed.record.step;
  BACKFIRE_RETURN_IF_ERROR(
      writer_
          ->Prepare("UPDATE steps SET step = ?, attempt = ?, state = ?, version = ? "
                    "WHERE update_number = ? AND position = ? AND state = ?")
          .Bind(step.SerializeAsString())
          .Bind(changed.record.attempt)
          .Bind(int64_t{step.state()})
          .BindText(TrainedVersion(step))
          .Bind(ref.update)
          .Bind(static_cast<int64_t>(ref.position))
          .Bind(int64_t{changed.from})
          .Run());
  BACKFIRE_RETURN_IF_ERROR(CheckOneRow(*writer_, step.id()));
  if (!changed.evaluation.has_value()) return absl::OkStatus();
  BACKFIRE_RETURN_IF_ERROR(writer_->Prepare("INSERT OR REPLACE INTO evaluations VALUES (?, ?, ?)")
                               .Bind(ref.update)
                               .Bind(static_cast<int64_t>(ref.position))
                               .Bind(changed.evaluation->SerializeAsString())
                               .Run());
  static const std::string* const seal = new std::string(
      absl::StrCat("UPDATE steps SET evaluation_checksum = (SELECT ", kEvaluationChecksum,
                   " FROM evaluations WHERE update_number = ?1 AND position = ?2) "
                   "WHERE update_number = ?1 AND position = ?2"));
  return writer_->Prepare(seal->c_str())
      .Bind(ref.update)
      .Bind(static_cast<int64_t>(ref.position))
      .Run();
}

absl::Status SqliteRepository::WriteRelease(int64_t number, const records::ReleaseChange& changed) {
  const v1::Release& release = changed.record.release;
  if (changed.from == v1::Release::STATE_UNSPECIFIED) {
    return writer_
        ->Prepare(
            "INSERT INTO releases (number, message, state, revision, update_number) "
            "VALUES (?, ?, ?, ?, ?)")
        .Bind(number)
        .Bind(release.SerializeAsString())
        .Bind(int64_t{release.state()})
        .Bind(changed.record.revision)
        .Bind(UpdateOf(release))
        .Run();
  }
  BACKFIRE_RETURN_IF_ERROR(
      writer_->Prepare("UPDATE releases SET message = ?, state = ? WHERE number = ? AND state = ?")
          .Bind(release.SerializeAsString())
          .Bind(int64_t{release.state()})
          .Bind(number)
          .Bind(int64_t{changed.from})
          .Run());
  return CheckOneRow(*writer_, release.name());
}

}  // namespace backfire::store
