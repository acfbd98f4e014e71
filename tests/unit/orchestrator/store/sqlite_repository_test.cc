// What only a file can go through: older programs, full disks, damage.
#include "orchestrator/store/sqlite_repository.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sqlite3.h>
#include <sys/resource.h>

#include <filesystem>
#include <fstream>

#include "orchestrator/store/row.h"
#include "services/base/file.h"
#include "services/base/random.h"
#include "tests/support/record_kit.h"
#include "tests/support/temporary_directory.h"

namespace backfire::store {
namespace {

using records::Change;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

class SqliteRepositoryTest : public ::testing::Test {
 protected:
  std::string path() const { return directory_ / "orchestrator.sqlite"; }
  std::unique_ptr<SqliteRepository> Open() {
    auto repository = SqliteRepository::Open(path());
    EXPECT_TRUE(repository.ok()) << repository.status();
    return repository.ok() ? *std::move(repository) : nullptr;
  }
  void Run(const std::string& sql) {
    sqlite3* database = nullptr;
    ASSERT_EQ(sqlite3_open(path().c_str(), &database), SQLITE_OK);
    EXPECT_EQ(sqlite3_exec(database, sql.c_str(), nullptr, nullptr, nullptr), SQLITE_OK)
        << sqlite3_errmsg(database);
    sqlite3_close(database);
  }
  static Change BaselineWith(const v1::Evaluation& evaluation) {
    Change change;
    change.system = testing::SmallRevision();
    change.added.push_back(testing::Open(testing::SmallUpdate(1, "")));
    records::StepChange& step = change.steps[{1, 0}];
    step.from = v1::Step::WAITING;
    step.record = change.added[0]->step(0);
    step.record.step.set_state(v1::Step::RUNNING);
    step.evaluation = evaluation;
    return change;
  }

  const testing::TemporaryDirectory directory_;
};

TEST_F(SqliteRepositoryTest, KeepsEverythingOverAReopening) {
  v1::Evaluation evaluation;
  evaluation.add_losses()->add_resampled(0.1);
  Change change = BaselineWith(evaluation);
  change.requests.push_back({"promote-1", "digest", "releases/2"});
  change.events.emplace_back().set_kind("PROPOSED");
  ASSERT_TRUE(Open()->Write(change).ok());
  const auto repository = Open();
  const auto beginning = repository->ReadBeginning();
  ASSERT_TRUE(beginning.ok()) << beginning.status();
  EXPECT_EQ(beginning->systems.at(0).system.name(), "small");
  EXPECT_EQ(beginning->systems.at(0).models.at("b").name(), "models/mb");
  EXPECT_EQ(beginning->updates.at(0).steps.at(0).step.state(), v1::Step::RUNNING);
  EXPECT_EQ(repository->ReadEvaluation({1, 0})->losses(0).resampled(0), 0.1);
  EXPECT_EQ(repository->FindRequest("promote-1")->value().fingerprint, "digest");
  EXPECT_EQ(repository->ListEvents({}, {0, 10})->at(0).kind(), "PROPOSED");
  EXPECT_EQ(Open()->ReadBeginning()->identity, beginning->identity);
  const testing::TemporaryDirectory elsewhere;
  EXPECT_NE((*SqliteRepository::Open(elsewhere / "o.sqlite"))->ReadBeginning()->identity,
            beginning->identity);
}

TEST_F(SqliteRepositoryTest, AFullDiskIsSaidAndLosesNothing) {
  const auto repository = Open();
  ASSERT_TRUE(repository->Write(BaselineWith(v1::Evaluation())).ok());
  // A file may not grow beyond what it is; SQLite sees what a full disk looks like.
  const rlimit none{static_cast<rlim_t>(std::filesystem::file_size(path())), RLIM_INFINITY};
  rlimit before{};
  ASSERT_EQ(getrlimit(RLIMIT_FSIZE, &before), 0);
  const auto handler = signal(SIGXFSZ, SIG_IGN);
  ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &none), 0);
  Change large;
  records::StepChange& step = large.steps[{1, 0}];
  step.from = v1::Step::RUNNING;
  step.record = repository->ReadUpdate(1)->steps[0];
  step.evaluation.emplace().add_losses()->mutable_resampled()->Resize(1 << 20, 0.5);
  const absl::Status status = repository->Write(large);
  ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &before), 0);
  signal(SIGXFSZ, handler);
  EXPECT_EQ(status.code(), absl::StatusCode::kResourceExhausted) << status;
  EXPECT_EQ(Open()->ReadEvaluation({1, 0})->losses_size(), 0);
  EXPECT_TRUE(repository->Write(large).ok());
  EXPECT_EQ(Open()->ReadEvaluation({1, 0})->losses(0).resampled_size(), 1 << 20);
}

