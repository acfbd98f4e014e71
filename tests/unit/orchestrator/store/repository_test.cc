// What every repository must do, on each of them.
#include "orchestrator/store/repository.h"

#include <gmock/gmock.h>
#include <google/protobuf/util/message_differencer.h>
#include <gtest/gtest.h>

#include "orchestrator/store/memory_repository.h"
#include "orchestrator/store/sqlite_repository.h"
#include "tests/support/record_kit.h"
#include "tests/support/temporary_directory.h"

namespace backfire::store {
namespace {

using google::protobuf::util::MessageDifferencer;
using records::Change;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

using Make = std::function<std::unique_ptr<Repository>(const std::string& path)>;

class RepositoryTest : public ::testing::TestWithParam<Make> {
 protected:
  void Write(const Change& change) {
    const absl::Status status = repository_->Write(change);
    ASSERT_TRUE(status.ok()) << status;
  }
  // A system, its baseline with everything done, and the live release of that.
  void WriteBaseline() {
    Change change;
    change.system = testing::SmallRevision();
    const records::UpdateRecord baseline = testing::EndedUpdate(1, "", v1::Update::PROMOTED);
    change.added.push_back(testing::Open(baseline));
    change.releases[1].record = testing::SmallRelease(1, v1::Release::LIVE, 1);
    Write(change);
  }
  void AddUpdate(records::UpdateRecord record) {
    const auto base = repository_->ReadStanding(record.base);
    ASSERT_TRUE(base.ok()) << base.status();
    Change change;
    change.added.push_back(testing::Open(std::move(record), *base));
    Write(change);
  }
  // Gives an update another state, and whatever else `edit` does to it.
  void SetState(int64_t number, v1::Update::State state,
                const std::function<void(records::UpdateChange&)>& edit = nullptr) {
    const auto record = repository_->ReadUpdate(number);
    ASSERT_TRUE(record.ok()) << record.status();
    Change change;
    records::UpdateChange& changed = records::ChangeUpdate(number, record->update, change);
    changed.update.set_state(state);
    if (edit) edit(changed);
    Write(change);
  }
  std::vector<std::string> Listed(const UpdateFilter& filter, const Page& page = {0, 100}) {
    std::vector<std::string> names;
    const auto updates = repository_->ListUpdates(filter, page);
    EXPECT_TRUE(updates.ok()) << updates.status();
    for (const v1::Update& update : *updates) names.push_back(update.name());
    return names;
  }

