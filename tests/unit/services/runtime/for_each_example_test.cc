#include "services/runtime/for_each_example.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <vector>

namespace backfire::runtime {
namespace {

using ::testing::ElementsAre;

// Cancelled once so many examples were reported.
class CountingJob final : public JobContext {
 public:
  explicit CountingJob(size_t cancel_after = 1000) : cancel_after_(cancel_after) {}
  void Report(const v1::Progress& progress) override { reports_.push_back(progress); }
  bool cancelled() const override { return reports_.size() >= cancel_after_; }
  const std::vector<v1::Progress>& reports() const { return reports_; }

 private:
  const size_t cancel_after_;
  std::vector<v1::Progress> reports_;
};

TEST(ForEachExampleTest, VisitsInOrderAndShowsProgress) {
  CountingJob job;
  std::vector<int64_t> visited;
  const absl::Status status = ForEachExample(3, "reading", job, [&](int64_t i) {
    visited.push_back(i);
    return absl::OkStatus();
  });
  EXPECT_TRUE(status.ok()) << status;
  EXPECT_THAT(visited, ElementsAre(0, 1, 2));
  ASSERT_EQ(job.reports().size(), 3U);
  EXPECT_EQ(job.reports()[2].stage(), "reading");
  EXPECT_EQ(job.reports()[2].step(), 2);
  EXPECT_EQ(job.reports()[2].total_steps(), 3);
}

TEST(ForEachExampleTest, StopsAtTheFirstFailure) {
  CountingJob job;
  const absl::Status status = ForEachExample(3, "reading", job, [&](int64_t i) {
    return i == 1 ? absl::DataLossError("torn") : absl::OkStatus();
  });
  EXPECT_EQ(status, absl::DataLossError("torn"));
  EXPECT_EQ(job.reports().size(), 2U);
}

TEST(ForEachExampleTest, StopsOnceTheJobIsCancelled) {
  CountingJob job(2);
  int visited = 0;
  const absl::Status status = ForEachExample(9, "reading the dataset", job, [&](int64_t) {
    ++visited;
    return absl::OkStatus();
  });
  EXPECT_EQ(status, absl::CancelledError("cancelled while reading the dataset"));
  EXPECT_EQ(visited, 2);
}

}  // namespace
}  // namespace backfire::runtime