// The store as the first release of the program made it, with rows in it.
TEST_F(SqliteRepositoryTest, BringsTheOldestStoreUpToDate) {
  Run(R"(
CREATE TABLE identity (value TEXT NOT NULL);
INSERT INTO identity VALUES ('0123abcd');
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
-- name = "updates/1", state = DECIDED; name = "releases/1", epoch = 7.
INSERT INTO updates VALUES (1, 'mine', x'0a09757064617465732f311006');
INSERT INTO steps VALUES (1, 0, x'0a0d747261696e2f66697273742f30', x'', 3);
INSERT INTO releases VALUES (1, x'0a0a72656c65617365732f313007');
INSERT INTO systems VALUES (1, x'', 1);
PRAGMA user_version = 1;
)");
  const auto repository = Open();
  EXPECT_EQ(repository->ReadBeginning()->identity, "0123abcd");
  EXPECT_EQ(repository->ReadBeginning()->systems.at(0).seed_rule, records::SeedRule::kConsecutive);
  const auto update = repository->ReadUpdate(1);
  ASSERT_TRUE(update.ok()) << update.status();
  EXPECT_EQ(update->request_id, "mine");
  EXPECT_EQ(update->update.state(), v1::Update::DECIDED);
  EXPECT_EQ(update->steps.at(0).step.id(), "train/first/0");
  EXPECT_EQ(update->steps.at(0).attempt, 3);
  EXPECT_EQ(repository->ReadRelease(1)->release.epoch(), 7);
  EXPECT_EQ(repository->CountUpdates()->at(v1::Update::DECIDED), 1);
  Change change;
  change.requests.push_back({"id", "digest", "updates/1"});
  EXPECT_TRUE(repository->Write(change).ok());
}

// A store that the program before this one left behind when it was killed.
TEST_F(SqliteRepositoryTest, BringsAStoreOfSchemaTwoUpToDate) {
  const auto sql = ReadFile(BACKFIRE_SCHEMA_2);
  ASSERT_TRUE(sql.ok()) << sql.status();
  Run(*sql);
  const auto repository = Open();
  const auto beginning = repository->ReadBeginning();
  ASSERT_TRUE(beginning.ok()) << beginning.status();
  EXPECT_EQ(beginning->identity, "641f078f");
  ASSERT_EQ(beginning->updates.size(), 2u);
  EXPECT_EQ(beginning->updates[0].update.state(), v1::Update::TRAINING_CANDIDATE);
  EXPECT_EQ(beginning->updates[0].steps.at(1).step.state(), v1::Step::RUNNING);
  EXPECT_EQ(beginning->updates[1].update.state(), v1::Update::PROPOSED);
  EXPECT_EQ(beginning->updates[1].base, 2) << "releases/2 was made by updates/2";
  EXPECT_EQ(beginning->releases.at(2).release.state(), v1::Release::LIVE);
  EXPECT_EQ(beginning->releases.at(2).revision, 1);

  const auto decided = repository->ListUpdates({{v1::Update::DECIDED}, "second", 1}, {0, 10});
  ASSERT_TRUE(decided.ok()) << decided.status();
  ASSERT_EQ(decided->size(), 1u);
  EXPECT_EQ(decided->at(0).name(), "updates/3");
  EXPECT_EQ(repository->ReadLatestVerdict()->value().name(), "updates/3");
  const auto standing = repository->ReadStanding(2);
  ASSERT_TRUE(standing.ok()) << standing.status();
  const auto evaluated = (*standing)->Find("evaluate/second/1");
  ASSERT_TRUE(evaluated.ok()) << evaluated.status();
  EXPECT_EQ(evaluated->ref.update, 2);
  const auto evaluation = repository->ReadEvaluation(evaluated->ref);
  ASSERT_TRUE(evaluation.ok()) << evaluation.status();
  EXPECT_EQ(evaluation->losses(0).resampled_size(), 10);
  EXPECT_EQ(*repository->CountJudged(evaluation->dataset_digest(), 100), 2);
  EXPECT_EQ(repository->FindRequest("promote-2")->value().resource, "releases/2");
  // What rows still tell of the time before events were kept, in order.
  const auto events = repository->ListEvents({}, {0, 100});
  ASSERT_TRUE(events.ok()) << events.status();
  ASSERT_FALSE(events->empty());
  EXPECT_EQ(events->back().subject(), "updates/1");
  EXPECT_EQ(events->back().kind(), "PROPOSED");
  for (size_t i = 1; i < events->size(); ++i) {
    EXPECT_LE(Nanoseconds(events->at(i).time()), Nanoseconds(events->at(i - 1).time()));
  }
  const auto of_release = repository->ListEvents({0, "releases/2"}, {0, 100});
  ASSERT_TRUE(of_release.ok()) << of_release.status();
  ASSERT_FALSE(of_release->empty());
  EXPECT_EQ(of_release->front().kind(), "LIVE");
  const auto of_update = repository->ListEvents({0, "updates/3"}, {0, 100});
  EXPECT_EQ(of_update->front().kind(), "DECIDED");
  EXPECT_THAT(*repository->FindUpdatesWithVersion("models/second/versions/5"), ElementsAre(3));
}

