#include "orchestrator/store/store.h"

#include <gmock/gmock.h>
#include <google/protobuf/util/message_differencer.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sqlite3.h>
#include <sys/resource.h>

#include <fstream>

#include "services/base/file.h"
#include "tests/support/temporary_directory.h"

namespace backfire::store {
namespace {

using google::protobuf::util::MessageDifferencer;
using ::testing::HasSubstr;

class StoreTest : public ::testing::Test {
 protected:
  std::string path() const { return directory_ / "orchestrator.sqlite"; }
  std::unique_ptr<Store> Open() {
    auto store = Store::Open(path());
    EXPECT_TRUE(store.ok()) << store.status();
    return store.ok() ? *std::move(store) : nullptr;
  }
  Contents Read() {
    auto contents = Open()->ReadAll();
    EXPECT_TRUE(contents.ok()) << contents.status();
    return *std::move(contents);
  }
  void Run(const char* sql) {
    sqlite3* database = nullptr;
    ASSERT_EQ(sqlite3_open(path().c_str(), &database), SQLITE_OK);
    EXPECT_EQ(sqlite3_exec(database, sql, nullptr, nullptr, nullptr), SQLITE_OK)
        << sqlite3_errmsg(database);
    sqlite3_close(database);
  }

  const testing::TemporaryDirectory directory_;
};

SystemRecord MakeSystem(int64_t revision) {
  SystemRecord record;
  record.revision = revision;
  record.system.set_name("pair");
  record.models["first"].set_name("models/first");
  record.models["second"].set_name("models/second");
  record.baseline_update = 1;
  return record;
}

UpdateRecord MakeUpdate(int64_t number, const std::string& request_id) {
  UpdateRecord record;
  record.number = number;
  record.request_id = request_id;
  record.update.set_name("updates/" + std::to_string(number));
  record.update.set_state(v1::Update::PROPOSED);
  for (const char* id : {"train/first/0", "evaluate/first/0"}) {
    StepRecord& step = record.steps.emplace_back();
    step.step.set_id(id);
    step.step.set_state(v1::Step::WAITING);
  }
  return record;
}

// All of it, with the steps at these positions.
Changes WriteOf(const UpdateRecord& update, const std::vector<size_t>& positions) {
  Changes changes;
  changes.updates.push_back({update.number, update.request_id, &update.update});
  for (const size_t position : positions) {
    changes.steps.push_back({update.number, position, &update.steps[position]});
  }
  return changes;
}

TEST_F(StoreTest, StartsEmptyWithAnIdentityOfItsOwn) {
  const Contents contents = Read();
  EXPECT_TRUE(contents.systems.empty());
  EXPECT_TRUE(contents.updates.empty());
  EXPECT_TRUE(contents.releases.empty());
  EXPECT_EQ(contents.identity.size(), 8u);
  EXPECT_EQ(Read().identity, contents.identity);
  const testing::TemporaryDirectory elsewhere;
  auto other = Store::Open(elsewhere / "orchestrator.sqlite");
  ASSERT_TRUE(other.ok());
  EXPECT_NE((*other)->ReadAll()->identity, contents.identity);
}

TEST_F(StoreTest, KeepsEverythingOverAReopening) {
  const SystemRecord system = MakeSystem(3);
  UpdateRecord update = MakeUpdate(7, "mine");
  update.steps[1].attempt = 4;
  update.steps[1].evaluation.add_losses()->add_resampled(0.1);
  v1::Release release;
  release.set_name("releases/2");
  release.set_epoch(9);
  {
    const RequestRecord request{"promote-1", "digest", "releases/2"};
    Changes changes = WriteOf(update, {0, 1});
    changes.systems.push_back(&system);
    changes.releases.emplace_back(2, &release);
    changes.requests.push_back(&request);
    ASSERT_TRUE(Open()->Write(changes).ok());
  }
  const Contents contents = Read();
  EXPECT_TRUE(MessageDifferencer::Equals(contents.systems.at(3).system, system.system));
  EXPECT_EQ(contents.systems.at(3).models.size(), 2u);
  EXPECT_EQ(contents.systems.at(3).models.at("second").name(), "models/second");
  EXPECT_EQ(contents.systems.at(3).baseline_update, 1);
  EXPECT_EQ(contents.systems.at(3).seed_rule, SeedRule::kHashed);
  const UpdateRecord& read = contents.updates.at(7);
  EXPECT_EQ(read.request_id, "mine");
  EXPECT_TRUE(MessageDifferencer::Equals(read.update, update.update));
  ASSERT_EQ(read.steps.size(), 2u);
  EXPECT_EQ(read.steps[0].step.id(), "train/first/0");
  EXPECT_EQ(read.steps[1].attempt, 4);
  EXPECT_TRUE(MessageDifferencer::Equals(read.steps[1].evaluation, update.steps[1].evaluation));
  EXPECT_TRUE(MessageDifferencer::Equals(contents.releases.at(2), release));
  EXPECT_EQ(contents.requests.at("promote-1").fingerprint, "digest");
  EXPECT_EQ(contents.requests.at("promote-1").resource, "releases/2");
}

TEST_F(StoreTest, WritesOnlyTheStepsAskedFor) {
  UpdateRecord update = MakeUpdate(1, "");
  const auto store = Open();
  ASSERT_TRUE(store->Write(WriteOf(update, {0, 1})).ok());
  update.steps[0].step.set_state(v1::Step::SUCCEEDED);
  update.steps[1].step.set_state(v1::Step::SUCCEEDED);
  ASSERT_TRUE(store->Write(WriteOf(update, {1})).ok());
  const auto contents = store->ReadAll();
  ASSERT_TRUE(contents.ok());
  EXPECT_EQ(contents->updates.at(1).steps[0].step.state(), v1::Step::WAITING);
  EXPECT_EQ(contents->updates.at(1).steps[1].step.state(), v1::Step::SUCCEEDED);
}

TEST_F(StoreTest, WritesAllOrNothing) {
  const auto store = Open();
  UpdateRecord first = MakeUpdate(1, "same"), second = MakeUpdate(2, "same");
  ASSERT_TRUE(store->Write(WriteOf(first, {})).ok());
  v1::Release release;
  release.set_name("releases/1");
  first.update.set_state(v1::Update::FAILED);
  // A request_id names one update.
  Changes changes = WriteOf(first, {});
  changes.updates.push_back({2, "same", &second.update});
  changes.releases.emplace_back(1, &release);
  EXPECT_FALSE(store->Write(changes).ok());
  const auto contents = store->ReadAll();
  ASSERT_TRUE(contents.ok());
  EXPECT_EQ(contents->updates.at(1).update.state(), v1::Update::PROPOSED);
  EXPECT_TRUE(contents->releases.empty());
  // And goes on working.
  EXPECT_TRUE(store->Write(WriteOf(first, {})).ok());
}

TEST_F(StoreTest, ARequestIsKeptOnce) {
  const auto store = Open();
  const RequestRecord request{"id", "digest", "updates/1"};
  Changes changes;
  changes.requests.push_back(&request);
  EXPECT_TRUE(store->Write(changes).ok());
  EXPECT_FALSE(store->Write(changes).ok());
}

TEST_F(StoreTest, AFullDiskIsSaidAndLosesNothing) {
  UpdateRecord first = MakeUpdate(1, "first");
  const auto store = Open();
  ASSERT_TRUE(store->Write(WriteOf(first, {0, 1})).ok());
  // A file may not grow beyond what it is; SQLite sees what a full disk looks like.
  const rlimit none{static_cast<rlim_t>(std::filesystem::file_size(path())), RLIM_INFINITY};
  rlimit before{};
  ASSERT_EQ(getrlimit(RLIMIT_FSIZE, &before), 0);
  const auto handler = signal(SIGXFSZ, SIG_IGN);
  ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &none), 0);
  UpdateRecord large = MakeUpdate(2, "second");
  large.steps[0].evaluation.mutable_losses()->Add()->mutable_resampled()->Resize(1 << 20, 0.5);
  const absl::Status status = store->Write(WriteOf(large, {0, 1}));
  ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &before), 0);
  signal(SIGXFSZ, handler);
  EXPECT_EQ(status.code(), absl::StatusCode::kResourceExhausted) << status;
  EXPECT_EQ(Read().updates.size(), 1u);
  EXPECT_TRUE(store->Write(WriteOf(large, {0, 1})).ok());
  EXPECT_EQ(Read().updates.size(), 2u);
}

