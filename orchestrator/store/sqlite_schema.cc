#include "orchestrator/store/sqlite_schema.h"

#include <iterator>
#include <map>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "backfire/v1/orchestrator.pb.h"
#include "orchestrator/records/resource_name.h"
#include "orchestrator/store/past_events.h"
#include "orchestrator/store/row.h"
#include "orchestrator/store/row_seal.h"
#include "services/base/status.h"

namespace backfire::store {
namespace {

// What makes schema n + 1 of schema n, from nothing on. Never changed once released: stores of
// every age go through them. tests/unit/orchestrator/store has one of each.
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
    // Columns for what is asked for, and evaluations, which only verdicts read, in a table of their
    // own. FillColumns does the rest.
    R"(
ALTER TABLE updates ADD COLUMN state INTEGER NOT NULL DEFAULT 0;
ALTER TABLE updates ADD COLUMN vertex TEXT NOT NULL DEFAULT '';
ALTER TABLE updates ADD COLUMN revision INTEGER NOT NULL DEFAULT 0;
ALTER TABLE updates ADD COLUMN base INTEGER NOT NULL DEFAULT 0;
ALTER TABLE updates ADD COLUMN judged INTEGER NOT NULL DEFAULT 0;
ALTER TABLE updates ADD COLUMN test_split TEXT NOT NULL DEFAULT '';
ALTER TABLE updates ADD COLUMN end_time INTEGER NOT NULL DEFAULT 0;
CREATE INDEX updates_by_state ON updates (state, number);
CREATE INDEX updates_by_test_split ON updates (test_split, number) WHERE judged = 1;
CREATE INDEX updates_by_verdict ON updates (end_time) WHERE judged = 1;
CREATE TABLE evaluations (update_number INTEGER NOT NULL, position INTEGER NOT NULL,
                          evaluation BLOB NOT NULL, PRIMARY KEY (update_number, position))
  WITHOUT ROWID;
INSERT INTO evaluations SELECT update_number, position, evaluation FROM steps
  WHERE length(evaluation) > 0;
ALTER TABLE steps DROP COLUMN evaluation;
ALTER TABLE steps ADD COLUMN id TEXT NOT NULL DEFAULT '';
ALTER TABLE steps ADD COLUMN state INTEGER NOT NULL DEFAULT 0;
ALTER TABLE steps ADD COLUMN version TEXT NOT NULL DEFAULT '';
CREATE INDEX steps_running ON steps (update_number) WHERE state = 2;
CREATE INDEX steps_by_version ON steps (version, update_number) WHERE version != '';
ALTER TABLE releases ADD COLUMN state INTEGER NOT NULL DEFAULT 0;
ALTER TABLE releases ADD COLUMN revision INTEGER NOT NULL DEFAULT 0;
ALTER TABLE releases ADD COLUMN update_number INTEGER NOT NULL DEFAULT 0;
CREATE INDEX releases_by_state ON releases (state, number);
)",
    // Seeds by hashing; systems that are there keep SeedRule::kConsecutive.
    R"(
ALTER TABLE systems ADD COLUMN seed_rule INTEGER NOT NULL DEFAULT 0;
)",
    // What happened. Of what was there before, AddPastEvents tells what rows still say.
    R"(
CREATE TABLE events (number INTEGER PRIMARY KEY, time INTEGER NOT NULL, subject TEXT NOT NULL,
                     event BLOB NOT NULL);
CREATE INDEX events_by_subject ON events (subject, number);
)",
    // Seals (row_seal.h). An evaluation's is in its step's row: most of a store is evaluations, and
    // steps are verified at every start. FillSeals does the rest.
    R"(
ALTER TABLE identity ADD COLUMN checksum TEXT NOT NULL DEFAULT '';
ALTER TABLE systems ADD COLUMN checksum TEXT NOT NULL DEFAULT '';
ALTER TABLE models ADD COLUMN checksum TEXT NOT NULL DEFAULT '';
ALTER TABLE updates ADD COLUMN checksum TEXT NOT NULL DEFAULT '';
ALTER TABLE steps ADD COLUMN evaluation_checksum TEXT NOT NULL DEFAULT '';
ALTER TABLE steps ADD COLUMN checksum TEXT NOT NULL DEFAULT '';
ALTER TABLE releases ADD COLUMN checksum TEXT NOT NULL DEFAULT '';
ALTER TABLE requests ADD COLUMN checksum TEXT NOT NULL DEFAULT '';
ALTER TABLE events ADD COLUMN checksum TEXT NOT NULL DEFAULT '';
CREATE TABLE totals (name TEXT PRIMARY KEY, rows INTEGER NOT NULL,
                     checksum TEXT NOT NULL DEFAULT '');
)"};
constexpr int64_t kSchemaVersion = std::size(kMigrations);
constexpr int64_t kColumnsSchema = 3;  // The one that FillColumns belongs to.
constexpr int64_t kEventsSchema = 5;   // The one that AddPastEvents belongs to.
constexpr int64_t kSealsSchema = 6;    // The one that FillSeals belongs to.
// In the file's header, with the schema's number added: a second place for that number, as the
// first is in no row. "BF".
constexpr int64_t kApplicationId = 0x42460000;
static_assert(v1::Step::RUNNING == 2, "steps_running names its number");

