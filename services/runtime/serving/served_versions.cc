#include "services/runtime/serving/served_versions.h"

#include <spdlog/spdlog.h>

#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "services/base/crash_point.h"
#include "services/base/exceptions.h"
#include "services/base/file.h"
#include "services/base/status.h"
#include "services/graph/system_graph.h"
#include "services/runtime/loaded_file.h"
#include "services/runtime/serving/limited_predictor.h"
#include "services/runtime/versions/load_predictor.h"

namespace backfire::runtime {
namespace {

// Runs a version once, on nothing in particular: the first run of a network is slow, as memory and
// kernels are chosen in it, and no request should wait for that. What it says does not matter.
void WarmUp(const Predictor& predictor, const v1::Model& description) {
  constexpr int64_t kAnySize = 64;
  TensorMap inputs;
  for (const v1::TensorSignature& input : description.inputs()) {
    const absl::StatusOr<Datatype> datatype = ParseDatatype(input.datatype());
    if (!datatype.ok()) return;
    std::vector<int64_t> shape(input.shape().begin(), input.shape().end());
    for (int64_t& size : shape) size = size < 0 ? kAnySize : size;
    inputs[input.name()] = MakeTensor(*datatype, shape);
  }
  CatchExceptions([&] { return predictor.Predict(inputs, [] { return false; }); })
      .status()
      .IgnoreError();
}

}  // namespace

absl::StatusOr<std::unique_ptr<ServedVersions>> ServedVersions::Open(const Options& options,
                                                                     const DescribedModel& model,
                                                                     VersionStore& versions) {
  std::unique_ptr<ServedVersions> served(new ServedVersions(options, model, versions));
  BACKFIRE_RETURN_IF_ERROR(served->LoadRemembered());
  return served;
}

absl::Status ServedVersions::LoadRemembered() {
  const auto numbers = ReadLoadedFile(options_.directory / kLoadedFile);
  if (absl::IsNotFound(numbers.status())) return absl::OkStatus();
  if (!numbers.ok()) {
    // Nothing is served that was not meant to be; the orchestrator loads what its release needs.
    spdlog::error("versions state=NOT_REMEMBERED error=\"{}\"",
                  std::string(numbers.status().message()));
    return absl::OkStatus();
  }
  MutexLock loading(loading_);
  for (const int64_t number : *numbers) {
    // A replica opens with what it has; the orchestrator has it look at its primary's.
    if (const absl::Status status = LoadKept(number, ""); !status.ok()) {
      spdlog::error("version state=NOT_LOADED version={} error=\"{}\"",
                    VersionName(model_.description.name(), number), std::string(status.message()));
    }
  }
  return absl::OkStatus();
}

absl::Status ServedVersions::Remember(const Predictors& loaded) const {
  std::vector<int64_t> numbers;
  for (const auto& [number, version] : loaded) numbers.push_back(number);
  return WriteLoadedFile(options_.directory / kLoadedFile, numbers);
}

absl::Status ServedVersions::CopyFromPrimary(int64_t number, const std::string& digest,
                                             const std::function<bool()>& cancelled) {
  const std::string name = VersionName(model_.description.name(), number);
  const absl::StatusOr<v1::Version> kept = versions_.Get(number);
  const bool is_whole = IsLoaded(number) || versions_.ReadWeights(number).ok();
  if (!digest.empty() && kept.ok() && is_whole && kept->digest() == digest) return absl::OkStatus();
  const absl::StatusOr<std::string> theirs = options_.primary->Digest(name);
  const bool is_away =
      absl::IsUnavailable(theirs.status()) || absl::IsDeadlineExceeded(theirs.status());
  if (kept.ok() && is_whole && (is_away || (theirs.ok() && *theirs == kept->digest()))) {
    return absl::OkStatus();
  }
  BACKFIRE_RETURN_IF_ERROR(theirs.status());
  BACKFIRE_ASSIGN_OR_RETURN(const StoredVersion stored, options_.primary->Fetch(name, cancelled));
  BACKFIRE_RETURN_IF_ERROR(Annotate(CheckDigest(stored.version, digest), "the primary's copy"));
  {
    // By this number something else would be served.
    MutexLock lock(mutex_);
    loaded_.erase(number);
  }
  BACKFIRE_RETURN_IF_ERROR(versions_.AddCopy(stored.version, stored.bytes));
  spdlog::info("version state=COPIED version={} digest={}", name, stored.version.digest());
  return absl::OkStatus();
}

absl::Status ServedVersions::Load(int64_t number, const std::string& digest,
                                  const std::function<bool()>& cancelled) {
  MutexLock loading(loading_);
  if (options_.primary != nullptr) {
    BACKFIRE_RETURN_IF_ERROR(CopyFromPrimary(number, digest, cancelled));
  }
  return LoadKept(number, digest);
}

absl::Status ServedVersions::LoadKept(int64_t number, const std::string& digest) {
  BACKFIRE_ASSIGN_OR_RETURN(const v1::Version version, versions_.Get(number));
  BACKFIRE_RETURN_IF_ERROR(CheckDigest(version, digest));
  Predictors loaded = this->loaded();
  if (loaded.count(number) > 0) return absl::OkStatus();
  if (graph::IsUnservable(model_.description, version.recipe())) {
    return absl::FailedPreconditionError(absl::StrCat(
        version.name(), " can't be served: recipe \"", version.recipe().name(), "\" needs what no ",
        "request carries; it can be evaluated, and other models can be trained on its outputs"));
  }
  BACKFIRE_ASSIGN_OR_RETURN(std::shared_ptr<const Predictor> predictor,
                            LoadPredictor(*model_.model, versions_, version));
  WarmUp(*predictor, model_.description);
  if (options_.batch.size > 1) {
    if (predictor->HasBatches()) {
      predictor = std::make_shared<const BatchingPredictor>(predictor, options_.batch);
    } else {
      predictor = std::make_shared<const LimitedPredictor>(predictor, options_.threads);
    }
  }
  loaded[number] = {number, version.digest(), std::move(predictor)};
  CrashPoint("version-load", version.name());
  BACKFIRE_RETURN_IF_ERROR(Remember(loaded));
  CrashPoint("version-loaded", version.name());
  MutexLock lock(mutex_);
  loaded_ = std::move(loaded);
  spdlog::info("version state=LOADED version={} digest={}", version.name(), version.digest());
  return absl::OkStatus();
}

absl::Status ServedVersions::Unload(int64_t number) {
  MutexLock loading(loading_);
  Predictors loaded = this->loaded();
  if (loaded.erase(number) > 0) {
    BACKFIRE_RETURN_IF_ERROR(Remember(loaded));
    MutexLock lock(mutex_);
    loaded_ = std::move(loaded);
    spdlog::info("version state=UNLOADED version={}",
                 VersionName(model_.description.name(), number));
  }
  // A replica can get it again; kept copies would fill its disk.
  return options_.primary == nullptr ? absl::OkStatus() : versions_.Delete(number);
}

absl::Status ServedVersions::Delete(int64_t number) {
  MutexLock loading(loading_);
  if (IsLoaded(number)) {
    return absl::FailedPreconditionError(absl::StrCat(
        VersionName(model_.description.name(), number), " is loaded: unload it first"));
  }
  return versions_.Delete(number);
}

absl::StatusOr<ServedVersions::Loaded> ServedVersions::Find(std::optional<int64_t> number) const {
  {
    MutexLock lock(mutex_);
    const auto found = number.has_value() ? loaded_.find(*number)
                       : loaded_.empty()  ? loaded_.end()
                                          : std::prev(loaded_.end());
    if (found != loaded_.end()) return found->second;
  }
  const std::string& model = model_.description.name();
  if (!number.has_value()) {
    return absl::NotFoundError(absl::StrCat("no version of ", model, " is loaded"));
  }
  BACKFIRE_RETURN_IF_ERROR(versions_.Get(*number).status());
  return absl::UnavailableError(absl::StrCat(VersionName(model, *number), " is not loaded"));
}

bool ServedVersions::IsLoaded(int64_t number) const {
  MutexLock lock(mutex_);
  return loaded_.count(number) > 0;
}

std::vector<int64_t> ServedVersions::LoadedNumbers() const {
  std::vector<int64_t> numbers;
  for (const auto& [number, version] : loaded()) numbers.push_back(number);
  return numbers;
}

std::map<int64_t, prometheus::ClientMetric> ServedVersions::BatchSizes() const {
  std::map<int64_t, prometheus::ClientMetric> sizes;
  for (const auto& [number, version] : loaded()) {
    const auto* batching = dynamic_cast<const BatchingPredictor*>(version.predictor.get());
    if (batching != nullptr) sizes[number] = batching->BatchSizes();
  }
  return sizes;
}

ServedVersions::Predictors ServedVersions::loaded() const {
  MutexLock lock(mutex_);
  return loaded_;
}

}  // namespace backfire::runtime
