#include "orchestrator/store/sqlite_schema.h"

#include <iterator>
#include <map>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "backfire/v1/orchestrator.pb.h"
#include "orchestrator/records/resource_name.h"
#include "orchestrator/store/row.h"
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
)"};
constexpr int64_t kSchemaVersion = std::size(kMigrations);
constexpr int64_t kColumnsSchema = 3;  // The one that FillColumns belongs to.
constexpr int64_t kEventsSchema = 5;   // The one that AddPastEvents belongs to.
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

using PastEvents = std::multimap<int64_t, v1::Event>;  // By time.

void AddPast(const google::protobuf::Timestamp& time, const std::string& subject,
             const std::string& kind, const std::string& actor, const std::string& message,
             PastEvents& events) {
  v1::Event event;
  *event.mutable_time() = time;
  event.set_subject(subject);
  event.set_kind(kind);
  event.set_actor(actor);
  event.set_message(message);
  events.emplace(Nanoseconds(time), std::move(event));
}

// When updates were proposed and ended, and what happened to releases.
absl::Status AddPastEvents(SqliteConnection& connection) {
  PastEvents events;
  {
    auto rows = connection.Prepare("SELECT message FROM updates ORDER BY number");
    while (true) {
      BACKFIRE_ASSIGN_OR_RETURN(const bool more, rows.Next());
      if (!more) break;
      v1::Update update;
      BACKFIRE_RETURN_IF_ERROR(ParseRow(rows.Bytes(0), "updates", update));
      if (update.has_create_time()) {
        AddPast(update.create_time(), update.name(), "PROPOSED", "",
                update.baseline() ? "a baseline" : update.vertex(), events);
      }
      if (!update.has_end_time()) continue;
      const bool failed = update.state() == v1::Update::FAILED;
      AddPast(update.end_time(), update.name(),
              failed ? "STEP_FAILED" : v1::Update::State_Name(update.state()), "",
              update.has_verdict() ? v1::Verdict::Outcome_Name(update.verdict().outcome())
                                   : update.error_message(),
              events);
    }
    auto releases = connection.Prepare("SELECT message FROM releases ORDER BY number");
    while (true) {
      BACKFIRE_ASSIGN_OR_RETURN(const bool more, releases.Next());
      if (!more) break;
      v1::Release release;
      BACKFIRE_RETURN_IF_ERROR(ParseRow(releases.Bytes(0), "releases", release));
      for (const v1::ReleaseEvent& past : release.history()) {
        const bool promoted = past.kind() == v1::ReleaseEvent::PROMOTED;
        AddPast(past.time(), release.name(),
                promoted ? "LIVE" : v1::ReleaseEvent::Kind_Name(past.kind()), past.actor(),
                past.reason(), events);
      }
    }
  }
  for (const auto& [time, event] : events) {
    BACKFIRE_RETURN_IF_ERROR(
        connection.Prepare("INSERT INTO events (time, subject, event) VALUES (?, ?, ?)")
            .Bind(time)
            .BindText(event.subject())
            .Bind(event.SerializeAsString())
            .Run());
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status ParseRow(const std::string& bytes, const char* table,
                      google::protobuf::Message& message) {
  if (message.ParseFromString(bytes)) return absl::OkStatus();
  return absl::DataLossError(absl::StrCat("the store: a row of table ", table, " is damaged"));
}

absl::Status Migrate(SqliteConnection& connection) {
  int64_t version = 0;
  {
    auto statement = connection.Prepare("PRAGMA user_version");
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
    for (int64_t next = version + 1; next <= kSchemaVersion; ++next) {
      absl::Status status = connection.Execute(kMigrations[next - 1]);
      if (status.ok() && next == kColumnsSchema) status = FillColumns(connection);
      if (status.ok() && next == kEventsSchema) status = AddPastEvents(connection);
      BACKFIRE_RETURN_IF_ERROR(Annotate(status, absl::StrCat("migration to schema ", next)));
    }
    return connection.Execute(absl::StrCat("PRAGMA user_version = ", kSchemaVersion, "; COMMIT"));
  };
  BACKFIRE_RETURN_IF_ERROR(connection.Execute("BEGIN IMMEDIATE"));
  const absl::Status status = migrate();
  if (!status.ok()) connection.Execute("ROLLBACK").IgnoreError();  // The fault is known already.
  return status;
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
    auto check = connection.Prepare("SELECT quick_check FROM pragma_quick_check(?)");
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