// The store as the first release of the program made it, with rows in it.
TEST_F(StoreTest, BringsAnOlderStoreUpToDate) {
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
  const Contents contents = Read();
  EXPECT_EQ(contents.identity, "0123abcd");
  EXPECT_EQ(contents.updates.at(1).request_id, "mine");
  EXPECT_EQ(contents.updates.at(1).update.state(), v1::Update::DECIDED);
  EXPECT_EQ(contents.updates.at(1).steps.at(0).step.id(), "train/first/0");
  EXPECT_EQ(contents.updates.at(1).steps.at(0).attempt, 3);
  EXPECT_EQ(contents.releases.at(1).epoch(), 7);
  EXPECT_EQ(contents.systems.at(1).seed_rule, SeedRule::kConsecutive);
  const RequestRecord request{"id", "digest", "updates/1"};
  Changes changes;
  changes.requests.push_back(&request);
  EXPECT_TRUE(Open()->Write(changes).ok());
}

TEST_F(StoreTest, RefusesAStepWithoutItsUpdate) {
  const UpdateRecord update = MakeUpdate(1, "");
  Changes changes = WriteOf(update, {0});
  changes.updates.clear();
  EXPECT_FALSE(Open()->Write(changes).ok());
}

TEST_F(StoreTest, RefusesWhatIsNoDatabase) {
  ASSERT_TRUE(WriteFileAtomically(path(), std::string(4096, 'x')).ok());
  const auto store = Store::Open(path());
  EXPECT_EQ(store.status().code(), absl::StatusCode::kDataLoss) << store.status();
  EXPECT_THAT(std::string(store.status().message()), HasSubstr(path()));
}