// A name's number; 0: it has none, as a baseline's update has no baseline release.
int64_t NumberOf(const std::string& name, const char* collection) {
  return records::ParseNumber(name, collection).value_or(0);
}

absl::Status FillReleases(SqliteConnection& connection) {
  auto rows = connection.Prepare("SELECT number, message FROM releases");
  while (true) {
    BACKFIRE_ASSIGN_OR_RETURN(const bool more, rows.Next());
    if (!more) break;
    v1::Release release;
    BACKFIRE_RETURN_IF_ERROR(ParseRow(rows.Bytes(1), "releases", release));
    BACKFIRE_RETURN_IF_ERROR(
        connection.Prepare("UPDATE releases SET state = ?, update_number = ? WHERE number = ?")
            .Bind(int64_t{release.state()})
            .Bind(NumberOf(release.update(), "updates"))
            .Bind(rows.Integer(0))
            .Run());
  }
  return absl::OkStatus();
}

absl::Status FillUpdates(SqliteConnection& connection) {
  auto rows = connection.Prepare("SELECT number, message FROM updates");
  while (true) {
    BACKFIRE_ASSIGN_OR_RETURN(const bool more, rows.Next());
    if (!more) break;
    v1::Update update;
    BACKFIRE_RETURN_IF_ERROR(ParseRow(rows.Bytes(1), "updates", update));
    BACKFIRE_RETURN_IF_ERROR(
        connection
            .Prepare("UPDATE updates SET state = ?, vertex = ?, revision = ?, judged = ?, "
                     "end_time = ?, base = coalesce((SELECT update_number FROM releases "
                     "WHERE number = ?), 0) WHERE number = ?")
            .Bind(int64_t{update.state()})
            .BindText(update.vertex())
            .Bind(update.system_revision())
            .Bind(int64_t{IsJudged(update)})
            .Bind(DecideTime(update))
            .Bind(NumberOf(update.baseline_release(), "releases"))
            .Bind(rows.Integer(0))
            .Run());
  }
  return connection.Execute(
      "UPDATE releases SET revision = coalesce((SELECT revision FROM updates "
      "WHERE updates.number = releases.update_number), 0)");
}

absl::Status FillSteps(SqliteConnection& connection) {
  auto rows = connection.Prepare(
      "SELECT steps.update_number, steps.position, step, evaluation FROM steps "
      "LEFT JOIN evaluations USING (update_number, position) "
      "ORDER BY steps.update_number, steps.position");
  int64_t judged_on_split = 0;  // The update whose test split was found last.
  while (true) {
    BACKFIRE_ASSIGN_OR_RETURN(const bool more, rows.Next());
    if (!more) break;
    v1::Step step;
    BACKFIRE_RETURN_IF_ERROR(ParseRow(rows.Bytes(2), "steps", step));
    BACKFIRE_RETURN_IF_ERROR(connection
                                 .Prepare("UPDATE steps SET id = ?, state = ?, version = ? "
                                          "WHERE update_number = ? AND position = ?")
                                 .BindText(step.id())
                                 .Bind(int64_t{step.state()})
                                 .BindText(TrainedVersion(step))
                                 .Bind(rows.Integer(0))
                                 .Bind(rows.Integer(1))
                                 .Run());
    const bool is_on_test_split =
        step.kind() == v1::Step::EVALUATE || step.kind() == v1::Step::EVALUATE_SWAPPED;
    if (!is_on_test_split || judged_on_split == rows.Integer(0)) continue;
    v1::Evaluation evaluation;
    BACKFIRE_RETURN_IF_ERROR(ParseRow(rows.Bytes(3), "evaluations", evaluation));
    if (evaluation.losses().empty()) continue;
    judged_on_split = rows.Integer(0);
    BACKFIRE_RETURN_IF_ERROR(
        connection.Prepare("UPDATE updates SET test_split = ? WHERE number = ? AND judged = 1")
            .BindText(evaluation.dataset_digest())
            .Bind(judged_on_split)
            .Run());
  }
  return absl::OkStatus();
}

absl::Status FillColumns(SqliteConnection& connection) {
  BACKFIRE_RETURN_IF_ERROR(FillReleases(connection));
  BACKFIRE_RETURN_IF_ERROR(FillUpdates(connection));
  return FillSteps(connection);
}

