#include "services/runtime/output_store.h"

#include <gtest/gtest.h>

#include <atomic>
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

}  // namespace
}  // namespace backfire::runtime