TEST_F(SqliteRepositoryTest, RefusesWhatIsNoDatabase) {
  ASSERT_TRUE(WriteFileAtomically(path(), std::string(4096, 'x')).ok());
  const auto store = SqliteRepository::Open(path());
  EXPECT_EQ(store.status().code(), absl::StatusCode::kDataLoss) << store.status();
  EXPECT_THAT(std::string(store.status().message()), HasSubstr(path()));
}

TEST_F(SqliteRepositoryTest, RefusesWhatANewerProgramMade) {
  Open();
  Run("PRAGMA user_version = 99; PRAGMA application_id = 1111883875");
  const auto store = SqliteRepository::Open(path());
  EXPECT_EQ(store.status().code(), absl::StatusCode::kFailedPrecondition) << store.status();
  EXPECT_THAT(std::string(store.status().message()), HasSubstr("schema 99"));
}

TEST_F(SqliteRepositoryTest, RefusesDamagedRows) {
  v1::Evaluation evaluation;
  evaluation.add_losses()->add_resampled(0.1);
  ASSERT_TRUE(Open()->Write(BaselineWith(evaluation)).ok());
  std::filesystem::copy_file(path(), directory_ / "sound");
  for (const char* damage :
       {"UPDATE updates SET message = x'ff'", "UPDATE updates SET vertex = 'b'",
        "UPDATE updates SET request_id = 'other'", "UPDATE steps SET attempt = attempt + 1",
        "UPDATE systems SET baseline_update = 2", "UPDATE identity SET value = 'other'",
        "UPDATE steps SET checksum = ''", "DELETE FROM steps WHERE position = 0",
        "UPDATE totals SET rows = rows + 1", "UPDATE totals SET rows = 'many'",
        "UPDATE totals SET rows = x'3939393939393939393939393939393939393939'",
        "DELETE FROM totals WHERE name = 'steps'", "DROP INDEX steps_running",
        "PRAGMA user_version = 4", "PRAGMA user_version = 7"}) {
    std::filesystem::copy_file(directory_ / "sound", path(),
                               std::filesystem::copy_options::overwrite_existing);
    EXPECT_TRUE(SqliteRepository::Verify(path()).ok()) << damage;
    Run(damage);
    const absl::Status status = SqliteRepository::Open(path()).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kDataLoss) << damage << ": " << status;
    EXPECT_EQ(SqliteRepository::Verify(path()).code(), absl::StatusCode::kDataLoss) << damage;
  }
}

TEST_F(SqliteRepositoryTest, ADamagedEvaluationCostsItself) {
  v1::Evaluation evaluation;
  evaluation.add_losses()->add_resampled(0.1);
  ASSERT_TRUE(Open()->Write(BaselineWith(evaluation)).ok());
  for (const char* damage :
       {"UPDATE evaluations SET evaluation = x''", "UPDATE evaluations SET position = 7"}) {
    Run(damage);
    const auto repository = Open();
    EXPECT_TRUE(repository->ReadUpdate(1).ok());
    EXPECT_EQ(repository->ReadEvaluation({1, 0}).status().code(), absl::StatusCode::kDataLoss);
    EXPECT_EQ(SqliteRepository::Verify(path()).code(), absl::StatusCode::kDataLoss);
  }
  EXPECT_EQ(Open()->ReadEvaluation({1, 1}).status().code(), absl::StatusCode::kNotFound);
}

// What is damaged while the program runs is neither read nor written over.
TEST_F(SqliteRepositoryTest, RefusesRowsThatAreDamagedMeanwhile) {
  const auto repository = Open();
  ASSERT_TRUE(repository->Write(BaselineWith(v1::Evaluation())).ok());
  const records::UpdateRecord before = *repository->ReadUpdate(1);
  Run("UPDATE steps SET attempt = 99 WHERE position = 0");
  EXPECT_EQ(repository->ReadUpdate(1).status().code(), absl::StatusCode::kDataLoss);
  Change change;
  records::StepChange& step = change.steps[{1, 0}];
  step.from = v1::Step::RUNNING;
  step.record = before.steps[0];
  EXPECT_EQ(repository->Write(change).code(), absl::StatusCode::kDataLoss);
}