// What a store without seals has can be held against itself alone: each row's message against the
// columns that were made of it.
absl::Status CheckColumns(SqliteConnection& connection) {
  const auto disagrees = [](const char* table, int64_t number) {
    return absl::DataLossError(absl::StrCat("the store: row ", number, " of table ", table,
                                            " contradicts itself; restore it from a backup"));
  };
  auto updates = connection.Prepare("SELECT number, message, state, vertex FROM updates");
  while (true) {
    BACKFIRE_ASSIGN_OR_RETURN(const bool more, updates.Next());
    if (!more) break;
    v1::Update update;
    BACKFIRE_RETURN_IF_ERROR(ParseRow(updates.Bytes(1), "updates", update));
    if (update.state() != updates.Integer(2) || update.vertex() != updates.Bytes(3) ||
        NumberOf(update.name(), "updates") != updates.Integer(0)) {
      return disagrees("updates", updates.Integer(0));
    }
  }
  auto steps = connection.Prepare("SELECT update_number, step, state, id FROM steps");
  while (true) {
    BACKFIRE_ASSIGN_OR_RETURN(const bool more, steps.Next());
    if (!more) break;
    v1::Step step;
    BACKFIRE_RETURN_IF_ERROR(ParseRow(steps.Bytes(1), "steps", step));
    if (step.state() != steps.Integer(2) || step.id() != steps.Bytes(3)) {
      return disagrees("steps", steps.Integer(0));
    }
  }
  auto releases = connection.Prepare("SELECT number, message, state FROM releases");
  while (true) {
    BACKFIRE_ASSIGN_OR_RETURN(const bool more, releases.Next());
    if (!more) break;
    v1::Release release;
    BACKFIRE_RETURN_IF_ERROR(ParseRow(releases.Bytes(1), "releases", release));
    if (release.state() != releases.Integer(2) ||
        NumberOf(release.name(), "releases") != releases.Integer(0)) {
      return disagrees("releases", releases.Integer(0));
    }
  }
  auto evaluations = connection.Prepare("SELECT evaluation FROM evaluations");
  while (true) {
    BACKFIRE_ASSIGN_OR_RETURN(const bool more, evaluations.Next());
    if (!more) return absl::OkStatus();
    v1::Evaluation evaluation;
    BACKFIRE_RETURN_IF_ERROR(ParseRow(evaluations.Bytes(0), "evaluations", evaluation));
  }
}

absl::Status FillSeals(SqliteConnection& connection) {
  BACKFIRE_RETURN_IF_ERROR(CheckColumns(connection));
  return connection.Execute(
      absl::StrCat("UPDATE steps SET evaluation_checksum = coalesce((SELECT ", kEvaluationChecksum,
                   " FROM evaluations WHERE evaluations.update_number = steps.update_number AND "
                   "evaluations.position = steps.position), '')"));
}

absl::StatusOr<int64_t> ReadPragma(SqliteConnection& connection, const char* name) {
  BACKFIRE_ASSIGN_OR_RETURN(const std::string text,
                            connection.ReadText(absl::StrCat("PRAGMA ", name)));
  return std::stoll(text);
}

// The number of a store's schema; 0: it was made just now.
absl::StatusOr<int64_t> ReadSchemaVersion(SqliteConnection& connection) {
  BACKFIRE_ASSIGN_OR_RETURN(const int64_t version, ReadPragma(connection, "user_version"));
  BACKFIRE_ASSIGN_OR_RETURN(const int64_t application, ReadPragma(connection, "application_id"));
  const bool is_sealed = application != 0;
  if (version < 0 || is_sealed != (version >= kSealsSchema) ||
      (is_sealed && application != kApplicationId + version)) {
    return absl::DataLossError(absl::StrCat("the store is damaged: it says schema ", version,
                                            " and application ", application,
                                            "; restore it from a backup"));
  }
  return version;
}

// All that the schema says, of which row_seal.h covers nothing.
constexpr char kSchemaText[] =
    "SELECT type || ' ' || name || ' ' || tbl_name || ' ' || coalesce(sql, '') FROM "
    "main.sqlite_schema ORDER BY type, name";

// What a new store's schema says, by way of all migrations.
absl::StatusOr<std::string> MakePresentSchema() {
  BACKFIRE_ASSIGN_OR_RETURN(const auto fresh, SqliteConnection::Open(":memory:"));
  for (const char* migration : kMigrations) BACKFIRE_RETURN_IF_ERROR(fresh->Execute(migration));
  return fresh->ReadText(kSchemaText);
}

