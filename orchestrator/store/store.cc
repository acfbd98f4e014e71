#include "orchestrator/store/store.h"

#include <sqlite3.h>

#include <cerrno>
#include <cstring>
#include <iterator>
#include <utility>

#include "absl/strings/str_cat.h"
#include "services/base/status.h"

namespace backfire::store {
namespace {

// What makes schema n + 1 of schema n, from nothing on. Never changed once released: stores of
// every age go through them. store_test.cc has one of each.
constexpr const char* kMigrations[] = {
    R"(
CREATE TABLE identity (value TEXT NOT NULL);
INSERT INTO identity VALUES (lower(hex(randomblob(4))));
CREATE TABLE systems (revision INTEGER PRIMARY KEY, system BLOB NOT NULL,
                      baseline_update INTEGER NOT NULL);
CREATE TABLE models (revision INTEGER NOT NULL REFERENCES systems, vertex TEXT NOT NULL,
                     model BLOB NOT NULL, PRIMARY KEY (revision, vertex));
CREATE TABLE updates (number INTEGER PRIMARY KEY, request_id TEXT NOT NULL,
                      message BLOB NOT NULL);
CREATE UNIQUE INDEX updates_by_request_id ON updates (request_id) WHERE request_id != '';
CREATE TABLE steps (update_number INTEGER NOT NULL REFERENCES updates, position INTEGER NOT NULL,
                    step BLOB NOT NULL, evaluation BLOB NOT NULL, attempt INTEGER NOT NULL,
                    PRIMARY KEY (update_number, position));
CREATE TABLE releases (number INTEGER PRIMARY KEY, message BLOB NOT NULL);
)",
    // Calls by their request_id.
    R"(
CREATE TABLE requests (id TEXT PRIMARY KEY, fingerprint TEXT NOT NULL, resource TEXT NOT NULL);
)",
    // Seeds by hashing; systems that are there keep SeedRule::kConsecutive.
    R"(
ALTER TABLE systems ADD COLUMN seed_rule INTEGER NOT NULL DEFAULT 0;
)"};
constexpr int64_t kSchemaVersion = std::size(kMigrations);

absl::Status FaultOf(sqlite3* database, const std::string& what) {
  const std::string message = absl::StrCat(what, ": ", sqlite3_errmsg(database));
  const int cause = sqlite3_system_errno(database);
  if (sqlite3_errcode(database) == SQLITE_IOERR && cause != 0) {
    const std::string reason = absl::StrCat(message, ": ", std::strerror(cause));
    const bool no_room = cause == ENOSPC || cause == EDQUOT || cause == EFBIG;
    return no_room ? absl::ResourceExhaustedError(reason) : absl::InternalError(reason);
  }
  switch (sqlite3_errcode(database)) {
    case SQLITE_FULL:
      return absl::ResourceExhaustedError(message);
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
      return absl::DataLossError(message);
    case SQLITE_CANTOPEN:
    case SQLITE_READONLY:
    case SQLITE_PERM:
      return absl::PermissionDeniedError(message);
    default:
      return absl::InternalError(message);
  }
}

absl::Status Execute(sqlite3* database, const char* sql) {
  if (sqlite3_exec(database, sql, nullptr, nullptr, nullptr) == SQLITE_OK) return absl::OkStatus();
  return FaultOf(database, "the store");
}

// A prepared statement; binds in the order of its question marks.
class Statement {
 public:
  Statement(sqlite3* database, const char* sql) : database_(database) {
    sqlite3_prepare_v2(database, sql, -1, &statement_, nullptr);
  }
  ~Statement() { sqlite3_finalize(statement_); }
  Statement(const Statement&) = delete;
  Statement& operator=(const Statement&) = delete;

  Statement& Bind(int64_t value) {
    sqlite3_bind_int64(statement_, ++bound_, value);
    return *this;
  }
  Statement& Bind(const std::string& value) {
    sqlite3_bind_blob64(statement_, ++bound_, value.data(), value.size(), SQLITE_TRANSIENT);
    return *this;
  }
  Statement& BindText(const std::string& value) {
    sqlite3_bind_text(statement_, ++bound_, value.c_str(), -1, SQLITE_TRANSIENT);
    return *this;
  }
  absl::Status Run() {
    if (statement_ != nullptr && sqlite3_step(statement_) == SQLITE_DONE) return absl::OkStatus();
    return FaultOf(database_, "the store");
  }
  // Whether there is a row.
  absl::StatusOr<bool> Next() {
    if (statement_ == nullptr) return FaultOf(database_, "the store");
    const int result = sqlite3_step(statement_);
    if (result == SQLITE_ROW) return true;
    if (result == SQLITE_DONE) return false;
    return FaultOf(database_, "the store");
  }
  int64_t Integer(int column) const { return sqlite3_column_int64(statement_, column); }
  std::string Bytes(int column) const {
    const void* data = sqlite3_column_blob(statement_, column);
    const int size = sqlite3_column_bytes(statement_, column);
    return data == nullptr ? "" : std::string(static_cast<const char*>(data), size);
  }