  const testing::TemporaryDirectory directory_;
  const std::unique_ptr<Repository> repository_ = GetParam()(directory_ / "store.sqlite");
};

TEST_P(RepositoryTest, BeginsEmpty) {
  const auto beginning = repository_->ReadBeginning();
  ASSERT_TRUE(beginning.ok()) << beginning.status();
  EXPECT_EQ(beginning->identity.size(), 8u);
  EXPECT_TRUE(beginning->systems.empty() && beginning->updates.empty());
  EXPECT_EQ(beginning->last_update, 0);
  EXPECT_TRUE(absl::IsNotFound(repository_->ReadUpdate(1).status()));
  EXPECT_TRUE(absl::IsNotFound(repository_->ReadStanding(1).status()));
  EXPECT_TRUE(absl::IsNotFound(repository_->ReadRelease(1).status()));
  EXPECT_TRUE(absl::IsNotFound(repository_->ReadEvaluation({1, 0}).status()));
  EXPECT_FALSE(repository_->FindRequest("id")->has_value());
  EXPECT_FALSE(repository_->FindProposal("id")->has_value());
  EXPECT_FALSE(repository_->ReadLatestVerdict()->has_value());
}

TEST_P(RepositoryTest, WhatHasWorkLeftIsTheBeginningAndTheRestIsHistory) {
  WriteBaseline();
  AddUpdate(testing::SmallUpdate(2, "a"));
  records::UpdateRecord failed = testing::SmallUpdate(3, "c");
  failed.steps[0].step.set_state(v1::Step::RUNNING);
  AddUpdate(failed);
  SetState(3, v1::Update::FAILED);
  AddUpdate(testing::SmallUpdate(4, "c"));
  SetState(4, v1::Update::CANCELLED);
  Change retired;
  retired.releases[2].record = testing::SmallRelease(2, v1::Release::RETIRED);
  Write(retired);

  const auto beginning = repository_->ReadBeginning();
  ASSERT_TRUE(beginning.ok()) << beginning.status();
  ASSERT_EQ(beginning->systems.size(), 1u);
  EXPECT_EQ(beginning->systems[0].models.size(), 3u);
  EXPECT_EQ(beginning->systems[0].baseline_update, 1);
  EXPECT_EQ(beginning->systems[0].seed_rule, records::SeedRule::kHashed);
  ASSERT_EQ(beginning->updates.size(), 2u) << "one is open, of one a job may run";
  EXPECT_EQ(beginning->updates[0].number, 2);
  EXPECT_EQ(beginning->updates[0].base, 1);
  EXPECT_EQ(beginning->updates[0].request_id, "request-2");
  EXPECT_EQ(beginning->updates[1].number, 3);
  EXPECT_EQ(beginning->releases.size(), 1u);
  EXPECT_EQ(beginning->releases.at(1).revision, 1);
  EXPECT_EQ(beginning->last_update, 4);
  EXPECT_EQ(beginning->last_release, 2);

  const auto read = repository_->ReadUpdate(1);
  ASSERT_TRUE(read.ok()) << read.status();
  const records::UpdateRecord written = testing::EndedUpdate(1, "", v1::Update::PROMOTED);
  EXPECT_TRUE(MessageDifferencer::Equals(read->update, written.update));
  ASSERT_EQ(read->steps.size(), written.steps.size());
  for (size_t i = 0; i < read->steps.size(); ++i) {
    EXPECT_TRUE(MessageDifferencer::Equals(read->steps[i].step, written.steps[i].step)) << i;
  }
  EXPECT_EQ(repository_->ReadRelease(2)->release.state(), v1::Release::RETIRED);
  EXPECT_EQ(repository_->CountUpdates()->at(v1::Update::PROMOTED), 1);
  EXPECT_EQ(repository_->CountReleases()->at(v1::Release::RETIRED), 1);
}

TEST_P(RepositoryTest, AStepIsWrittenByItselfWithItsEvaluation) {
  WriteBaseline();
  AddUpdate(testing::SmallUpdate(2, "a"));
  Change change;
  records::StepChange& changed = change.steps[{2, 1}];
  changed.from = v1::Step::WAITING;
  changed.record = repository_->ReadUpdate(2)->steps[1];
  changed.record.step.set_state(v1::Step::RUNNING);
  changed.record.attempt = 4;
  changed.evaluation.emplace();
  changed.evaluation->add_losses()->add_resampled(0.25);
  Write(change);
  const auto read = repository_->ReadUpdate(2);
  EXPECT_EQ(read->steps[0].step.state(), v1::Step::WAITING);
  EXPECT_EQ(read->steps[1].step.state(), v1::Step::RUNNING);
  EXPECT_EQ(read->steps[1].attempt, 4);
  EXPECT_EQ(repository_->ReadEvaluation({2, 1})->losses(0).resampled(0), 0.25);
  EXPECT_TRUE(absl::IsNotFound(repository_->ReadEvaluation({2, 0}).status()));
}

TEST_P(RepositoryTest, EventsComeNewestFirstByTimeSubjectAndPage) {
  const auto happen = [&](int64_t seconds, const std::string& subject, const std::string& kind) {
    Change change;
    v1::Event& event = change.events.emplace_back();
    event.mutable_time()->set_seconds(seconds);
    event.set_subject(subject);
    event.set_kind(kind);
    Write(change);
  };
  happen(10, "updates/1", "PROPOSED");
  happen(20, "", "SYSTEM_APPLIED");
  happen(20, "updates/1", "STARTED");
  happen(30, "updates/11", "PROPOSED");
  const auto kinds = [&](const EventFilter& filter, const Page& page) {
    std::vector<std::string> found;
    const auto events = repository_->ListEvents(filter, page);
    EXPECT_TRUE(events.ok()) << events.status();
    for (const v1::Event& event : *events) found.push_back(event.kind());
    return found;
  };
  EXPECT_THAT(kinds({}, {0, 100}),
              ElementsAre("PROPOSED", "STARTED", "SYSTEM_APPLIED", "PROPOSED"));
  EXPECT_THAT(kinds({0, "updates/1"}, {0, 100}), ElementsAre("STARTED", "PROPOSED"));
  EXPECT_THAT(kinds({20'000'000'000, ""}, {0, 100}),
              ElementsAre("PROPOSED", "STARTED", "SYSTEM_APPLIED"));
  EXPECT_THAT(kinds({20'000'000'001, "updates/1"}, {0, 100}), IsEmpty());
  EXPECT_THAT(kinds({}, {1, 2}), ElementsAre("STARTED", "SYSTEM_APPLIED"));
}

TEST_P(RepositoryTest, ListsWhatWasJudgedOnTheSameTestSplit) {
  WriteBaseline();
  for (const int64_t number : {2, 3, 4, 5}) {
    AddUpdate(testing::EndedUpdate(number, "c", v1::Update::EVALUATING));
  }
  const auto judge = [](const std::string& split) {
    return [split](records::UpdateChange& changed) {
      changed.update.mutable_verdict()->set_outcome(v1::Verdict::SAFE);
      changed.test_split = split;
    };
  };
  SetState(2, v1::Update::DECIDED, judge("one"));
  SetState(3, v1::Update::DECIDED, judge("other"));
  SetState(4, v1::Update::DECIDED, judge("one"));
  UpdateFilter filter;
  filter.judged_with = 2;
  EXPECT_THAT(Listed(filter), ElementsAre("updates/4", "updates/2"));
  EXPECT_THAT(Listed(filter, {1, 10}), ElementsAre("updates/2"));
  filter.judged_with = 5;
  EXPECT_THAT(Listed(filter), IsEmpty()) << "it has no verdict";
}

TEST_P(RepositoryTest, WritesAllOrNothing) {
  WriteBaseline();
  AddUpdate(testing::SmallUpdate(2, "a"));
  const auto record = repository_->ReadUpdate(2);
  const auto write = [&](v1::Update::State from, const std::string& request) {
    Change change;
    change.requests.push_back({"first", "digest", "updates/2"});
    change.releases[7].record = testing::SmallRelease(7, v1::Release::PREPARING);
    records::ChangeUpdate(2, record->update, change).update.set_state(v1::Update::CANCELLED);
    change.updates.at(2).from = from;
    change.requests.push_back({request, "digest", "updates/2"});
    return repository_->Write(change);
  };
  // It starts from a state that is not the present one; a request_id names one call.
  EXPECT_TRUE(absl::IsAborted(write(v1::Update::EVALUATING, "second")));
  EXPECT_FALSE(write(v1::Update::PROPOSED, "first").ok());
  EXPECT_EQ(repository_->ReadUpdate(2)->update.state(), v1::Update::PROPOSED);
  EXPECT_FALSE(repository_->FindRequest("first")->has_value());
  EXPECT_TRUE(absl::IsNotFound(repository_->ReadRelease(7).status()));
  // And goes on working.
  EXPECT_TRUE(write(v1::Update::PROPOSED, "second").ok());
  EXPECT_EQ(repository_->FindRequest("first")->value().resource, "updates/2");
}

TEST_P(RepositoryTest, ListsPagesOfWhatPasses) {
  WriteBaseline();
  for (const char* vertex : {"a", "c", "c"}) {
    const int64_t number = repository_->ReadBeginning()->last_update + 1;
    AddUpdate(testing::SmallUpdate(number, vertex));
    SetState(number, number == 4 ? v1::Update::FAILED : v1::Update::DECIDED);
  }
  EXPECT_THAT(Listed({}), ElementsAre("updates/4", "updates/3", "updates/2", "updates/1"));
  EXPECT_THAT(Listed({}, {1, 2}), ElementsAre("updates/3", "updates/2"));
  EXPECT_THAT(Listed({{v1::Update::DECIDED}, "", 0}), ElementsAre("updates/3", "updates/2"));
  EXPECT_THAT(Listed({{v1::Update::DECIDED, v1::Update::FAILED}, "c", 1}),
              ElementsAre("updates/4", "updates/3"));
  EXPECT_THAT(Listed({{}, "", 2}), IsEmpty());
  EXPECT_THAT(Listed({{static_cast<v1::Update::State>(99)}, "", 0}), IsEmpty());
  EXPECT_EQ(repository_->FindProposal("request-3")->value(), 3);
  EXPECT_FALSE(repository_->FindProposal("")->has_value()) << "a baseline has none";
  EXPECT_THAT(*repository_->FindUpdatesWithVersion("models/ma/versions/100"), ElementsAre(1));
  EXPECT_THAT(*repository_->FindUpdatesWithVersion(""), IsEmpty());
}

TEST_P(RepositoryTest, CountsWhatATestSplitHasJudged) {
  WriteBaseline();
  for (int64_t number = 2; number <= 4; ++number) {
    AddUpdate(testing::SmallUpdate(number, "a"));
    SetState(number, v1::Update::DECIDED, [&](records::UpdateChange& changed) {
      changed.update.mutable_verdict()->set_replicates(static_cast<int32_t>(number));
      changed.update.mutable_end_time()->set_seconds(number == 3 ? 900 : 100 * number);
      changed.test_split = number == 4 ? "other" : "data";
    });
  }
  EXPECT_EQ(*repository_->CountJudged("data", 100), 2);
  EXPECT_EQ(*repository_->CountJudged("data", 3), 1);
  EXPECT_EQ(*repository_->CountJudged("other", 4), 0);
  EXPECT_EQ(repository_->ReadLatestVerdict()->value().name(), "updates/3");
  // What is written later without a verdict keeps where that was made.
  SetState(2, v1::Update::REJECTED);
  EXPECT_EQ(*repository_->CountJudged("data", 100), 2);
}

TEST_P(RepositoryTest, WhatAnUpdateStandsOnIsTheNewestOfEachStep) {
  WriteBaseline();
  AddUpdate(testing::EndedUpdate(2, "b", v1::Update::PROMOTED));
  records::UpdateRecord third = testing::EndedUpdate(3, "c", v1::Update::PROMOTED);
  third.base = 2;
  AddUpdate(third);
  const auto standing = repository_->ReadStanding(3);
  ASSERT_TRUE(standing.ok()) << standing.status();
  EXPECT_EQ((*standing)->number(), 3);
  EXPECT_EQ((*standing)->update().name(), "updates/3");
  const auto update_of = [&](const std::string& id) { return (*standing)->Find(id)->ref.update; };
  EXPECT_EQ(update_of("train/a/0"), 1);
  EXPECT_EQ(update_of("train/b/1"), 2);
  EXPECT_EQ(update_of("evaluate/c/0"), 3);
  EXPECT_FALSE((*standing)->Has("load/c/0"));
  const auto kept = (*standing)->Find("train/b/1");
  EXPECT_EQ(kept->step->version().name(), "models/mb/versions/201");
  EXPECT_EQ(repository_->ReadUpdate(2)->steps[kept->ref.position].step.id(), "train/b/1");
}

TEST_P(RepositoryTest, ReleasesAreListedNewestFirst) {
  Change change;
  for (int64_t number = 1; number <= 3; ++number) {
    change.releases[number].record = testing::SmallRelease(number, v1::Release::PREPARING);
  }
  Write(change);
  // A page ends with its bytes; the row after says that there are more.
  EXPECT_EQ(repository_->ListReleases({0, 10, 1})->size(), 2u);
  EXPECT_EQ(repository_->ListReleases({2, 10, 1})->size(), 1u);
  const auto page = repository_->ListReleases({1, 2});
  ASSERT_EQ(page->size(), 2u);
  EXPECT_EQ((*page)[0].name(), "releases/2");
  Change wrong;
  wrong.releases[2].from = v1::Release::STAGED;
  wrong.releases[2].record = testing::SmallRelease(2, v1::Release::LIVE, 1);
  EXPECT_TRUE(absl::IsAborted(repository_->Write(wrong)));
}

INSTANTIATE_TEST_SUITE_P(Memory, RepositoryTest, ::testing::Values([](const std::string&) {
                           return std::make_unique<MemoryRepository>();
                         }));
INSTANTIATE_TEST_SUITE_P(Sqlite, RepositoryTest, ::testing::Values([](const std::string& path) {
                           return *SqliteRepository::Open(path);
                         }));

}  // namespace
}  // namespace backfire::store