absl::Status CheckSchema(SqliteConnection& connection) {
  // Made once: that takes longer than all the rest of verifying a small store.
  static const auto* const expected = new absl::StatusOr<std::string>(MakePresentSchema());
  BACKFIRE_RETURN_IF_ERROR(expected->status());
  BACKFIRE_ASSIGN_OR_RETURN(const std::string text, connection.ReadText(kSchemaText));
  if (text == **expected) return absl::OkStatus();
  return absl::DataLossError(
      "the store is damaged: its tables are not those of its schema; restore it from a backup");
}

}  // namespace

absl::Status ParseRow(const std::string& bytes, const char* table,
                      google::protobuf::Message& message) {
  if (message.ParseFromString(bytes)) return absl::OkStatus();
  return absl::DataLossError(absl::StrCat("the store: a row of table ", table, " is damaged"));
}

absl::Status VerifySchema(SqliteConnection& connection) {
  BACKFIRE_ASSIGN_OR_RETURN(const int64_t version, ReadSchemaVersion(connection));
  if (version > kSchemaVersion) {
    return absl::FailedPreconditionError(absl::StrCat("a newer program made it: schema ", version,
                                                      ", this one knows up to ", kSchemaVersion));
  }
  if (version == kSchemaVersion) BACKFIRE_RETURN_IF_ERROR(CheckSchema(connection));
  return version >= kSealsSchema ? VerifyAllRows(connection) : absl::OkStatus();
}

absl::Status Migrate(SqliteConnection& connection) {
  BACKFIRE_RETURN_IF_ERROR(VerifySchema(connection));
  BACKFIRE_ASSIGN_OR_RETURN(const int64_t version, ReadSchemaVersion(connection));
  if (version == kSchemaVersion) return absl::OkStatus();
  const auto migrate = [&]() -> absl::Status {
    for (int64_t next = version + 1; next <= kSchemaVersion; ++next) {
      absl::Status status = connection.Execute(kMigrations[next - 1]);
      if (status.ok() && next == kColumnsSchema) status = FillColumns(connection);
      if (status.ok() && next == kEventsSchema) status = AddPastEvents(connection);
      if (status.ok() && next == kSealsSchema) status = FillSeals(connection);
      BACKFIRE_RETURN_IF_ERROR(Annotate(status, absl::StrCat("migration to schema ", next)));
    }
    BACKFIRE_RETURN_IF_ERROR(SealAllRows(connection));
    return connection.Execute(
        absl::StrCat("PRAGMA user_version = ", kSchemaVersion,
                     "; PRAGMA application_id = ", kApplicationId + kSchemaVersion, "; COMMIT"));
  };
  BACKFIRE_RETURN_IF_ERROR(connection.Execute("BEGIN IMMEDIATE"));
  const absl::Status status = migrate();
  if (!status.ok()) connection.Execute("ROLLBACK").IgnoreError();  // The fault is known already.
  return status;
}

absl::Status VerifyEvaluations(SqliteConnection& connection) {
  BACKFIRE_ASSIGN_OR_RETURN(const int64_t version, ReadSchemaVersion(connection));
  if (version < kSealsSchema) return absl::OkStatus();
  BACKFIRE_ASSIGN_OR_RETURN(
      const std::string damaged,
      connection.ReadText(absl::StrCat(
          "SELECT 'updates/' || steps.update_number || ', step ' || steps.position FROM steps LEFT "
          "JOIN evaluations USING (update_number, position) WHERE steps.evaluation_checksum != "
          "iif(evaluations.position IS NULL, '', ",
          kEvaluationChecksum, ") LIMIT 1")));
  if (damaged.empty()) return absl::OkStatus();
  return absl::DataLossError(absl::StrCat("the store: the evaluation of ", damaged,
                                          " is damaged or gone; restore it from a backup"));
}

absl::Status CheckIntegrity(SqliteConnection& connection) {
  std::vector<std::string> tables;
  {
    auto names = connection.Prepare(
        "SELECT name FROM sqlite_schema WHERE type = 'table' AND name != 'evaluations'");
    while (true) {
      BACKFIRE_ASSIGN_OR_RETURN(const bool more, names.Next());
      if (!more) break;
      tables.push_back(names.Bytes(0));
    }
  }
  for (const std::string& table : tables) {
    // Indexes as well: what is found by one must not depend on a bit of it.
    auto check = connection.Prepare("SELECT integrity_check FROM pragma_integrity_check(?)");
    check.BindText(table);
    BACKFIRE_ASSIGN_OR_RETURN(const bool has_row, check.Next());
    const std::string finding = has_row ? check.Bytes(0) : "no answer";
    if (finding != "ok") {
      return absl::DataLossError(
          absl::StrCat("the store is damaged: ", finding, "; restore it from a backup"));
    }
  }
  return absl::OkStatus();
}

}  // namespace backfire::store
