#include "orchestrator/commands/version_use.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "orchestrator/store/memory_repository.h"
#include "tests/support/record_kit.h"

namespace backfire::commands {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

// Of updates/2's candidate.
constexpr char kVersion[] = "models/mb/versions/200";

class NeedsOfTest : public ::testing::Test {
 protected:
  void SetUp() override {
    records::Change change;
    change.system = testing::SmallRevision();
    change.added.push_back(testing::Open(testing::EndedUpdate(1, "", v1::Update::PROMOTED)));
    Write(change);
  }
  void Write(const records::Change& change) {
    const absl::Status status = history_.Write(change);
    ASSERT_TRUE(status.ok()) << status;
  }
  void Add(records::UpdateRecord record) {
    records::Change change;
    change.added.push_back(testing::Open(std::move(record), testing::LiveState().live_standing));
    Write(change);
  }
  void AddRelease(int64_t number, v1::Release::State state, int64_t epoch) {
    records::Change change;
    change.releases[number].record = testing::SmallRelease(number, state, epoch);
    (*change.releases[number].record.release.mutable_versions())["b"] = kVersion;
    Write(change);
  }
  std::vector<std::string> Needs(const std::string& version = kVersion) {
    const auto needs = NeedsOf(testing::LiveState(), history_, version);
    EXPECT_TRUE(needs.ok()) << needs.status();
    return needs.value_or(std::vector<std::string>());
  }
  store::MemoryRepository history_;
};

TEST_F(NeedsOfTest, ReleasesThatServeOrMayServeAgain) {
  EXPECT_THAT(Needs(), IsEmpty());
  AddRelease(1, v1::Release::RETIRED, 0);
  EXPECT_THAT(Needs(), IsEmpty()) << "never live, never to be";
  AddRelease(2, v1::Release::RETIRED, 1);
  AddRelease(3, v1::Release::STAGED, 0);
  AddRelease(4, v1::Release::LIVE, 2);
  EXPECT_THAT(Needs(),
              ElementsAre("releases/2 (RETIRED)", "releases/3 (STAGED)", "releases/4 (LIVE)"));
  EXPECT_THAT(Needs("models/mb/versions/20"), IsEmpty());
  const absl::Status status = CheckUnneeded(testing::LiveState(), history_, kVersion);
  EXPECT_TRUE(absl::IsFailedPrecondition(status)) << status;
  EXPECT_THAT(std::string(status.message()), HasSubstr("is needed by releases/2 (RETIRED), "));
}

TEST_F(NeedsOfTest, UpdatesThatMayAskForItAgain) {
  const v1::Update::State of_use[] = {v1::Update::RETRAINING, v1::Update::DECIDED,
                                      v1::Update::PROMOTED, v1::Update::FAILED};
  std::vector<std::string> expected;
  int64_t number = 2;
  for (const auto state : {v1::Update::CANCELLED, v1::Update::REJECTED}) {
    records::UpdateRecord record = testing::EndedUpdate(number++, "b", state);
    record.steps[0].step.mutable_version()->set_name(kVersion);
    Add(record);
  }
  for (const auto state : of_use) {
    records::UpdateRecord record = testing::EndedUpdate(number, "b", state);
    record.steps[0].step.mutable_version()->set_name(kVersion);
    Add(record);
    expected.push_back("updates/" + std::to_string(number++) + " (" +
                       v1::Update::State_Name(state) + ")");
  }
  records::UpdateRecord replaced = testing::EndedUpdate(number, "b", v1::Update::PROMOTED);
  replaced.steps[0].step.mutable_version()->set_name(kVersion);
  replaced.update.set_system_revision(7);
  Add(replaced);
  EXPECT_THAT(Needs(), ::testing::ElementsAreArray(expected));
  EXPECT_THAT(Needs("models/mb/versions/100"), ElementsAre("updates/1 (the baseline)"));
}

TEST_F(NeedsOfTest, RecipesThatStartFromIt) {
  records::UpdateRecord record = testing::EndedUpdate(2, "a", v1::Update::DECIDED);
  (*record.update.mutable_recipe()->mutable_parameters()->mutable_fields())["initialize_from"]
      .set_string_value("models/ma/versions/77");
  Add(record);
  EXPECT_THAT(Needs("models/ma/versions/77"), ElementsAre("the recipe of updates/2"));
  v1::System system = testing::SmallSystem();
  (*system.mutable_vertices(2)
        ->mutable_recipe()
        ->mutable_parameters()
        ->mutable_fields())["initialize_from"]
      .set_string_value("models/ma/versions/78");
  records::State state = testing::LiveState();
  records::Change change;
  change.system = *records::MakeSystemRevision({1, system, {}, 1});
  state = records::Apply(state, change);
  EXPECT_THAT(*NeedsOf(state, history_, "models/ma/versions/78"),
              ElementsAre("the recipe of vertex c"));
}

TEST(ModelsTest, AreThoseOfTheCurrentSystem) {
  const records::State state = testing::LiveState();
  EXPECT_TRUE(
      absl::IsNotFound(EndpointOf(records::State(), "models/ma", v1::LIST_VERSIONS).status()));
  EXPECT_TRUE(absl::IsNotFound(EndpointOf(state, "models/mz", v1::LIST_VERSIONS).status()));
  EXPECT_TRUE(
      absl::IsFailedPrecondition(EndpointOf(state, "models/ma", v1::LIST_VERSIONS).status()));
  const auto children = ChildrenOf(state, "models/ma");
  ASSERT_EQ(children.size(), 1u);
  EXPECT_EQ(children[0].model_name, "models/mb");
  EXPECT_FALSE(children[0].lists_versions);
  EXPECT_TRUE(LiveLineage(state, "models/ma")->empty());
  const auto lineage = LiveLineage(state, "models/mb");
  ASSERT_EQ(lineage->size(), 1u);
  EXPECT_EQ(lineage->at(0).version(), "models/ma/versions/100");
}

}  // namespace
}  // namespace backfire::commands
