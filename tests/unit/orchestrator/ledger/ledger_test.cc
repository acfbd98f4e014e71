#include "orchestrator/ledger/ledger.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <thread>

#include "orchestrator/store/memory_repository.h"
#include "orchestrator/store/sqlite_repository.h"
#include "tests/support/forwarding_repository.h"
#include "tests/support/record_kit.h"
#include "tests/support/temporary_directory.h"

namespace backfire::ledger {
namespace {

using records::Change;
using records::State;

// A repository whose writes wait until they are let go, as on a slow disk.
class SlowRepository final : public testing::ForwardingRepository {
 public:
  using ForwardingRepository::ForwardingRepository;
  absl::Status Write(const Change& change) override {
    MutexLock lock(mutex_);
    is_writing_ = true;
    changed_.NotifyAll();
    while (is_held_) changed_.Wait(mutex_);
    return ForwardingRepository::Write(change);
  }
  void Hold(bool held) {
    MutexLock lock(mutex_);
    is_held_ = held;
    changed_.NotifyAll();
  }
  void AwaitWrite() {
    MutexLock lock(mutex_);
    while (!is_writing_) changed_.Wait(mutex_);
  }

 private:
  Mutex mutex_;
  CondVar changed_;
  bool is_held_ ABSL_GUARDED_BY(mutex_) = false;
  bool is_writing_ ABSL_GUARDED_BY(mutex_) = false;
};

Change Baseline() {
  Change change;
  change.system = testing::SmallRevision();
  change.added.push_back(testing::Open(testing::SmallUpdate(1, "")));
  return change;
}

Ledger::Decide Always(Change change) {
  return [change = std::move(change)](const State&) { return change; };
}

TEST(LedgerTest, ReadersWaitNeitherForTheDiskNorForWhoeverDecides) {
  store::MemoryRepository memory;
  SlowRepository repository(memory);
  const auto ledger = *Ledger::Open(repository);
  repository.Hold(true);
  std::thread writer([&] { EXPECT_TRUE(ledger->Commit(Always(Baseline())).ok()); });
  repository.AwaitWrite();
  // This returns although the write goes on; what is not on disk is not seen.
  EXPECT_EQ(ledger->state()->last_update, 0);
  EXPECT_EQ(ledger->changes().count(), 1);
  repository.Hold(false);
  writer.join();
  EXPECT_EQ(ledger->state()->last_update, 1);
  EXPECT_EQ(ledger->changes().count(), 2);
}

TEST(LedgerTest, WhatIsWrittenIsToldBeforeItIsSeen) {
  store::MemoryRepository repository;
  const auto ledger = *Ledger::Open(repository);
  int64_t told = 0;
  const auto written = [&] {
    ++told;
    EXPECT_TRUE(repository.ReadUpdate(1).ok());
    EXPECT_EQ(ledger->state()->last_update, 0);
  };
  ASSERT_TRUE(ledger->Commit(Always(Baseline()), written).ok());
  ASSERT_TRUE(ledger->Commit(Always(Change()), written).ok());
  EXPECT_EQ(told, 1) << "nothing was written";
}

TEST(LedgerTest, WhatIsRefusedChangesNothing) {
  store::MemoryRepository repository;
  const auto ledger = *Ledger::Open(repository);
  ASSERT_TRUE(ledger->Commit(Always(Baseline())).ok());
  const auto before = ledger->state();
  int64_t told = 0;
  ledger->Observe([&](const Ledger::Committed&) { ++told; });
  Change illegal;
  records::ChangeUpdate(1, before->FindUpdate(1)->update(), illegal)
      .update.set_state(v1::Update::DECIDED);
  EXPECT_TRUE(absl::IsInternal(ledger->Commit(Always(illegal)).status()));
  repository.FailWrites(absl::ResourceExhaustedError("no room"));
  Change legal;
  records::ChangeUpdate(1, before->FindUpdate(1)->update(), legal)
      .update.set_state(v1::Update::CANCELLED);
  EXPECT_TRUE(absl::IsResourceExhausted(ledger->Commit(Always(legal)).status()));
  EXPECT_TRUE(absl::IsNotFound(
      ledger->Commit([](const State&) -> absl::StatusOr<Change> { return absl::NotFoundError(""); })
          .status()));
  EXPECT_TRUE(ledger->Commit(Always(Change())).ok()) << "nothing to write";
  EXPECT_EQ(ledger->state(), before);
  EXPECT_EQ(told, 0);
  EXPECT_EQ(repository.writes(), 1);
  repository.FailWrites(absl::OkStatus());
  EXPECT_TRUE(ledger->Commit(Always(legal)).ok());
  EXPECT_EQ(told, 1);
  EXPECT_EQ(ledger->state()->FindUpdate(1), nullptr);
}

TEST(LedgerTest, OpensWithWhatCanStillChange) {
  store::MemoryRepository repository;
  Change change;
  change.system = testing::SmallRevision();
  change.added.push_back(testing::Open(testing::EndedUpdate(1, "", v1::Update::PROMOTED)));
  change.releases[1].record = testing::SmallRelease(1, v1::Release::LIVE, 5);
  ASSERT_TRUE(repository.Write(change).ok());
  const State state = testing::LiveState();
  for (const auto& [number, vertex] :
       std::map<int64_t, std::string>{{2, "a"}, {3, "b"}, {4, "c"}}) {
    records::UpdateRecord record = number == 4
                                       ? testing::EndedUpdate(4, vertex, v1::Update::DECIDED)
                                       : testing::SmallUpdate(number, vertex);
    Change added;
    added.added.push_back(testing::Open(std::move(record), state.live_standing));
    ASSERT_TRUE(repository.Write(added).ok());
  }
  const auto ledger = Ledger::Open(repository);
  ASSERT_TRUE(ledger.ok()) << ledger.status();
  const auto opened = (*ledger)->state();
  EXPECT_EQ(opened->updates.size(), 2u);
  EXPECT_EQ(opened->waits_for, (std::map<int64_t, int64_t>{{3, 2}}));
  EXPECT_EQ(opened->live, 1);
  EXPECT_EQ(opened->epoch, 5);
  EXPECT_EQ(opened->last_update, 4);
  EXPECT_EQ(opened->live_standing->number(), 1);
  EXPECT_EQ(opened->FindUpdate(2)->base(), opened->live_standing) << "read once, and shared";
}

TEST(LedgerTest, ReplicatesOfOtherVersionsAreNotReadFromAnyRepository) {
  const testing::TemporaryDirectory directory;
  store::MemoryRepository memory;
  const auto sqlite = *store::SqliteRepository::Open(directory / "store");
  for (store::Repository* repository :
       {static_cast<store::Repository*>(&memory), static_cast<store::Repository*>(sqlite.get())}) {
    Change change;
    change.system = testing::SmallRevision();
    change.added.push_back(testing::Open(testing::EndedUpdate(1, "", v1::Update::PROMOTED)));
    change.added.push_back(testing::Open(testing::EndedUpdate(2, "b", v1::Update::PROMOTED, 1),
                                         testing::LiveState().live_standing));
    ASSERT_TRUE(repository->Write(change).ok());
    const auto standing = repository->ReadStanding(2);
    ASSERT_TRUE(standing.ok()) << standing.status();
    EXPECT_EQ((*standing)->Find("evaluate/b/0")->ref.update, 2);
    EXPECT_FALSE((*standing)->Has("train/b/1"));
    EXPECT_FALSE((*standing)->Has("evaluate/b/1"));
    EXPECT_EQ((*standing)->Find("train/a/1")->ref.update, 1);
  }
}

TEST(SignalTest, WakesWhoWaitsAndEndsForGood) {
  Signal signal;
  const int64_t seen = signal.count();
  std::thread waiter([&] { EXPECT_TRUE(signal.Wait(seen, absl::Hours(1))); });
  signal.Notify();
  waiter.join();
  EXPECT_TRUE(signal.Wait(seen, absl::Hours(1))) << "the news was there before";
  EXPECT_TRUE(signal.Wait(signal.count(), absl::ZeroDuration())) << "no news is no end";
  std::thread last([&] { EXPECT_FALSE(signal.Wait(signal.count(), absl::Hours(1))); });
  signal.Stop();
  last.join();
}

}  // namespace
}  // namespace backfire::ledger
