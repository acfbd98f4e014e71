#include "orchestrator/store/store.h"

#include <sqlite3.h>

#include <utility>

#include "absl/strings/str_cat.h"
#include "services/base/status.h"

namespace backfire::store {
namespace {

constexpr int kSchemaVersion = 1;

constexpr char kSchema[] = R"(
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
)";

absl::Status FaultOf(sqlite3* database, const std::string& what) {
  const std::string message = absl::StrCat(what, ": ", sqlite3_errmsg(database));
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

absl::Status MakeSchema(sqlite3* database) {
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
  if (version == kSchemaVersion) return absl::OkStatus();
  BACKFIRE_RETURN_IF_ERROR(Execute(database, "BEGIN IMMEDIATE"));
  BACKFIRE_RETURN_IF_ERROR(Execute(database, kSchema));
  BACKFIRE_RETURN_IF_ERROR(
      Execute(database, absl::StrCat("PRAGMA user_version = ", kSchemaVersion).c_str()));
  return Execute(database, "COMMIT");
}

}  // namespace

absl::StatusOr<std::unique_ptr<Store>> Store::Open(const std::string& path) {
  sqlite3* database = nullptr;
  const int result =
      sqlite3_open_v2(path.c_str(), &database, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, nullptr);
  std::unique_ptr<Store> store(new Store(database));
  if (result != SQLITE_OK) return FaultOf(database, path);
  const auto prepare = [&]() -> absl::Status {
    BACKFIRE_RETURN_IF_ERROR(Execute(database, "PRAGMA journal_mode = WAL"));
    BACKFIRE_RETURN_IF_ERROR(Execute(database, "PRAGMA synchronous = FULL"));
    BACKFIRE_RETURN_IF_ERROR(Execute(database, "PRAGMA foreign_keys = ON"));
    return MakeSchema(database);
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

  Statement systems(database_, "SELECT revision, system, baseline_update FROM systems");
  while (true) {
    BACKFIRE_ASSIGN_OR_RETURN(more, systems.Next());
    if (!more) break;
    SystemRecord& record = contents.systems[systems.Integer(0)];
    record.revision = systems.Integer(0);
    BACKFIRE_RETURN_IF_ERROR(Parse(systems.Bytes(1), "systems", record.system));
    record.baseline_update = systems.Integer(2);
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
  return contents;
}

absl::Status Store::Write(const Changes& changes) {
  const auto write = [&]() -> absl::Status {
    for (const SystemRecord* record : changes.systems) {
      BACKFIRE_RETURN_IF_ERROR(
          Statement(database_,
                    "INSERT INTO systems VALUES (?, ?, ?) ON CONFLICT (revision) DO UPDATE SET "
                    "system = excluded.system, baseline_update = excluded.baseline_update")
              .Bind(record->revision)
              .Bind(record->system.SerializeAsString())
              .Bind(record->baseline_update)
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
    for (const UpdateRecord* record : changes.updates) {
      BACKFIRE_RETURN_IF_ERROR(
          Statement(database_,
                    "INSERT INTO updates VALUES (?, ?, ?) ON CONFLICT (number) DO UPDATE SET "
                    "message = excluded.message")
              .Bind(record->number)
              .BindText(record->request_id)
              .Bind(record->update.SerializeAsString())
              .Run());
    }
    for (const auto& [update, position] : changes.steps) {
      const StepRecord& record = update->steps[position];
      BACKFIRE_RETURN_IF_ERROR(
          Statement(database_, "INSERT OR REPLACE INTO steps VALUES (?, ?, ?, ?, ?)")
              .Bind(update->number)
              .Bind(static_cast<int64_t>(position))
              .Bind(record.step.SerializeAsString())
              .Bind(record.evaluation.SerializeAsString())
              .Bind(record.attempt)
              .Run());
    }
    for (const auto& [number, release] : changes.releases) {
      BACKFIRE_RETURN_IF_ERROR(Statement(database_, "INSERT OR REPLACE INTO releases VALUES (?, ?)")
                                   .Bind(number)
                                   .Bind(release->SerializeAsString())
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
