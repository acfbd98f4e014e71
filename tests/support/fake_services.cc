#include "tests/support/fake_services.h"

#include <algorithm>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "services/base/digest.h"
#include "services/base/random.h"
#include "services/base/status.h"

namespace backfire::testing {
namespace {

constexpr int kExamples = 50;
// A held job looks this often whether it is to stop, as the services' client does.
constexpr std::chrono::milliseconds kLook(5);

std::string RequestId(const planning::JobRequest& request) {
  return std::visit([](const auto& r) { return r.request_id(); }, request);
}

// What a job that is fed by these parents was held to: not to what is said of their ancestors.
template <typename Commitments, typename Parents>
void AddHeld(const Commitments& commitments, const Parents& parents, Commitments& held) {
  for (const v1::OutputsCommitment& commitment : commitments) {
    if (std::any_of(parents.begin(), parents.end(), [&](const auto& parent) {
          return parent.digest() == commitment.version_digest();
        })) {
      *held.Add() = commitment;
    }
  }
}

}  // namespace

bool FakeServices::IsHeld(const std::string& request_id) const {
  return std::any_of(held_.begin(), held_.end(),
                     [&](const auto& part) { return absl::StrContains(request_id, part); });
}

absl::StatusOr<v1::Job> FakeServices::Run(
    const std::string&, const planning::JobRequest& request, bool, const runtime::Patience&,
    const std::function<execution::Interrupt()>& interrupt,
    const std::function<void(const v1::Progress&)>& progress) {
  const std::string id = RequestId(request);
  bool is_held = false;
  {
    MutexLock lock(mutex_);
    if (keeps_calls_) calls_.push_back(id);
    is_held = IsHeld(id);
  }
  if (is_held) {
    v1::Progress started;
    started.set_stage("held");
    progress(started);
  }
  MutexLock lock(mutex_);
  if (is_held) running_.insert(id);
  changed_.NotifyAll();
  while (IsHeld(id) && interrupt() == execution::Interrupt::kNone) {
    changed_.WaitUntil(mutex_, std::chrono::steady_clock::now() + kLook);
  }
  running_.erase(id);
  if (interrupt() == execution::Interrupt::kStop) return absl::CancelledError("interrupted");
  v1::Job job;
  if (interrupt() == execution::Interrupt::kCancel) {
    job.set_state(v1::Job::CANCELLED);
    job.set_error_code(static_cast<int>(absl::StatusCode::kCancelled));
    job.set_error_message("cancelled");
    return job;
  }
  for (const auto& [part, status] : failures_) {
    if (status.ok() || !absl::StrContains(id, part)) continue;
    job.set_state(v1::Job::FAILED);
    job.set_error_code(static_cast<int>(status.code()));
    job.set_error_message(std::string(status.message()));
    return job;
  }
  const auto refused =
      std::visit([this](const auto& r) { return Refusal(r.commitments()); }, request);
  if (refused.has_value()) return *refused;
  if (const auto* train = std::get_if<v1::TrainRequest>(&request)) return Train(*train);
  if (const auto* evaluate = std::get_if<v1::EvaluateRequest>(&request)) return Evaluate(*evaluate);
  return Commit(std::get<v1::CommitOutputsRequest>(request));
}

std::optional<v1::Job> FakeServices::Refusal(const Commitments& commitments) const {
  for (const v1::OutputsCommitment& commitment : commitments) {
    if (commitment.outputs_digest() == OutputsDigest(commitment.version(), commitment.split())) {
      continue;
    }
    v1::Job job;
    job.set_state(v1::Job::FAILED);
    job.set_error_code(static_cast<int>(absl::StatusCode::kDataLoss));
    job.set_error_message(absl::StrCat("other outputs of ", commitment.version()));
    return job;
  }
  return std::nullopt;
}

std::string FakeServices::OutputsDigest(const std::string& version,
                                        const std::string& split) const {
  const auto changed = outputs_.find(version.substr(0, version.find("/versions/")));
  return Sha256Hex(
      absl::StrCat(version, " ", split, " ", changed == outputs_.end() ? 0 : changed->second));
}

v1::Job FakeServices::Commit(const v1::CommitOutputsRequest& request) const {
  v1::Job job;
  job.set_state(v1::Job::SUCCEEDED);
  v1::OutputsCommitment& commitment = *job.mutable_commitment();
  commitment.set_version(request.version());
  commitment.set_version_digest(versions_.at(request.version()).digest());
  commitment.set_dataset_digest("data");
  commitment.set_split(request.split());
  commitment.set_example_count(kExamples);
  commitment.set_outputs_digest(OutputsDigest(request.version(), request.split()));
  return job;
}

v1::Job FakeServices::Train(const v1::TrainRequest& request) {
  std::string& name = versions_by_request_[request.request_id()];
  if (name.empty()) {
    name = absl::StrCat(request.model(), "/versions/", ++counts_[request.model()]);
    v1::Version& version = versions_[name];
    version.set_name(name);
    version.set_digest(absl::StrCat("digest of ", name));
    *version.mutable_recipe() = request.recipe();
    *version.mutable_lineage() = request.lineage();
    version.set_seed(request.seed());
    AddHeld(request.commitments(), request.lineage(), *version.mutable_trained_on());
    version.set_weights_bytes(1000);
    version.mutable_dataset()->set_digest("data");
  }
  v1::Job job;
  job.set_state(v1::Job::SUCCEEDED);
  job.set_compute_seconds(1);
  *job.mutable_version() = versions_.at(name);
  return job;
}

v1::Job FakeServices::Evaluate(const v1::EvaluateRequest& request) const {
  const v1::Version& version = versions_.at(request.version());
  const auto& parameters = version.recipe().parameters().fields();
  const auto offset = parameters.find("offset");
  Random random(SplitMix64(static_cast<uint64_t>(version.seed())));
  v1::Job job;
  job.set_state(v1::Job::SUCCEEDED);
  job.set_compute_seconds(1);
  v1::Evaluation& evaluation = *job.mutable_evaluation();
  evaluation.set_example_count(kExamples);
  evaluation.set_dataset_digest("data");
  AddHeld(request.commitments(),
          request.swapped_parents().empty() ? version.lineage() : request.swapped_parents(),
          *evaluation.mutable_commitments());
  v1::LossEstimate& loss = *evaluation.add_losses();
  loss.set_loss("mae");
  loss.set_judged(true);
  loss.set_value(1 + (offset == parameters.end() ? 0 : offset->second.number_value()) +
                 1e-3 * random.Normal());
  for (int i = 0; i < request.bootstrap().resample_count(); ++i) {
    loss.add_resampled(loss.value() + 1e-4 * random.Normal());
  }
  return job;
}

absl::Status FakeServices::LoadVersion(const std::string& endpoint, const std::string& version,
                                       const std::string&, const runtime::Patience&,
                                       const std::function<bool()>&) {
  MutexLock lock(mutex_);
  if (keeps_calls_) calls_.push_back(absl::StrCat("load ", endpoint, " ", version));
  const auto failure = load_failures_.find(endpoint);
  if (failure != load_failures_.end() && !failure->second.ok()) return failure->second;
  loaded_.insert(absl::StrCat(endpoint, " ", version));
  return absl::OkStatus();
}

absl::Status FakeServices::UnloadVersion(const std::string& endpoint, const std::string& version) {
  MutexLock lock(mutex_);
  if (keeps_calls_) calls_.push_back(absl::StrCat("unload ", endpoint, " ", version));
  const auto failure = load_failures_.find(endpoint);
  if (failure != load_failures_.end() && !failure->second.ok()) return failure->second;
  loaded_.erase(absl::StrCat(endpoint, " ", version));
  return absl::OkStatus();
}

absl::StatusOr<v1::Model> FakeServices::GetModel(const std::string&, const std::string& name) {
  v1::Model model;
  model.set_name(name);
  for (auto* signature : {model.add_inputs(), model.add_outputs()}) {
    signature->set_datatype("FP64");
    signature->add_shape(1);
  }
  model.mutable_inputs(0)->set_name("x");
  model.mutable_outputs(0)->set_name("y");
  v1::Recipe& recipe = *model.add_recipes();
  recipe.set_name("fit");
  (*recipe.mutable_parameters()->mutable_fields())["offset"].set_number_value(0);
  v1::JudgedLoss& loss = *model.add_losses();
  loss.set_name("mae");
  loss.set_unit("1");
  loss.set_maximum(1e9);
  MutexLock lock(mutex_);
  for (const auto capability :
       {v1::LIST_VERSIONS, v1::DELETE_VERSION, v1::WATCH_JOB, v1::RESOLVE_RECIPE}) {
    if (forbidden_.count({name, capability}) == 0) model.add_capabilities(capability);
  }
  if (commits_) model.add_capabilities(v1::COMMIT_OUTPUTS);
  return model;
}

absl::StatusOr<v1::Recipe> FakeServices::ResolveRecipe(const std::string&,
                                                       const v1::ResolveRecipeRequest& request) {
  const auto& fields = request.recipe().parameters().fields();
  const auto offset = fields.find("offset");
  if (offset != fields.end() && offset->second.number_value() > 100) {
    return absl::InvalidArgumentError(absl::StrCat(
        "recipe.parameters.offset must be at most 100: got ", offset->second.number_value()));
  }
  if (request.has_dataset() && absl::StartsWith(request.dataset().uri(), "typo")) {
    return absl::InvalidArgumentError(
        absl::StrCat("dataset.uri must be a known one: got ", request.dataset().uri()));
  }
  return request.recipe();
}

absl::StatusOr<v1::Version> FakeServices::GetVersion(const std::string&, const std::string& name) {
  MutexLock lock(mutex_);
  const auto found = versions_.find(name);
  if (found != versions_.end()) return found->second;
  return absl::NotFoundError(absl::StrCat("there is no ", name));
}

absl::StatusOr<std::vector<v1::Version>> FakeServices::ListVersions(const std::string& endpoint,
                                                                    const std::string& model) {
  MutexLock lock(mutex_);
  BACKFIRE_RETURN_IF_ERROR(listing_);
  std::vector<v1::Version> versions;
  for (const auto& [name, version] : versions_) {
    if (!absl::StartsWith(name, absl::StrCat(model, "/"))) continue;
    versions.push_back(version);
    versions.back().set_loaded(loaded_.count(absl::StrCat(endpoint, " ", name)) > 0);
  }
  // Tests load versions that nobody trained.
  for (const std::string& entry : loaded_) {
    if (!absl::StartsWith(entry, absl::StrCat(endpoint, " ", model, "/"))) continue;
    const std::string name = entry.substr(endpoint.size() + 1);
    if (versions_.count(name) > 0) continue;
    versions.emplace_back().set_name(name);
    versions.back().set_loaded(true);
  }
  return versions;
}

void FakeServices::FailListing(absl::Status status) {
  MutexLock lock(mutex_);
  listing_ = std::move(status);
}

void FakeServices::Forbid(const std::string& model, v1::Capability capability) {
  MutexLock lock(mutex_);
  forbidden_.emplace(model, capability);
}

void FakeServices::CommitOutputs() {
  MutexLock lock(mutex_);
  commits_ = true;
}

void FakeServices::ChangeOutputs(const std::string& model) {
  MutexLock lock(mutex_);
  ++outputs_[model];
}

absl::Status FakeServices::DeleteVersion(const std::string& endpoint, const std::string& version) {
  MutexLock lock(mutex_);
  if (keeps_calls_) calls_.push_back(absl::StrCat("delete ", endpoint, " ", version));
  loaded_.erase(absl::StrCat(endpoint, " ", version));
  versions_.erase(version);
  return absl::OkStatus();
}

void FakeServices::Hold(const std::string& part) {
  MutexLock lock(mutex_);
  held_.insert(part);
}

void FakeServices::Release(const std::string& part) {
  MutexLock lock(mutex_);
  held_.erase(part);
  changed_.NotifyAll();
}

void FakeServices::AwaitHeld(const std::string& part) {
  MutexLock lock(mutex_);
  const auto runs = [&]() ABSL_NO_THREAD_SAFETY_ANALYSIS {
    return std::any_of(running_.begin(), running_.end(),
                       [&](const auto& id) { return absl::StrContains(id, part); });
  };
  while (!runs()) changed_.Wait(mutex_);
}

void FakeServices::Fail(const std::string& part, absl::Status status) {
  MutexLock lock(mutex_);
  failures_[part] = std::move(status);
}

void FakeServices::FailLoading(const std::string& endpoint, absl::Status status) {
  MutexLock lock(mutex_);
  load_failures_[endpoint] = std::move(status);
}

std::set<std::string> FakeServices::loaded() const {
  MutexLock lock(mutex_);
  return loaded_;
}

std::vector<std::string> FakeServices::calls() const {
  MutexLock lock(mutex_);
  return calls_;
}

void FakeServices::KeepNoCalls() {
  MutexLock lock(mutex_);
  keeps_calls_ = false;
}

void FakeServices::ForgetVersions() {
  MutexLock lock(mutex_);
  versions_.clear();
  versions_by_request_.clear();
  loaded_.clear();
}

}  // namespace backfire::testing
