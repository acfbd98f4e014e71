#include "services/runtime/serving/batching_predictor.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <stdexcept>
#include <thread>
#include <utility>

#include "services/base/status.h"

namespace backfire::runtime {
namespace {

using ::testing::ElementsAre;
using ::testing::UnorderedElementsAre;

bool NeverCancelled() { return false; }

TensorMap Input(double value, int64_t size = 1) {
  TensorMap inputs;
  inputs["x"] = MakeTensor(Datatype::kFp64, {size});
  inputs["x"].MutableAs<double>()[0] = value;
  return inputs;
}

double Value(const TensorMap& tensors) { return tensors.at("x").As<double>()[0]; }

// Doubles what it gets. Negative numbers are bad; above 1000 it throws.
class Doubler final : public Predictor {
 public:
  /// @param at_batch  Is called when a batch begins.
  explicit Doubler(std::function<void()> at_batch = [] {}) : at_batch_(std::move(at_batch)) {}
  absl::StatusOr<TensorMap> Predict(const TensorMap& inputs,
                                    const std::function<bool()>& cancelled) const override {
    if (cancelled()) return absl::CancelledError("cancelled");
    if (Value(inputs) < 0) return absl::InvalidArgumentError("x must be >= 0");
    if (Value(inputs) > 1000) throw std::runtime_error("too much");
    return Input(2 * Value(inputs));
  }
  bool HasBatches() const override { return true; }
  absl::StatusOr<std::vector<TensorMap>> PredictBatch(
      const std::vector<const TensorMap*>& inputs,
      const std::function<bool()>& cancelled) const override {
    {
      MutexLock lock(mutex_);
      sizes_.push_back(inputs.size());
    }
    at_batch_();
    return Predictor::PredictBatch(inputs, cancelled);
  }
  std::vector<size_t> sizes() const {
    MutexLock lock(mutex_);
    return sizes_;
  }

 private:
  const std::function<void()> at_batch_;
  mutable Mutex mutex_;
  mutable std::vector<size_t> sizes_ ABSL_GUARDED_BY(mutex_);
};

// What a predictor answers to inputs that come from a thread each.
std::vector<absl::StatusOr<TensorMap>> AskAtOnce(
    const Predictor& predictor, const std::vector<TensorMap>& inputs,
    const std::function<bool(size_t)>& cancelled = [](size_t) { return false; }) {
  std::vector<absl::StatusOr<TensorMap>> outputs(inputs.size(), absl::UnknownError("not asked"));
  std::vector<std::thread> threads;
  for (size_t i = 0; i < inputs.size(); ++i) {
    threads.emplace_back(
        [&, i] { outputs[i] = predictor.Predict(inputs[i], [&, i] { return cancelled(i); }); });
  }
  for (std::thread& thread : threads) thread.join();
  return outputs;
}

// Batches of so many, however long it takes.
BatchingPredictor Batches(const std::shared_ptr<const Doubler>& doubler, int size) {
  return BatchingPredictor(doubler, {size, std::chrono::hours(1)});
}

TEST(BatchingPredictorTest, ThreadsShareABatchAndGetTheirOwn) {
  const auto doubler = std::make_shared<const Doubler>();
  const BatchingPredictor predictor = Batches(doubler, 3);
  const auto outputs =
      AskAtOnce(predictor, {Input(1), Input(2), Input(3), Input(4), Input(5), Input(6)});
  for (size_t i = 0; i < outputs.size(); ++i) {
    ASSERT_TRUE(outputs[i].ok()) << outputs[i].status();
    EXPECT_EQ(Value(*outputs[i]), 2.0 * static_cast<double>(i + 1));
  }
  EXPECT_THAT(doubler->sizes(), ElementsAre(3u, 3u));
  const prometheus::ClientMetric sizes = predictor.BatchSizes();
  EXPECT_EQ(sizes.histogram.sample_count, 2u);
  EXPECT_EQ(sizes.histogram.sample_sum, 6);
}

TEST(BatchingPredictorTest, OneThatStaysAloneWaitsNoLongerThanItMust) {
  const auto doubler = std::make_shared<const Doubler>();
  const BatchingPredictor predictor(doubler, {3, std::chrono::milliseconds(1)});
  const auto output = predictor.Predict(Input(4), NeverCancelled);
  ASSERT_TRUE(output.ok()) << output.status();
  EXPECT_EQ(Value(*output), 8);
  EXPECT_THAT(doubler->sizes(), ElementsAre());
  EXPECT_EQ(predictor.BatchSizes().histogram.sample_sum, 1);
}

TEST(BatchingPredictorTest, OneThatLeavesWhileItWaitsIsGone) {
  const auto doubler = std::make_shared<const Doubler>();
  const BatchingPredictor predictor = Batches(doubler, 2);
  std::atomic<int> asked = 0;
  EXPECT_TRUE(absl::IsCancelled(predictor.Predict(Input(1), [&] { return ++asked > 1; }).status()));
  // And takes no part in what comes then.
  for (const auto& output : AskAtOnce(predictor, {Input(2), Input(3)})) {
    EXPECT_TRUE(output.ok()) << output.status();
  }
  EXPECT_THAT(doubler->sizes(), ElementsAre(2u));
}

TEST(BatchingPredictorTest, ABatchIsCancelledOnceAllHaveLeft) {
  std::atomic<bool> began = false;
  const auto doubler = std::make_shared<const Doubler>([&] { began = true; });
  for (const auto& output : AskAtOnce(Batches(doubler, 3), {Input(1), Input(2), Input(3)},
                                      [&](size_t) { return began.load(); })) {
    EXPECT_TRUE(absl::IsCancelled(output.status())) << output.status();
  }
  EXPECT_THAT(doubler->sizes(), ElementsAre(3u));
}

TEST(BatchingPredictorTest, WhoLeavesTakesNobodyAlong) {
  std::atomic<bool> began = false;
  const auto doubler = std::make_shared<const Doubler>([&] { began = true; });
  const auto outputs = AskAtOnce(Batches(doubler, 3), {Input(1), Input(2), Input(3)},
                                 [&](size_t i) { return began && i != 1; });
  ASSERT_TRUE(outputs[1].ok()) << outputs[1].status();
  EXPECT_EQ(Value(*outputs[1]), 4);
}

TEST(BatchingPredictorTest, OtherShapesAreOtherBatches) {
  const auto doubler = std::make_shared<const Doubler>();
  const BatchingPredictor predictor = Batches(doubler, 2);
  const auto outputs = AskAtOnce(predictor, {Input(1, 1), Input(2, 5), Input(3, 5), Input(4, 1)});
  for (const auto& output : outputs) EXPECT_TRUE(output.ok()) << output.status();
  EXPECT_THAT(doubler->sizes(), UnorderedElementsAre(2u, 2u));
}

TEST(BatchingPredictorTest, WhoIsAtFaultFailsAlone) {
  const auto doubler = std::make_shared<const Doubler>();
  const auto outputs = AskAtOnce(Batches(doubler, 3), {Input(1), Input(-1), Input(2000)});
  ASSERT_TRUE(outputs[0].ok()) << outputs[0].status();
  EXPECT_EQ(Value(*outputs[0]), 2);
  EXPECT_EQ(outputs[1].status(), absl::InvalidArgumentError("x must be >= 0"));
  EXPECT_EQ(outputs[2].status(), absl::InternalError("the model threw: too much"));
}

}  // namespace
}  // namespace backfire::runtime
