#include "orchestrator/store/store.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sqlite3.h>

#include <fstream>

#include "tests/support/temporary_directory.h"

namespace backfire::store {
namespace {

using ::testing::HasSubstr;

class StoreTest : public ::testing::Test {
 protected:
  std::unique_ptr<Store> Open() {
    auto store = Store::Open(path_);
    EXPECT_TRUE(store.ok()) << store.status();
    return *std::move(store);
  }
  backfire::testing::TemporaryDirectory directory_;
  const std::string path_ = directory_ / "store.sqlite";
};

TEST_F(StoreTest, GivesBackWhatWasWritten) {
  SystemRecord system;
  system.revision = 3;
  system.system.set_name("s");
  system.models["a"].set_name("models/a");
  system.baseline_update = 4;
  UpdateRecord update;
  update.number = 4;
  update.request_id = "r";
  update.update.set_name("updates/4");
  for (int i = 0; i < 3; ++i) {
    StepRecord& step = update.steps.emplace_back();
    step.step.set_id("step " + std::to_string(i));
    step.evaluation.set_example_count(i);
    step.attempt = i + 1;
  }
  v1::Release release;
  release.set_name("releases/2");
  Changes changes;
  changes.systems = {&system};
  changes.updates = {&update};
  changes.steps = {{&update, 0}, {&update, 1}, {&update, 2}};
  changes.releases = {{2, &release}};
  std::string identity;
  {
    const auto store = Open();
    ASSERT_TRUE(store->Write(changes).ok());
    // Again, with changes, as every step of an update does.
    system.baseline_update = 5;
    update.update.set_state(v1::Update::DECIDED);
    ASSERT_TRUE(store->Write(changes).ok());
    identity = store->ReadAll()->identity;
  }
  const auto contents = Open()->ReadAll();
  ASSERT_TRUE(contents.ok()) << contents.status();
  EXPECT_EQ(contents->identity, identity);
  EXPECT_EQ(identity.size(), 8u);
  EXPECT_EQ(contents->systems.at(3).baseline_update, 5);
  EXPECT_EQ(contents->systems.at(3).models.at("a").name(), "models/a");
  const UpdateRecord& read = contents->updates.at(4);
  EXPECT_EQ(read.update.state(), v1::Update::DECIDED);
  EXPECT_EQ(read.request_id, "r");
  ASSERT_EQ(read.steps.size(), 3u);
  EXPECT_EQ(read.steps[2].step.id(), "step 2");
  EXPECT_EQ(read.steps[2].evaluation.example_count(), 2);
  EXPECT_EQ(read.steps[2].attempt, 3);
  EXPECT_EQ(contents->releases.at(2).name(), "releases/2");
}

TEST_F(StoreTest, AFailedWriteChangesNothing) {
  const auto store = Open();
  UpdateRecord first, second;
  first.number = 1;
  first.request_id = "same";
  second.number = 2;
  second.request_id = "same";  // Unique: the transaction fails at its second row.
  Changes changes;
  changes.updates = {&first, &second};
  EXPECT_FALSE(store->Write(changes).ok());
  EXPECT_TRUE(store->ReadAll()->updates.empty());
  changes.updates = {&first};
  EXPECT_TRUE(store->Write(changes).ok());
}

TEST_F(StoreTest, WhatIsNoDatabaseIsDataLoss) {
  std::ofstream(path_) << std::string(5000, 'x');
  const auto store = Store::Open(path_);
  EXPECT_TRUE(absl::IsDataLoss(store.status())) << store.status();
  EXPECT_THAT(std::string(store.status().message()), HasSubstr(path_));
}

TEST_F(StoreTest, ANewerSchemaIsRefused) {
  Open();
  sqlite3* database = nullptr;
  ASSERT_EQ(sqlite3_open(path_.c_str(), &database), SQLITE_OK);
  ASSERT_EQ(sqlite3_exec(database, "PRAGMA user_version = 99", nullptr, nullptr, nullptr),
            SQLITE_OK);
  sqlite3_close(database);
  const auto store = Store::Open(path_);
  EXPECT_TRUE(absl::IsFailedPrecondition(store.status())) << store.status();
  EXPECT_THAT(std::string(store.status().message()), HasSubstr("newer program"));
}

TEST_F(StoreTest, AFolderThatIsNotThereIsNamed) {
  const auto store = Store::Open(directory_ / "none/store.sqlite");
  EXPECT_FALSE(store.ok());
  EXPECT_THAT(std::string(store.status().message()), HasSubstr("none/store.sqlite"));
}

}  // namespace
}  // namespace backfire::store
