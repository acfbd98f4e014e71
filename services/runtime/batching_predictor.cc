#include "services/runtime/batching_predictor.h"

#include <exception>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"

namespace backfire::runtime {
namespace {

std::string ShapesOf(const TensorMap& inputs) {
  std::string shapes;
  for (const auto& [name, tensor] : inputs) {
    absl::StrAppend(&shapes, name, " ", absl::StrJoin(tensor.shape, "x"), "\n");
  }
  return shapes;
}

}  // namespace

BatchingPredictor::BatchingPredictor(std::shared_ptr<const Predictor> predictor,
                                     BatchOptions options)
    : predictor_(std::move(predictor)), options_(options) {}

absl::StatusOr<TensorMap> BatchingPredictor::Predict(const TensorMap& inputs,
                                                     const std::function<bool()>& cancelled) const {
  const std::string key = ShapesOf(inputs);
  const auto size = static_cast<size_t>(options_.size);
  MutexLock lock(mutex_);
  if (const auto found = open_.find(key); found != open_.end()) {
    const std::shared_ptr<Batch> batch = found->second;
    const size_t place = batch->inputs.size();
    batch->inputs.push_back(&inputs);
    if (batch->inputs.size() == size) {
      open_.erase(found);
      changed_.NotifyAll();
    }
    // Whoever came first reads these inputs: no leaving before it is done.
    while (!batch->done) changed_.Wait(mutex_);
    return std::move(batch->outputs[place]);
  }
  const auto batch = std::make_shared<Batch>();
  batch->inputs.push_back(&inputs);
  if (size > 1) open_[key] = batch;
  const auto deadline = std::chrono::steady_clock::now() + options_.wait;
  while (batch->inputs.size() < size) {
    if (!changed_.WaitUntil(mutex_, deadline)) break;
  }
  if (const auto found = open_.find(key); found != open_.end() && found->second == batch) {
    open_.erase(found);
  }
  mutex_.Unlock();
  std::vector<absl::StatusOr<TensorMap>> outputs = Run(batch->inputs, cancelled);
  mutex_.Lock();
  batch->outputs = std::move(outputs);
  batch->done = true;
  changed_.NotifyAll();
  return std::move(batch->outputs[0]);
}

std::vector<absl::StatusOr<TensorMap>> BatchingPredictor::Run(
    const std::vector<const TensorMap*>& inputs, const std::function<bool()>& cancelled) const {
  std::vector<absl::StatusOr<TensorMap>> outputs;
  if (inputs.size() > 1) {
    try {
      // One that is cancelled must not take the others with it.
      auto together = predictor_->PredictBatch(inputs, [] { return false; });
      if (together.ok()) {
        for (TensorMap& output : *together) outputs.emplace_back(std::move(output));
        return outputs;
      }
    } catch (const std::exception&) {
      // Found again below, in the example that is at fault.
    }
  }
  for (const TensorMap* input : inputs) {
    try {
      outputs.push_back(predictor_->Predict(
          *input, inputs.size() == 1 ? cancelled : [] { return false; }));
    } catch (const std::exception& error) {
      outputs.emplace_back(absl::InternalError(absl::StrCat("the model threw: ", error.what())));
    }
  }
  return outputs;
}

}  // namespace backfire::runtime