TEST_F(StoreTest, RefusesWhatANewerProgramMade) {
  Open();
  Run("PRAGMA user_version = 99");
  const auto store = Store::Open(path());
  EXPECT_EQ(store.status().code(), absl::StatusCode::kFailedPrecondition) << store.status();
  EXPECT_THAT(std::string(store.status().message()), HasSubstr("schema 99"));
}

TEST_F(StoreTest, RefusesDamagedRows) {
  {
    const UpdateRecord update = MakeUpdate(1, "");
    ASSERT_TRUE(Open()->Write(WriteOf(update, {})).ok());
  }
  Run("UPDATE updates SET message = x'ff'");
  const auto contents = Open()->ReadAll();
  EXPECT_EQ(contents.status().code(), absl::StatusCode::kDataLoss) << contents.status();
  EXPECT_THAT(std::string(contents.status().message()), HasSubstr("updates"));
}

TEST_F(StoreTest, RefusesATruncatedFile) {
  {
    const auto store = Open();
    for (int64_t number = 1; number < 200; ++number) {
      const UpdateRecord update = MakeUpdate(number, "");
      ASSERT_TRUE(store->Write(WriteOf(update, {0})).ok());
    }
  }
  std::filesystem::resize_file(path(), std::filesystem::file_size(path()) / 2);
  auto store = Store::Open(path());
  const absl::Status status = store.ok() ? (*store)->ReadAll().status() : store.status();
  EXPECT_EQ(status.code(), absl::StatusCode::kDataLoss) << status;
}

TEST_F(StoreTest, RefusesAFolderThatIsNotThere) {
  EXPECT_FALSE(Store::Open(directory_ / "none/orchestrator.sqlite").ok());
}

}  // namespace
}  // namespace backfire::store
