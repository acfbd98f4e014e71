// The half of SqliteRepository that reads. The names of tables are views that verify each row
// (row_seal.h); `main.NAME` is the table itself, for what only counts.
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "orchestrator/records/update_state.h"
#include "orchestrator/store/sqlite_repository.h"
#include "orchestrator/store/sqlite_schema.h"
#include "services/base/status.h"

namespace backfire::store {
namespace {

// Numbers of the states in which an update has work left, for `state IN (...)`.
std::string OpenStates() {
  std::vector<int> states;
  for (int state = v1::Update::State_MIN; state <= v1::Update::State_MAX; ++state) {
    if (records::IsOpen(static_cast<v1::Update::State>(state))) states.push_back(state);
  }
  return absl::StrJoin(states, ", ");
}

// Reads rows of one message each, as many as a page takes.
template <typename Row>
absl::StatusOr<std::vector<Row>> ReadPage(SqliteStatement& rows, const Page& page,
                                          const char* table) {
  std::vector<Row> read;
  for (int64_t bytes = 0, before = 0; before < page.bytes;) {
    BACKFIRE_ASSIGN_OR_RETURN(const bool more, rows.Next());
    if (!more) break;
    const std::string row = rows.Bytes(0);
    BACKFIRE_RETURN_IF_ERROR(ParseRow(row, table, read.emplace_back()));
    before = bytes;
    bytes += static_cast<int64_t>(row.size());
  }
  return read;
}

// Reads one number. 0: there is no row.
absl::StatusOr<int64_t> ReadNumber(SqliteStatement& statement) {
  BACKFIRE_ASSIGN_OR_RETURN(const bool has_row, statement.Next());
  return has_row ? statement.Integer(0) : 0;
}

}  // namespace

absl::Status SqliteRepository::ReadSystems(Beginning& beginning) const {
  std::map<int64_t, records::SystemRecord> systems;
  auto rows = reader_->Prepare("SELECT revision, system, baseline_update, seed_rule FROM systems");
  while (true) {
    BACKFIRE_ASSIGN_OR_RETURN(const bool more, rows.Next());
    if (!more) break;
    records::SystemRecord& record = systems[rows.Integer(0)];
    record.revision = rows.Integer(0);
    BACKFIRE_RETURN_IF_ERROR(ParseRow(rows.Bytes(1), "systems", record.system));
    record.baseline_update = rows.Integer(2);
    const int64_t seed_rule = rows.Integer(3);
    record.seed_rule = static_cast<records::SeedRule>(seed_rule);
    if (record.seed_rule != records::SeedRule::kConsecutive &&
        record.seed_rule != records::SeedRule::kHashed) {
      return absl::DataLossError(
          absl::StrCat("the store: revision ", record.revision, " has seed_rule ", seed_rule));
    }
  }
  auto models = reader_->Prepare("SELECT revision, vertex, model FROM models");
  while (true) {
    BACKFIRE_ASSIGN_OR_RETURN(const bool more, models.Next());
    if (!more) break;
    BACKFIRE_RETURN_IF_ERROR(
        ParseRow(models.Bytes(2), "models", systems[models.Integer(0)].models[models.Bytes(1)]));
  }
  for (auto& [revision, record] : systems) beginning.systems.push_back(std::move(record));
  return absl::OkStatus();
}

absl::StatusOr<Beginning> SqliteRepository::ReadBeginning() const {
  MutexLock lock(reading_);
  Beginning beginning;
  {
    auto identity = reader_->Prepare("SELECT value FROM identity");
    BACKFIRE_ASSIGN_OR_RETURN(const bool has_row, identity.Next());
    if (!has_row) return absl::DataLossError("the store: table identity is empty");
    beginning.identity = identity.Bytes(0);
  }
  BACKFIRE_RETURN_IF_ERROR(ReadSystems(beginning));
  std::vector<int64_t> numbers;
  {
    static const std::string* const sql = new std::string(
        absl::StrCat("SELECT number FROM updates WHERE state IN (", OpenStates(),
                     ") UNION SELECT update_number FROM steps WHERE state = 2 ORDER BY 1"));
    auto rows = reader_->Prepare(sql->c_str());
    while (true) {
      BACKFIRE_ASSIGN_OR_RETURN(const bool more, rows.Next());
      if (!more) break;
      numbers.push_back(rows.Integer(0));
    }
  }
  for (const int64_t number : numbers) {
    BACKFIRE_ASSIGN_OR_RETURN(records::UpdateRecord record, ReadUpdateRow(number));
    BACKFIRE_RETURN_IF_ERROR(ReadSteps(record));
    beginning.updates.push_back(std::move(record));
  }
  {
    auto rows = reader_->Prepare("SELECT number, message, revision FROM releases WHERE state != ?");
    rows.Bind(int64_t{v1::Release::RETIRED});
    while (true) {
      BACKFIRE_ASSIGN_OR_RETURN(const bool more, rows.Next());
      if (!more) break;
      records::ReleaseRecord& record = beginning.releases[rows.Integer(0)];
      BACKFIRE_RETURN_IF_ERROR(ParseRow(rows.Bytes(1), "releases", record.release));
      record.revision = rows.Integer(2);
    }
  }
  auto update = reader_->Prepare("SELECT max(number) FROM main.updates");
  BACKFIRE_ASSIGN_OR_RETURN(beginning.last_update, ReadNumber(update));
  auto release = reader_->Prepare("SELECT max(number) FROM main.releases");
  BACKFIRE_ASSIGN_OR_RETURN(beginning.last_release, ReadNumber(release));
  return beginning;
}

absl::StatusOr<records::UpdateRecord> SqliteRepository::ReadUpdateRow(int64_t number) const {
  auto row = reader_->Prepare("SELECT request_id, message, base FROM updates WHERE number = ?");
  row.Bind(number);
  BACKFIRE_ASSIGN_OR_RETURN(const bool has_row, row.Next());
  if (!has_row) return absl::NotFoundError(absl::StrCat("there is no updates/", number));
  records::UpdateRecord record;
  record.number = number;
  record.request_id = row.Bytes(0);
  BACKFIRE_RETURN_IF_ERROR(ParseRow(row.Bytes(1), "updates", record.update));
  record.base = row.Integer(2);
  return record;
}

absl::Status SqliteRepository::ReadSteps(records::UpdateRecord& record) const {
  auto rows =
      reader_->Prepare("SELECT step, attempt FROM steps WHERE update_number = ? ORDER BY position");
  rows.Bind(record.number);
  while (true) {
    BACKFIRE_ASSIGN_OR_RETURN(const bool more, rows.Next());
    if (!more) return absl::OkStatus();
    records::StepRecord& step = record.steps.emplace_back();
    BACKFIRE_RETURN_IF_ERROR(ParseRow(rows.Bytes(0), "steps", step.step));
    step.attempt = rows.Integer(1);
  }
}

absl::StatusOr<records::UpdateRecord> SqliteRepository::ReadUpdate(int64_t number) const {
  MutexLock lock(reading_);
  BACKFIRE_ASSIGN_OR_RETURN(records::UpdateRecord record, ReadUpdateRow(number));
  BACKFIRE_RETURN_IF_ERROR(ReadSteps(record));
  return record;
}

absl::StatusOr<std::vector<v1::Update>> SqliteRepository::ListUpdates(const UpdateFilter& filter,
                                                                      const Page& page) const {
  MutexLock lock(reading_);
  int64_t states = 0;  // A bit for each that passes.
  for (const v1::Update::State state : filter.states) {
    // A state that this program doesn't know is nobody's.
    states |= int64_t{1} << (v1::Update::State_IsValid(state) ? static_cast<int>(state) : 62);
  }
  auto rows = reader_->Prepare(
      "SELECT message FROM updates WHERE (?1 = 0 OR (?1 >> state) & 1) AND "
      "(?2 = '' OR vertex = ?2) AND (?3 = 0 OR revision = ?3) AND (?4 = 0 OR (judged = 1 AND "
      "test_split = (SELECT test_split FROM main.updates WHERE number = ?4 AND judged = 1))) "
      "ORDER BY number DESC LIMIT ?5 OFFSET ?6");
  rows.Bind(states).BindText(filter.vertex).Bind(filter.revision).Bind(filter.judged_with);
  rows.Bind(page.count).Bind(page.skip);
  return ReadPage<v1::Update>(rows, page, "updates");
}

absl::StatusOr<std::optional<int64_t>> SqliteRepository::FindProposal(
    const std::string& request_id) const {
  MutexLock lock(reading_);
  auto row =
      reader_->Prepare("SELECT number FROM updates WHERE request_id = ? AND request_id != ''");
  row.BindText(request_id);
  BACKFIRE_ASSIGN_OR_RETURN(const bool has_row, row.Next());
  if (!has_row) return std::nullopt;
  return row.Integer(0);
}

absl::StatusOr<std::vector<int64_t>> SqliteRepository::FindUpdatesWithVersion(
    const std::string& version) const {
  MutexLock lock(reading_);
  auto rows = reader_->Prepare(
      "SELECT DISTINCT update_number FROM steps WHERE version = ? AND version != '' ORDER BY 1");
  rows.BindText(version);
  std::vector<int64_t> numbers;
  while (true) {
    BACKFIRE_ASSIGN_OR_RETURN(const bool more, rows.Next());
    if (!more) return numbers;
    numbers.push_back(rows.Integer(0));
  }
}

absl::StatusOr<int64_t> SqliteRepository::CountJudged(const std::string& test_split,
                                                      int64_t before) const {
  MutexLock lock(reading_);
  auto row = reader_->Prepare(
      "SELECT count(*) FROM updates WHERE judged = 1 AND test_split = ? AND number < ?");
  row.BindText(test_split).Bind(before);
  return ReadNumber(row);
}

absl::StatusOr<std::map<v1::Update::State, int64_t>> SqliteRepository::CountUpdates() const {
  MutexLock lock(reading_);
  auto rows = reader_->Prepare("SELECT state, count(*) FROM main.updates GROUP BY state");
  std::map<v1::Update::State, int64_t> counts;
  while (true) {
    BACKFIRE_ASSIGN_OR_RETURN(const bool more, rows.Next());
    if (!more) return counts;
    counts[static_cast<v1::Update::State>(rows.Integer(0))] = rows.Integer(1);
  }
}

absl::StatusOr<std::map<v1::Release::State, int64_t>> SqliteRepository::CountReleases() const {
  MutexLock lock(reading_);
  auto rows = reader_->Prepare("SELECT state, count(*) FROM main.releases GROUP BY state");
  std::map<v1::Release::State, int64_t> counts;
  while (true) {
    BACKFIRE_ASSIGN_OR_RETURN(const bool more, rows.Next());
    if (!more) return counts;
    counts[static_cast<v1::Release::State>(rows.Integer(0))] = rows.Integer(1);
  }
}

absl::StatusOr<std::optional<v1::Update>> SqliteRepository::ReadLatestVerdict() const {
  MutexLock lock(reading_);
  auto row = reader_->Prepare(
      "SELECT message FROM updates WHERE judged = 1 ORDER BY end_time DESC, number LIMIT 1");
  BACKFIRE_ASSIGN_OR_RETURN(const bool has_row, row.Next());
  if (!has_row) return std::nullopt;
  v1::Update update;
  BACKFIRE_RETURN_IF_ERROR(ParseRow(row.Bytes(0), "updates", update));
  return update;
}

absl::StatusOr<std::shared_ptr<const records::Standing>> SqliteRepository::ReadStanding(
    int64_t update) const {
  MutexLock lock(reading_);
  BACKFIRE_ASSIGN_OR_RETURN(records::UpdateRecord record, ReadUpdateRow(update));
  const auto standing = std::make_shared<records::Standing>(
      update, std::make_shared<const v1::Update>(std::move(record.update)));
  auto rows = reader_->Prepare(
      "WITH RECURSIVE chain (number, depth) AS (VALUES (?, 0) UNION ALL "
      "SELECT updates.base, depth + 1 FROM updates JOIN chain USING (number) "
      "WHERE updates.base != 0) "
      "SELECT steps.update_number, steps.position, steps.id, steps.step FROM chain "
      "JOIN steps ON steps.update_number = chain.number ORDER BY chain.depth, steps.position");
  rows.Bind(update);
  while (true) {
    BACKFIRE_ASSIGN_OR_RETURN(const bool more, rows.Next());
    if (!more) return standing;
    if (!standing->Inherits(rows.Integer(0), rows.Bytes(2))) continue;
    v1::Step step;
    BACKFIRE_RETURN_IF_ERROR(ParseRow(rows.Bytes(3), "steps", step));
    if (!records::Standing::Keeps(step)) continue;
    standing->Set({rows.Integer(0), static_cast<size_t>(rows.Integer(1))}, step);
  }
}

absl::StatusOr<v1::Evaluation> SqliteRepository::ReadEvaluation(records::StepRef step) const {
  const std::string name = absl::StrCat("updates/", step.update, ": step ", step.position);
  std::string bytes;
  {
    static const std::string* const sql = new std::string(
        absl::StrCat("SELECT evaluation_checksum, evaluation, ", kEvaluationChecksum,
                     " FROM steps LEFT JOIN evaluations USING (update_number, position) "
                     "WHERE steps.update_number = ? AND steps.position = ?"));
    MutexLock lock(reading_);
    auto row = reader_->Prepare(sql->c_str());
    row.Bind(step.update).Bind(static_cast<int64_t>(step.position));
    BACKFIRE_ASSIGN_OR_RETURN(const bool has_row, row.Next());
    if (!has_row || row.Bytes(0).empty()) {
      return absl::NotFoundError(absl::StrCat(name, " has no evaluation"));
    }
    if (row.Bytes(0) != row.Bytes(2)) {
      return absl::DataLossError(absl::StrCat("the store: the evaluation of ", name,
                                              " is damaged or gone; restore it from a backup"));
    }
    bytes = row.Bytes(1);
  }
  v1::Evaluation evaluation;
  BACKFIRE_RETURN_IF_ERROR(ParseRow(bytes, "evaluations", evaluation));
  return evaluation;
}

absl::StatusOr<records::ReleaseRecord> SqliteRepository::ReadRelease(int64_t number) const {
  MutexLock lock(reading_);
  auto row = reader_->Prepare("SELECT message, revision FROM releases WHERE number = ?");
  row.Bind(number);
  BACKFIRE_ASSIGN_OR_RETURN(const bool has_row, row.Next());
  if (!has_row) return absl::NotFoundError(absl::StrCat("there is no releases/", number));
  records::ReleaseRecord record;
  BACKFIRE_RETURN_IF_ERROR(ParseRow(row.Bytes(0), "releases", record.release));
  record.revision = row.Integer(1);
  return record;
}

absl::StatusOr<std::vector<v1::Release>> SqliteRepository::ListReleases(const Page& page) const {
  MutexLock lock(reading_);
  auto rows =
      reader_->Prepare("SELECT message FROM releases ORDER BY number DESC LIMIT ? OFFSET ?");
  rows.Bind(page.count).Bind(page.skip);
  return ReadPage<v1::Release>(rows, page, "releases");
}

absl::StatusOr<std::optional<records::RequestRecord>> SqliteRepository::FindRequest(
    const std::string& id) const {
  MutexLock lock(reading_);
  auto row = reader_->Prepare("SELECT fingerprint, resource FROM requests WHERE id = ?");
  row.BindText(id);
  BACKFIRE_ASSIGN_OR_RETURN(const bool has_row, row.Next());
  if (!has_row) return std::nullopt;
  return records::RequestRecord{id, row.Bytes(0), row.Bytes(1)};
}

absl::StatusOr<std::vector<v1::Event>> SqliteRepository::ListEvents(const EventFilter& filter,
                                                                    const Page& page) const {
  MutexLock lock(reading_);
  auto rows = reader_->Prepare(filter.subject.empty()
                                   ? "SELECT event FROM events WHERE time >= ?1 AND ?2 = '' "
                                     "ORDER BY number DESC LIMIT ?3 OFFSET ?4"
                                   : "SELECT event FROM events WHERE time >= ?1 AND subject = ?2 "
                                     "ORDER BY number DESC LIMIT ?3 OFFSET ?4");
  rows.Bind(filter.since).BindText(filter.subject).Bind(page.count).Bind(page.skip);
  return ReadPage<v1::Event>(rows, page, "events");
}

}  // namespace backfire::store
