#include "services/runtime/serving/limited_predictor.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <stdexcept>
#include <thread>
#include <vector>

namespace backfire::runtime {
namespace {

// Counts the predictions that run at once, each of which lasts until `enough` have come at once.
class Crowd final : public Predictor {
 public:
  explicit Crowd(int enough) : enough_(enough) {}
  absl::StatusOr<TensorMap> Predict(const TensorMap& inputs,
                                    const std::function<bool()>&) const override {
    MutexLock lock(mutex_);
    most_ = std::max(most_, ++now_);
    changed_.NotifyAll();
    while (most_ < enough_) changed_.Wait(mutex_);
    --now_;
    if (inputs.empty()) throw std::runtime_error("nothing to predict from");
    return inputs;
  }
  int most() const {
    MutexLock lock(mutex_);
    return most_;
  }

 private:
  const int enough_;
  mutable Mutex mutex_;
  mutable CondVar changed_;
  mutable int now_ ABSL_GUARDED_BY(mutex_) = 0;
  mutable int most_ ABSL_GUARDED_BY(mutex_) = 0;
};

TensorMap Input() { return {{"x", MakeTensor(Datatype::kFp64, {1})}}; }

TEST(LimitedPredictorTest, RunsAsManyAsItMayAndNoMore) {
  const auto crowd = std::make_shared<const Crowd>(3);
  const LimitedPredictor predictor(crowd, 3);
  std::vector<std::thread> threads;
  for (int i = 0; i < 12; ++i) {
    threads.emplace_back(
        [&] { EXPECT_TRUE(predictor.Predict(Input(), [] { return false; }).ok()); });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(crowd->most(), 3);
}

TEST(LimitedPredictorTest, OneThatThrowsGivesItsPlaceBack) {
  const LimitedPredictor predictor(std::make_shared<const Crowd>(1), 1);
  EXPECT_THROW(predictor.Predict({}, [] { return false; }).IgnoreError(), std::runtime_error);
  EXPECT_TRUE(predictor.Predict(Input(), [] { return false; }).ok());
}

TEST(LimitedPredictorTest, WhoIsCancelledDoesNotWait) {
  const LimitedPredictor predictor(std::make_shared<const Crowd>(1), 0);
  EXPECT_TRUE(absl::IsCancelled(predictor.Predict(Input(), [] { return true; }).status()));
}

}  // namespace
}  // namespace backfire::runtime
