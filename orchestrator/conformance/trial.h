#pragma once

#include <functional>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "backfire/v1/model_service.grpc.pb.h"
#include "inference/open_inference.grpc.pb.h"
#include "orchestrator/conformance/conformance.h"
#include "orchestrator/conformance/outputs.h"
#include "orchestrator/conformance/stand_in_parents.h"
#include "services/rpc/unary_call.h"

namespace backfire::conformance {

/// What a check returns: Broken, with what came instead; NotTried, with why; or OK.
absl::Status Broken(const std::string& what);
absl::Status NotTried(const std::string& why);

/// A version that was trained, with all that others are compared with.
struct Trained {
  v1::Version version;
  Outputs outputs;            ///< Of the split `test`.
  v1::Evaluation evaluation;  ///< On it.
};

/// One service on trial: its model, the parents that stand in for it, calls, and what was found.
/// One thread.
class Trial {
 public:
  using Stub = v1::ModelService::Stub;

  /// Describes the model and prepares its parents. Errors as TryService's.
  static absl::StatusOr<std::unique_ptr<Trial>> Begin(
      const Options& options, const std::function<void(const Finding&)>& on_finding);

  const Options& options() const { return options_; }
  const v1::Model& model() const { return model_; }
  /// The recipe to train by, as it was asked for.
  const v1::Recipe& recipe() const { return recipe_; }
  /// The same as the model describes it; null: it is not described.
  const v1::Recipe* described_recipe() const;
  StandInParents& parents() { return *parents_; }
  const StandInParents& parents() const { return *parents_; }
  bool is_fed() const { return !parents_->fed().empty(); }
  bool Can(v1::Capability capability) const;
  /// An input with the sizes that it is given here: what the user says, or 2, in place of -1.
  v1::TensorSignature Sized(const v1::TensorSignature& input) const;

  /// Runs a check, and notes what it finds.
  void Check(const std::string& what, const std::function<absl::Status()>& check);
  const std::vector<Finding>& findings() const { return findings_; }
  /// Whether anything was found that is broken.
  bool IsBroken() const;

  /// Requests with a request_id of their own, fed by plain parents.
  v1::TrainRequest TrainRequest();
  v1::TrainRequest TrainRequest(const std::vector<v1::Parent>& lineage);
  v1::EvaluateRequest EvaluateRequest(const v1::Version& version);
  v1::MaterializeRequest MaterializeRequest(const v1::Version& version) const;
  v1::CommitOutputsRequest CommitRequest(const v1::Version& version);

  /// One call of at most a minute.
  template <typename Request, typename Response>
  absl::StatusOr<Response> Call(grpc::Status (Stub::*method)(grpc::ClientContext*, const Request&,
                                                             Response*),
                                const Request& request) {
    return runtime::UnaryCall(*stub_, method, request, kCallTimeout);
  }
  /// The ended job that a call started; why it failed where it did.
  absl::StatusOr<v1::Job> Train(const v1::TrainRequest& request);
  absl::StatusOr<v1::Job> Evaluate(const v1::EvaluateRequest& request);
  absl::StatusOr<v1::Job> Commit(const v1::CommitOutputsRequest& request);
  /// What Materialize gives, whole and as the contract has it.
  absl::StatusOr<Outputs> Materialize(const v1::MaterializeRequest& request);
  absl::StatusOr<inference::ModelInferResponse> Infer(const inference::ModelInferRequest& request);
  Stub& stub() { return *stub_; }
  static constexpr absl::Duration kCallTimeout = absl::Minutes(1);

  /// Does what may fail because the service reads a dataset that has more or fewer examples than
  /// its stand-in parents give. It says so in words of its own, so the numbers in them are tried.
  template <typename Attempt>
  auto Fit(const Attempt& attempt) -> decltype(attempt()) {
    std::set<std::pair<std::string, int64_t>> tried;
    while (true) {
      parents_->TakePulls();
      auto result = attempt();
      if (result.ok() || !TryOtherCount(std::string(result.status().message()), tried)) {
        return result;
      }
    }
  }
  /// Trains, and reads the version's outputs and losses on the split `test`.
  absl::StatusOr<Trained> TrainAndLook(const v1::TrainRequest& request);
  absl::StatusOr<Trained> Look(const v1::Version& version);

 private:
  Trial(const Options& options, const std::function<void(const Finding&)>& on_finding);
  absl::Status CheckOptions() const;
  absl::Status CheckMadeUp() const;
  template <typename Request>
  absl::StatusOr<v1::Job> Finish(grpc::Status (Stub::*method)(grpc::ClientContext*, const Request&,
                                                              v1::Job*),
                                 const Request& request);
  // Gives the parents another number of examples, one that a sentence says; false: there is none.
  bool TryOtherCount(const std::string& sentence, std::set<std::pair<std::string, int64_t>>& tried);
  std::string NextId();

  const Options& options_;
  const std::function<void(const Finding&)>& on_finding_;
  const std::shared_ptr<grpc::Channel> channel_;
  const std::unique_ptr<Stub> stub_;
  const std::unique_ptr<inference::GRPCInferenceService::Stub> inference_;
  std::unique_ptr<StandInParents> parents_;
  v1::Model model_;
  v1::Recipe recipe_;
  std::vector<Finding> findings_;
  int requests_ = 0;
};

/// Whether a call was refused with this code, and with words, at once or by its job's end.
template <typename Result>
absl::Status MustBe(absl::StatusCode code, const absl::StatusOr<Result>& result) {
  if (result.status().code() == code && !result.status().message().empty()) return absl::OkStatus();
  return Broken(absl::StrCat("it must be ", absl::StatusCodeToString(code),
                             " with a message that says what is wrong: ",
                             result.ok() ? "it succeeded" : result.status().ToString()));
}

/// Whether two versions are one; `what` says why they must be, or must not.
absl::Status MustBeSame(const v1::Version& version, const v1::Version& other);
absl::Status MustDiffer(const v1::Version& version, const v1::Version& other,
                        const std::string& what);

/// Whether two versions give the same, but for last bits: a sum's order may be another.
bool SaySame(const Trained& a, const Trained& b);
/// Whether two evaluations have the same bits in all losses and resamples.
bool SameLosses(const v1::Evaluation& a, const v1::Evaluation& b);

}  // namespace backfire::conformance