 private:
  sqlite3* const database_;
  sqlite3_stmt* statement_ = nullptr;
  int bound_ = 0;
};

absl::Status Parse(const std::string& bytes, const char* table,
                   google::protobuf::Message& message) {
  if (message.ParseFromString(bytes)) return absl::OkStatus();
  return absl::DataLossError(absl::StrCat("the store: a row of table ", table, " is damaged"));
}

absl::Status Migrate(sqlite3* database) {
  int64_t version = 0;
  {
    Statement statement(database, "PRAGMA user_version");
    BACKFIRE_ASSIGN_OR_RETURN(const bool has_row, statement.Next());
    if (has_row) version = statement.Integer(0);
  }
  if (version > kSchemaVersion) {
    return absl::FailedPreconditionError(absl::StrCat("a newer program made it: schema ", version,
                                                      ", this one knows up to ", kSchemaVersion));
  }
  if (version < 0) {
    return absl::DataLossError(absl::StrCat("there is no schema ", version));
  }
  if (version == kSchemaVersion) return absl::OkStatus();
  const auto migrate = [&]() -> absl::Status {
    for (int64_t next = version; next < kSchemaVersion; ++next) {
      BACKFIRE_RETURN_IF_ERROR(Annotate(Execute(database, kMigrations[next]),
                                        absl::StrCat("migration to schema ", next + 1)));
    }
    BACKFIRE_RETURN_IF_ERROR(
        Execute(database, absl::StrCat("PRAGMA user_version = ", kSchemaVersion).c_str()));
    return Execute(database, "COMMIT");
  };
  BACKFIRE_RETURN_IF_ERROR(Execute(database, "BEGIN IMMEDIATE"));
  const absl::Status status = migrate();
  if (!status.ok()) sqlite3_exec(database, "ROLLBACK", nullptr, nullptr, nullptr);
  return status;
}

// Finds what a crash of the machine or a failing disk did to the file, before anything is built on
// it.
absl::Status CheckIntegrity(sqlite3* database) {
  Statement check(database, "PRAGMA quick_check(1)");
  BACKFIRE_ASSIGN_OR_RETURN(const bool has_row, check.Next());
  const std::string finding = has_row ? check.Bytes(0) : "no answer";
  if (finding == "ok") return absl::OkStatus();
  return absl::DataLossError(
      absl::StrCat("the store is damaged: ", finding, "; restore it from a backup"));
}

}  // namespace

absl::StatusOr<std::unique_ptr<Store>> Store::Open(const std::string& path) {
  sqlite3* database = nullptr;
  const int result =
      sqlite3_open_v2(path.c_str(), &database, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, nullptr);
  std::unique_ptr<Store> store(new Store(database));
  if (result != SQLITE_OK) return FaultOf(database, path);
  // Somebody may look into the file, or copy it.
  constexpr int kBusyMilliseconds = 10'000;
  sqlite3_busy_timeout(database, kBusyMilliseconds);
  const auto prepare = [&]() -> absl::Status {
    BACKFIRE_RETURN_IF_ERROR(Execute(database, "PRAGMA journal_mode = WAL"));
    BACKFIRE_RETURN_IF_ERROR(Execute(database, "PRAGMA synchronous = FULL"));
    BACKFIRE_RETURN_IF_ERROR(Execute(database, "PRAGMA foreign_keys = ON"));
    BACKFIRE_RETURN_IF_ERROR(CheckIntegrity(database));
    return Migrate(database);
  };
  BACKFIRE_RETURN_IF_ERROR(Annotate(prepare(), path));
  return store;
}

Store::~Store() { sqlite3_close_v2(database_); }

