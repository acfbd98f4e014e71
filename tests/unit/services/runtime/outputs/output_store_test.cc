#include "services/runtime/outputs/output_store.h"

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <thread>
#include <vector>

#include "tests/support/temporary_directory.h"

namespace backfire::runtime {
namespace {

OutputKey Key(char version) {
  return {OutputKey::Keeper::kProducer, std::string(64, version), std::string(64, 'd')};
}

absl::Status AppendBytes(ExampleFileWriter& writer, int64_t bytes) {
  return writer.Append({{"y", MakeTensor(Datatype::kUint8, {bytes})}});
}

bool Never() { return false; }

class OutputStoreTest : public ::testing::Test {
 protected:
  std::unique_ptr<OutputStore> Open(int64_t max_bytes = 1 << 20) {
    auto store = OutputStore::Open(directory_.path(), max_bytes);
    EXPECT_TRUE(store.ok()) << store.status();
    return *std::move(store);
  }
  backfire::testing::TemporaryDirectory directory_;
};

TEST_F(OutputStoreTest, OfManyCallersOneProduces) {
  const auto store = Open();
  std::atomic<int> productions{0};
  std::vector<std::thread> callers;
  for (int i = 0; i < 8; ++i) {
    callers.emplace_back([&] {
      const auto outputs = store->Get(
          Key('a'),
          [&](ExampleFileWriter& writer) {
            ++productions;
            return AppendBytes(writer, 10);
          },
          Never);
      ASSERT_TRUE(outputs.ok()) << outputs.status();
      EXPECT_EQ((*outputs)->size(), 1);
    });
  }
  for (std::thread& caller : callers) caller.join();
  EXPECT_EQ(productions, 1);
}

TEST_F(OutputStoreTest, KeepsThemOverARestartAndMendsADamagedFile) {
  int productions = 0;
  const auto produce = [&](ExampleFileWriter& writer) {
    ++productions;
    return AppendBytes(writer, 10);
  };
  ASSERT_TRUE(Open()->Get(Key('a'), produce, Never).ok());
  ASSERT_TRUE(Open()->Get(Key('a'), produce, Never).ok());
  EXPECT_EQ(productions, 1);
  for (const auto& entry : std::filesystem::directory_iterator(directory_.path())) {
    std::filesystem::resize_file(entry.path(), 20);
  }
  ASSERT_TRUE(Open()->Get(Key('a'), produce, Never).ok());
  EXPECT_EQ(productions, 2);
}

TEST_F(OutputStoreTest, AFailedProductionLeavesNothingAndIsTriedAgain) {
  const auto store = Open();
  const auto failed = store->Get(
      Key('a'), [](ExampleFileWriter&) { return absl::DataLossError("gone"); }, Never);
  EXPECT_TRUE(absl::IsDataLoss(failed.status()));
  EXPECT_TRUE(std::filesystem::is_empty(directory_.path()));
  EXPECT_TRUE(store
                  ->Get(
                      Key('a'), [](ExampleFileWriter& w) { return AppendBytes(w, 1); }, Never)
                  .ok());
}

TEST_F(OutputStoreTest, StaysWithinItsBoundButForWhatIsInUse) {
  const auto store = Open(5000);
  for (char version = 'a'; version < 'a' + 10; ++version) {
    const auto outputs = store->Get(
        Key(version), [](ExampleFileWriter& w) { return AppendBytes(w, 1000); }, Never);
    ASSERT_TRUE(outputs.ok());
    EXPECT_TRUE((*outputs)->Get(0).ok());
  }
  uintmax_t total = 0;
  for (const auto& entry : std::filesystem::directory_iterator(directory_.path())) {
    total += entry.file_size();
  }
  EXPECT_LE(total, 5000u);
  EXPECT_GT(total, 2000u);
}

TEST_F(OutputStoreTest, CountsWhatWasThereAlreadyAlsoOverARestart) {
  OutputTally tally;
  const auto produce = [](ExampleFileWriter& writer) {
    const auto end = std::chrono::steady_clock::now() + std::chrono::milliseconds(20);
    while (std::chrono::steady_clock::now() < end) {
    }
    return AppendBytes(writer, 10);
  };
  {
    const auto store = Open();
    const auto outputs = store->Get(Key('a'), produce, Never, &tally);
    ASSERT_TRUE(outputs.ok());
    EXPECT_EQ(tally.produced, 1);
    EXPECT_EQ(tally.reused, 0);
    EXPECT_EQ(tally.saved_seconds, 0);
    ASSERT_TRUE(store->Get(Key('a'), produce, Never, &tally).ok());  // It is open.
    EXPECT_EQ(store->usage().produced, 1);
    EXPECT_EQ(store->usage().reused, 1);
    EXPECT_GT(store->usage().bytes, 0);
  }
  ASSERT_TRUE(Open()->Get(Key('a'), produce, Never, &tally).ok());
  EXPECT_EQ(tally.produced, 1);
  EXPECT_EQ(tally.reused, 2);
  EXPECT_GE(tally.saved_seconds, 2 * 0.02);
}

TEST_F(OutputStoreTest, ALowerBoundHoldsFromTheNextStart) {
  const auto write = [](ExampleFileWriter& writer) { return AppendBytes(writer, 1000); };
  for (char version = 'a'; version < 'e'; ++version) {
    ASSERT_TRUE(Open()->Get(Key(version), write, Never).ok());
  }
  Open(2500);
  OutputTally tally;
  const auto store = Open();
  for (char version = 'a'; version < 'e'; ++version) {
    ASSERT_TRUE(store->Get(Key(version), write, Never, &tally).ok());
  }
  EXPECT_EQ(tally.reused, 2);
}

// With no room at all each file is the only one, and whoever asked for it reads it all the same.
TEST_F(OutputStoreTest, ConcurrentProducersDoNotEvictOneAnother) {
  const auto store = Open(0);
  std::vector<std::thread> callers;
  for (int i = 0; i < 8; ++i) {
    callers.emplace_back([&, i] {
      for (int round = 0; round < 20; ++round) {
        const auto outputs = store->Get(
            Key(static_cast<char>('a' + (i + round) % 8)),
            [](ExampleFileWriter& writer) { return AppendBytes(writer, 100); }, Never);
        ASSERT_TRUE(outputs.ok()) << outputs.status();
        EXPECT_TRUE((*outputs)->Get(0).ok());
      }
    });
  }
  for (std::thread& caller : callers) caller.join();
}

}  // namespace
}  // namespace backfire::runtime
