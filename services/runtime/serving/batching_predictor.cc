#include "services/runtime/serving/batching_predictor.h"

#include <algorithm>
#include <chrono>
#include <exception>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"

namespace backfire::runtime {
namespace {

// A batch that waits for others notices so late that nobody waits for it.
constexpr std::chrono::milliseconds kPoll(20);

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
    const size_t place = batch->members.size();
    batch->members.push_back({&inputs, &cancelled});
    if (batch->members.size() == size) {
      open_.erase(found);
      changed_.NotifyAll();
    }
    // Whoever came first reads these inputs: no leaving before it is done.
    while (!batch->done) changed_.Wait(mutex_);
    return std::move(batch->outputs[place]);
  }
  const auto batch = std::make_shared<Batch>();
  batch->members.push_back({&inputs, &cancelled});
  if (size > 1) open_[key] = batch;
  const auto deadline = std::chrono::steady_clock::now() + options_.wait;
  while (batch->members.size() < size && !Abandoned(batch->members)) {
    const auto now = std::chrono::steady_clock::now();
    if (now >= deadline) break;
    changed_.WaitUntil(mutex_, std::min(deadline, now + kPoll));
  }
  if (const auto found = open_.find(key); found != open_.end() && found->second == batch) {
    open_.erase(found);
  }
  mutex_.Unlock();
  sizes_.Observe(static_cast<double>(batch->members.size()));
  std::vector<absl::StatusOr<TensorMap>> outputs = Run(batch->members);
  mutex_.Lock();
  batch->outputs = std::move(outputs);
  batch->done = true;
  changed_.NotifyAll();
  return std::move(batch->outputs[0]);
}

bool BatchingPredictor::Abandoned(const std::vector<Member>& members) {
  return std::all_of(members.begin(), members.end(),
                     [](const Member& member) { return (*member.cancelled)(); });
}

std::vector<absl::StatusOr<TensorMap>> BatchingPredictor::Run(
    const std::vector<Member>& members) const {
  std::vector<absl::StatusOr<TensorMap>> outputs;
  if (members.size() > 1) {
    std::vector<const TensorMap*> inputs;
    for (const Member& member : members) inputs.push_back(member.inputs);
    try {
      // One that is cancelled must not take the others with it.
      auto together = predictor_->PredictBatch(inputs, [&] { return Abandoned(members); });
      if (together.ok()) {
        for (TensorMap& output : *together) outputs.emplace_back(std::move(output));
        return outputs;
      }
    } catch (const std::exception&) {
      // Found again below, in the example that is at fault.
    }
  }
  for (const Member& member : members) {
    try {
      outputs.push_back(predictor_->Predict(*member.inputs, *member.cancelled));
    } catch (const std::exception& error) {
      outputs.emplace_back(absl::InternalError(absl::StrCat("the model threw: ", error.what())));
    }
  }
  return outputs;
}

}  // namespace backfire::runtime
