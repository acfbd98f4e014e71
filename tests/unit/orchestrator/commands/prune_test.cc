#include "orchestrator/commands/prune.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "orchestrator/store/memory_repository.h"
#include "tests/support/record_kit.h"

namespace backfire::commands {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

// A live baseline, updates/1, and updates/2 of a, which was turned down.
class FindUnneededTest : public ::testing::Test {
 protected:
  void SetUp() override {
    records::Change change;
    change.system = testing::SmallRevision();
    change.added.push_back(testing::Open(testing::EndedUpdate(1, "", v1::Update::PROMOTED)));
    change.releases[1].record = testing::SmallRelease(1, v1::Release::LIVE, 1);
    Write(change);
    Add(testing::EndedUpdate(2, "a", v1::Update::REJECTED));
    for (const char* name : {"models/ma/versions/200", "models/ma/versions/201"}) Make(name, "");
    Make("models/mb/versions/200", "models/ma/versions/200");
    Make("models/mb/versions/201", "models/ma/versions/201");
    Make("models/ma/versions/100", "");
  }
  void Write(const records::Change& change) {
    const absl::Status status = repository_.Write(change);
    ASSERT_TRUE(status.ok()) << status;
  }
  void Add(records::UpdateRecord record) {
    records::Change change;
    change.added.push_back(testing::Open(std::move(record), state_.live_standing));
    Write(change);
  }
  v1::Version& Make(const std::string& name, const std::string& parent) {
    v1::Version& version = all_.emplace_back();
    version.set_name(name);
    if (!parent.empty()) version.add_lineage()->set_version(parent);
    return version;
  }
  std::vector<std::string> Unneeded(const std::set<std::string>& gone = {}) const {
    std::vector<std::string> names;
    const auto found = FindUnneeded(state_, repository_, {2}, all_, gone);
    EXPECT_TRUE(found.ok()) << found.status();
    for (const v1::Version& version : *found) names.push_back(version.name());
    return names;
  }

  store::MemoryRepository repository_;
  records::State state_ = testing::LiveState();
  std::vector<v1::Version> all_;
};

TEST_F(FindUnneededTest, ChildrenComeFirstAndOthersStay) {
  EXPECT_THAT(Unneeded(), ElementsAre("models/mb/versions/200", "models/mb/versions/201",
                                      "models/ma/versions/200", "models/ma/versions/201"));
}

TEST_F(FindUnneededTest, WhatFeedsAVersionThatStaysStaysToo) {
  Make("models/mb/versions/7", "models/ma/versions/201");  // Imported, or another's.
  EXPECT_THAT(Unneeded(), ElementsAre("models/mb/versions/200", "models/mb/versions/201",
                                      "models/ma/versions/200"));
}

TEST_F(FindUnneededTest, WhatAKeptUpdateMadeAsWellStays) {
  records::UpdateRecord other = testing::EndedUpdate(3, "a", v1::Update::DECIDED);
  other.steps[0].step.mutable_version()->set_name("models/ma/versions/200");
  Add(other);
  EXPECT_THAT(Unneeded(), ElementsAre("models/mb/versions/200", "models/mb/versions/201",
                                      "models/ma/versions/201"));
}

TEST_F(FindUnneededTest, WhatAReleaseServesOrMayServeAgainStays) {
  const auto put = [&](v1::Release::State from, v1::Release::State to, int64_t epoch) {
    records::Change change;
    change.releases[2].from = from;
    change.releases[2].record = testing::SmallRelease(2, to, epoch);
    Write(change);
  };
  put(v1::Release::STATE_UNSPECIFIED, v1::Release::STAGED, 0);
  EXPECT_THAT(Unneeded(), ElementsAre("models/mb/versions/201", "models/ma/versions/201"));
  EXPECT_EQ(Unneeded({"releases/2"}).size(), 4u) << "as if it were gone";
  put(v1::Release::STAGED, v1::Release::RETIRED, 3);
  EXPECT_EQ(Unneeded({"releases/2"}).size(), 2u) << "it was live: it can be rolled back to";
}

TEST_F(FindUnneededTest, WhatARecipeNamesOrSomebodyBroughtStays) {
  records::UpdateRecord other = testing::EndedUpdate(3, "c", v1::Update::DECIDED);
  (*other.update.mutable_recipe()->mutable_parameters()->mutable_fields())["initialize_from"]
      .set_string_value("models/mb/versions/200");
  Add(other);
  all_[3].set_imported_digest("abc");  // models/mb/versions/201.
  EXPECT_THAT(Unneeded(), IsEmpty()) << "each a feeds one of them";
}

TEST_F(FindUnneededTest, AModelInTrainingKeepsWhatAnOpenUpdateMightFind) {
  state_ = testing::WithUpdate(state_, testing::SmallUpdate(3, "b"));
  state_.last_update = 3;
  EXPECT_THAT(Unneeded(), IsEmpty());
}

}  // namespace
}  // namespace backfire::commands