absl::StatusOr<Contents> Store::ReadAll() {
  Contents contents;
  Statement identity(database_, "SELECT value FROM identity");
  BACKFIRE_ASSIGN_OR_RETURN(bool more, identity.Next());
  if (!more) return absl::DataLossError("the store: table identity is empty");
  contents.identity = identity.Bytes(0);

  Statement systems(database_, "SELECT revision, system, baseline_update, seed_rule FROM systems");
  while (true) {
    BACKFIRE_ASSIGN_OR_RETURN(more, systems.Next());
    if (!more) break;
    SystemRecord& record = contents.systems[systems.Integer(0)];
    record.revision = systems.Integer(0);
    BACKFIRE_RETURN_IF_ERROR(Parse(systems.Bytes(1), "systems", record.system));
    record.baseline_update = systems.Integer(2);
    const int64_t seed_rule = systems.Integer(3);
    record.seed_rule = static_cast<SeedRule>(seed_rule);
    if (record.seed_rule != SeedRule::kConsecutive && record.seed_rule != SeedRule::kHashed) {
      return absl::DataLossError(
          absl::StrCat("the store: revision ", record.revision, " has seed_rule ", seed_rule));
    }
  }
  Statement models(database_, "SELECT revision, vertex, model FROM models");
  while (true) {
    BACKFIRE_ASSIGN_OR_RETURN(more, models.Next());
    if (!more) break;
    BACKFIRE_RETURN_IF_ERROR(Parse(models.Bytes(2), "models",
                                   contents.systems[models.Integer(0)].models[models.Bytes(1)]));
  }
  Statement updates(database_, "SELECT number, request_id, message FROM updates");
  while (true) {
    BACKFIRE_ASSIGN_OR_RETURN(more, updates.Next());
    if (!more) break;
    UpdateRecord& record = contents.updates[updates.Integer(0)];
    record.number = updates.Integer(0);
    record.request_id = updates.Bytes(1);
    BACKFIRE_RETURN_IF_ERROR(Parse(updates.Bytes(2), "updates", record.update));
  }
  Statement steps(database_,
                  "SELECT update_number, step, evaluation, attempt FROM steps "
                  "ORDER BY update_number, position");
  while (true) {
    BACKFIRE_ASSIGN_OR_RETURN(more, steps.Next());
    if (!more) break;
    StepRecord& record = contents.updates[steps.Integer(0)].steps.emplace_back();
    BACKFIRE_RETURN_IF_ERROR(Parse(steps.Bytes(1), "steps", record.step));
    BACKFIRE_RETURN_IF_ERROR(Parse(steps.Bytes(2), "steps", record.evaluation));
    record.attempt = steps.Integer(3);
  }
  Statement releases(database_, "SELECT number, message FROM releases");
  while (true) {
    BACKFIRE_ASSIGN_OR_RETURN(more, releases.Next());
    if (!more) break;
    BACKFIRE_RETURN_IF_ERROR(
        Parse(releases.Bytes(1), "releases", contents.releases[releases.Integer(0)]));
  }
  Statement requests(database_, "SELECT id, fingerprint, resource FROM requests");
  while (true) {
    BACKFIRE_ASSIGN_OR_RETURN(more, requests.Next());
    if (!more) break;
    contents.requests[requests.Bytes(0)] = {requests.Bytes(0), requests.Bytes(1),
                                            requests.Bytes(2)};
  }
  return contents;
}

absl::Status Store::Write(const Changes& changes) {
  const auto write = [&]() -> absl::Status {
    for (const SystemRecord* record : changes.systems) {
      BACKFIRE_RETURN_IF_ERROR(
          Statement(database_,
                    "INSERT INTO systems VALUES (?, ?, ?, ?) ON CONFLICT (revision) DO UPDATE SET "
                    "system = excluded.system, baseline_update = excluded.baseline_update, "
                    "seed_rule = excluded.seed_rule")
              .Bind(record->revision)
              .Bind(record->system.SerializeAsString())
              .Bind(record->baseline_update)
              .Bind(static_cast<int64_t>(record->seed_rule))
              .Run());
      for (const auto& [vertex, model] : record->models) {
        BACKFIRE_RETURN_IF_ERROR(
            Statement(database_, "INSERT OR REPLACE INTO models VALUES (?, ?, ?)")
                .Bind(record->revision)
                .BindText(vertex)
                .Bind(model.SerializeAsString())
                .Run());
      }
    }
    for (const Changes::Update& row : changes.updates) {
      BACKFIRE_RETURN_IF_ERROR(
          Statement(database_,
                    "INSERT INTO updates VALUES (?, ?, ?) ON CONFLICT (number) DO UPDATE SET "
                    "message = excluded.message")
              .Bind(row.number)
              .BindText(row.request_id)
              .Bind(row.update->SerializeAsString())
              .Run());
    }
    for (const Changes::Step& row : changes.steps) {
      BACKFIRE_RETURN_IF_ERROR(
          Statement(database_, "INSERT OR REPLACE INTO steps VALUES (?, ?, ?, ?, ?)")
              .Bind(row.update)
              .Bind(static_cast<int64_t>(row.position))
              .Bind(row.record->step.SerializeAsString())
              .Bind(row.record->evaluation.SerializeAsString())
              .Bind(row.record->attempt)
              .Run());
    }
    for (const auto& [number, release] : changes.releases) {
      BACKFIRE_RETURN_IF_ERROR(Statement(database_, "INSERT OR REPLACE INTO releases VALUES (?, ?)")
                                   .Bind(number)
                                   .Bind(release->SerializeAsString())
                                   .Run());
    }
    for (const RequestRecord* record : changes.requests) {
      BACKFIRE_RETURN_IF_ERROR(Statement(database_, "INSERT INTO requests VALUES (?, ?, ?)")
                                   .BindText(record->id)
                                   .BindText(record->fingerprint)
                                   .BindText(record->resource)
                                   .Run());
    }
    return Execute(database_, "COMMIT");
  };
  BACKFIRE_RETURN_IF_ERROR(Execute(database_, "BEGIN IMMEDIATE"));
  const absl::Status status = write();
  if (!status.ok()) sqlite3_exec(database_, "ROLLBACK", nullptr, nullptr, nullptr);
  return status;
}

}  // namespace backfire::store