// All that a store says, as text.
std::string Everything(const SqliteRepository& repository) {
  std::string text;
  absl::Status fault;
  const auto add = [&](const auto& message) { text += message.ShortDebugString() + "\n"; };
  const auto note = [&](const absl::Status& status) {
    if (!status.ok() && !absl::IsNotFound(status)) fault = status;
    return status.ok();
  };
  const auto beginning = repository.ReadBeginning();
  if (note(beginning.status())) {
    text += beginning->identity + " " + std::to_string(beginning->last_update) + " " +
            std::to_string(beginning->last_release) + " ";
    for (const auto& system : beginning->systems) {
      add(system.system);
      text += std::to_string(system.baseline_update) + " ";
      for (const auto& [vertex, model] : system.models) add(model);
    }
    text += std::to_string(beginning->updates.size()) + " ";
    for (const auto& [number, release] : beginning->releases) add(release.release);
  }
  for (int64_t number = 1; number <= 3; ++number) {
    const auto update = repository.ReadUpdate(number);
    if (!note(update.status())) continue;
    text += update->request_id + " " + std::to_string(update->base) + " ";
    add(update->update);
    for (size_t i = 0; i < update->steps.size(); ++i) {
      add(update->steps[i].step);
      text += std::to_string(update->steps[i].attempt) + " ";
      const auto evaluation = repository.ReadEvaluation({number, i});
      if (note(evaluation.status())) add(*evaluation);
    }
  }
  const auto list = repository.ListUpdates({}, {0, 10});
  if (note(list.status())) {
    for (const v1::Update& update : *list) add(update);
  }
  const auto counts = repository.CountUpdates();
  if (note(counts.status())) {
    for (const auto& [state, count] : *counts) {
      text += std::to_string(state) + ":" + std::to_string(count) + " ";
    }
  }
  const auto proposal = repository.FindProposal("mine");
  if (note(proposal.status())) text += std::to_string(proposal->value_or(0)) + " ";
  const auto request = repository.FindRequest("promote-1");
  if (note(request.status()) && request->has_value()) text += (*request)->resource;
  return fault.ok() ? text : absl::StatusCodeToString(fault.code());
}

// One bit anywhere in the file: everything is as before, or it is said that something is lost.
TEST_F(SqliteRepositoryTest, AFlippedBitChangesNothingSilently) {
  v1::Evaluation evaluation;
  for (int i = 0; i < 400; ++i) evaluation.add_losses()->add_resampled(i);
  Change change = BaselineWith(evaluation);
  records::UpdateRecord second = testing::SmallUpdate(2, "");
  second.request_id = "mine";
  change.added.push_back(testing::Open(second));
  change.requests.push_back({"promote-1", "digest", "releases/2"});
  change.releases[1].record = testing::SmallRelease(1, v1::Release::LIVE);
  ASSERT_TRUE(Open()->Write(change).ok());
  const std::string sound = *ReadFile(path());
  const std::string expected = Everything(*Open());
  ASSERT_FALSE(std::filesystem::exists(path() + "-wal")) << "the last connection cleans up";
  Random random(/*seed=*/5);
  constexpr int64_t kHeaderBits = 800, kRandomBits = 600;
  int refused = 0;
  for (int64_t i = 0; i < kHeaderBits + kRandomBits; i += i < kHeaderBits ? 3 : 1) {
    const auto bit = static_cast<size_t>(
        i < kHeaderBits ? i : random.Below(static_cast<int64_t>(sound.size()) * 8));
    std::string flipped = sound;
    flipped[bit / 8] = static_cast<char>(flipped[bit / 8] ^ (1 << bit % 8));
    std::ofstream(path(), std::ios::binary | std::ios::trunc) << flipped;
    const auto repository = SqliteRepository::Open(path());
    const std::string found = repository.ok()
                                  ? Everything(**repository)
                                  : absl::StatusCodeToString(repository.status().code());
    if (found == "DATA_LOSS") {
      ++refused;
    } else {
      EXPECT_EQ(found, expected) << "bit " << bit << ": " << repository.status();
    }
  }
  EXPECT_GT(refused, 100);
}

TEST_F(SqliteRepositoryTest, RefusesATruncatedFile) {
  {
    const auto repository = Open();
    ASSERT_TRUE(repository->Write(BaselineWith(v1::Evaluation())).ok());
    Change change;
    for (int64_t number = 1; number < 2000; ++number) {
      change.releases[number].record = testing::SmallRelease(number, v1::Release::PREPARING);
    }
    ASSERT_TRUE(repository->Write(change).ok());
  }
  std::filesystem::resize_file(path(), std::filesystem::file_size(path()) / 2);
  const auto repository = SqliteRepository::Open(path());
  EXPECT_EQ(repository.status().code(), absl::StatusCode::kDataLoss) << repository.status();
}

TEST_F(SqliteRepositoryTest, RefusesAFolderThatIsNotThere) {
  EXPECT_FALSE(SqliteRepository::Open(directory_ / "none/orchestrator.sqlite").ok());
}

}  // namespace
}  // namespace backfire::store
