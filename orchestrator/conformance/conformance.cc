#include "orchestrator/conformance/conformance.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <memory>
#include <set>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "backfire/v1/model_service.grpc.pb.h"
#include "orchestrator/conformance/stand_in_parent.h"
#include "services/base/status.h"
#include "services/rpc/channel.h"
#include "services/rpc/rpc_status.h"
#include "services/rpc/unary_call.h"

namespace backfire::conformance {
namespace {

using std::chrono::steady_clock;
using Stub = v1::ModelService::Stub;

constexpr std::chrono::seconds kConnectPatience(5);
constexpr absl::Duration kCallTimeout = absl::Seconds(60);
constexpr absl::Duration kJobTimeout = absl::Minutes(30);
constexpr absl::Duration kPollInterval = absl::Milliseconds(200);
constexpr int kResamples = 7;
constexpr size_t kMaxPieceBytes = size_t{1} << 20;

absl::Status Broken(const std::string& what) { return absl::InternalError(what); }
absl::Status NotTried(const std::string& why) { return absl::UnimplementedError(why); }

bool IsDigest(const std::string& text) {
  return text.size() == 64 && std::all_of(text.begin(), text.end(), [](char c) {
           return absl::ascii_isxdigit(static_cast<unsigned char>(c)) && !absl::ascii_isupper(c);
         });
}

class Trial {
 public:
  Trial(const Options& options, const std::function<void(const Finding&)>& on_finding)
      : options_(options),
        on_finding_(on_finding),
        channel_(runtime::MakeChannel(options.endpoint)),
        stub_(v1::ModelService::NewStub(channel_)) {}

  absl::StatusOr<std::vector<Finding>> Run() {
    // It may have been started a moment ago. If it stays away, the first call says so.
    channel_->WaitForConnected(std::chrono::system_clock::now() + kConnectPatience);
    v1::GetModelRequest get;
    get.set_name(options_.model);
    BACKFIRE_ASSIGN_OR_RETURN(model_, Call(&Stub::GetModel, get));
    BACKFIRE_RETURN_IF_ERROR(Prepare());
    TryModel();
    TryTraining();
    if (!version_.name().empty()) {
      TryEvaluation();
      TryOutputs();
      TryServing();
    }
    return std::move(findings_);
  }

 private:
  template <typename Request, typename Response>
  absl::StatusOr<Response> Call(grpc::Status (Stub::*method)(grpc::ClientContext*, const Request&,
                                                             Response*),
                                const Request& request) {
    return runtime::UnaryCall(*stub_, method, request, kCallTimeout);
  }

  void Check(const std::string& what, const std::function<absl::Status()>& check) {
    const absl::Status status = check();
    Finding finding{what, Finding::Outcome::kHolds, std::string(status.message())};
    if (absl::IsUnimplemented(status)) {
      finding.outcome = Finding::Outcome::kNotTried;
    } else if (!status.ok()) {
      finding.outcome = Finding::Outcome::kBroken;
    }
    findings_.push_back(finding);
    on_finding_(finding);
  }

  // A call that must be refused with this code, at once or by its job's end.
  template <typename Result>
  absl::Status MustBe(absl::StatusCode code, const absl::StatusOr<Result>& result) {
    const std::string wanted = absl::StatusCodeToString(code);
    if (result.ok()) return Broken(absl::StrCat("it must be ", wanted, ": it succeeded"));
    if (result.status().code() == code) {
      if (!result.status().message().empty()) return absl::OkStatus();
      return Broken(absl::StrCat("it is ", wanted, " without a message that says what is wrong"));
    }
    return Broken(absl::StrCat("it must be ", wanted, ": got ", result.status().ToString()));
  }

  bool Can(v1::Capability capability) const {
    return std::count(model_.capabilities().begin(), model_.capabilities().end(), capability) > 0;
  }
  std::string Id(const std::string& name) const {
    return absl::StrCat("conformance/", options_.run, "/", name);
  }

  absl::Status Prepare() {
    std::vector<v1::TensorSignature> fed;
    for (const v1::TensorSignature& input : model_.inputs()) {
      if (options_.feed_all || std::count(options_.fed.begin(), options_.fed.end(), input.name())) {
        fed.push_back(input);
      }
    }
    if (!options_.feed_all && fed.size() != options_.fed.size()) {
      return absl::InvalidArgumentError(
          absl::StrCat("an input to feed is none of ", model_.name()));
    }
    BACKFIRE_ASSIGN_OR_RETURN(parent_, StandInParent::Start(fed));
    recipe_ = options_.recipe;
    if (recipe_.name().empty() && model_.recipes_size() > 0) {
      recipe_.set_name(model_.recipes(0).name());
    }
    return absl::OkStatus();
  }

  v1::TrainRequest TrainRequest(const std::string& id) const {
    v1::TrainRequest request;
    request.set_request_id(Id(id));
    request.set_model(model_.name());
    *request.mutable_recipe() = recipe_;
    for (const v1::Parent& parent : parent_->lineage()) *request.add_lineage() = parent;
    request.mutable_dataset()->set_uri(options_.dataset);
    *request.mutable_endpoints() = parent_->endpoints();
    return request;
  }
  v1::EvaluateRequest EvaluateRequest(const std::string& id) const {
    v1::EvaluateRequest request;
    request.set_request_id(Id(id));
    request.set_version(version_.name());
    request.mutable_dataset()->set_uri(options_.dataset);
    request.set_split("test");
    request.mutable_bootstrap()->set_resample_count(kResamples);
    *request.mutable_endpoints() = parent_->endpoints();
    return request;
  }

  // The ended job that a call started; why it failed where it did.
  template <typename Request>
  absl::StatusOr<v1::Job> Finish(grpc::Status (Stub::*method)(grpc::ClientContext*, const Request&,
                                                              v1::Job*),
                                 const Request& request) {
    BACKFIRE_ASSIGN_OR_RETURN(v1::Job job, Call(method, request));
    const auto give_up = steady_clock::now() + absl::ToChronoMilliseconds(kJobTimeout);
    v1::GetJobRequest get;
    get.set_name(absl::StrCat("jobs/", request.request_id()));
    if (job.name() != get.name()) {
      return Broken(absl::StrCat("the job must be called ", get.name(), ": got ", job.name()));
    }
    while (job.state() == v1::Job::RUNNING && steady_clock::now() < give_up) {
      absl::SleepFor(kPollInterval);
      BACKFIRE_ASSIGN_OR_RETURN(job, Call(&Stub::GetJob, get));
    }
    if (job.state() == v1::Job::SUCCEEDED) return job;
    if (job.state() != v1::Job::FAILED) {
      return Broken(absl::StrCat("the job must end as SUCCEEDED or FAILED: it is ",
                                 v1::Job::State_Name(job.state())));
    }
    const auto code = static_cast<absl::StatusCode>(job.error_code());
    if (code == absl::StatusCode::kOk) return Broken("a FAILED job has no error_code");
    return absl::Status(code, job.error_message());
  }

  void TryModel() {
    Check("GetModel describes a model in full", [&]() -> absl::Status {
      if (!absl::StartsWith(model_.name(), "models/")) {
        return Broken(absl::StrCat("name must be models/{model}: got \"", model_.name(), "\""));
      }
      if (model_.kind() != v1::Model::MODEL && model_.kind() != v1::Model::TRANSFORM) {
        return Broken("kind must be MODEL or TRANSFORM");
      }
      if (model_.outputs().empty()) return Broken("outputs must not be empty");
      if (model_.recipes().empty()) return Broken("recipes must not be empty");
      if (model_.losses().empty()) return Broken("losses must not be empty");
      if (model_.build_fingerprint().empty()) return Broken("build_fingerprint must not be empty");
      return absl::OkStatus();
    });
    Check("tensors have names of their own and known datatypes", [&]() -> absl::Status {
      static const std::set<std::string> kDatatypes = {
          "BOOL",  "UINT8", "UINT16", "UINT32", "UINT64", "INT8", "INT16",
          "INT32", "INT64", "FP16",   "BF16",   "FP32",   "FP64"};
      for (const auto* tensors : {&model_.inputs(), &model_.outputs()}) {
        std::set<std::string> names;
        for (const v1::TensorSignature& tensor : *tensors) {
          if (!names.insert(tensor.name()).second) {
            return Broken(absl::StrCat("\"", tensor.name(), "\" is there twice"));
          }
          if (kDatatypes.count(tensor.datatype()) == 0) {
            return Broken(
                absl::StrCat("\"", tensor.name(), "\" has datatype \"", tensor.datatype(), "\""));
          }
        }
      }
      return absl::OkStatus();
    });
    Check("an unknown model is NOT_FOUND", [&] {
      v1::GetModelRequest request;
      request.set_name("models/there-is-none-of-this-name");
      return MustBe(absl::StatusCode::kNotFound, Call(&Stub::GetModel, request));
    });
  }

  void TryTraining() {
    Check("a recipe trains a version", [&]() -> absl::Status {
      BACKFIRE_ASSIGN_OR_RETURN(const v1::Job job, Finish(&Stub::Train, TrainRequest("train")));
      version_ = job.version();
      return absl::OkStatus();
    });
    if (version_.name().empty()) return;
    Check("a version says what it is made of", [&]() -> absl::Status {
      if (!absl::StartsWith(version_.name(), absl::StrCat(model_.name(), "/versions/"))) {
        return Broken(absl::StrCat("name must be ", model_.name(), "/versions/{number}: got ",
                                   version_.name()));
      }
      if (!IsDigest(version_.input_key()) || !IsDigest(version_.digest())) {
        return Broken("input_key and digest must have 64 lower-case hexadecimal digits");
      }
      if (!IsDigest(version_.dataset().digest())) {
        return Broken("dataset.digest must have 64 lower-case hexadecimal digits");
      }
      if (version_.recipe().name() != recipe_.name()) return Broken("recipe.name is another");
      for (const v1::Recipe& known : model_.recipes()) {
        if (known.name() == recipe_.name() &&
            known.parameters().fields_size() != version_.recipe().parameters().fields_size()) {
          return Broken("recipe must have every parameter at its effective value");
        }
      }
      if (version_.lineage_size() != static_cast<int>(parent_->lineage().size())) {
        return Broken("lineage must be what was trained on");
      }
      return absl::OkStatus();
    });
    Check("the same request is the same job", [&]() -> absl::Status {
      BACKFIRE_ASSIGN_OR_RETURN(const v1::Job job, Finish(&Stub::Train, TrainRequest("train")));
      return SameVersion(job.version());
    });
    Check("training what was trained returns it, whatever the request_id", [&]() -> absl::Status {
      BACKFIRE_ASSIGN_OR_RETURN(const v1::Job job, Finish(&Stub::Train, TrainRequest("again")));
      return SameVersion(job.version());
    });
    Check("a request_id with other arguments is ALREADY_EXISTS", [&] {
      v1::TrainRequest request = TrainRequest("train");
      request.set_seed(request.seed() + 1);
      return MustBe(absl::StatusCode::kAlreadyExists, Call(&Stub::Train, request));
    });
    Check("an unknown recipe is INVALID_ARGUMENT", [&] {
      v1::TrainRequest request = TrainRequest("recipe");
      request.mutable_recipe()->set_name("there-is-none-of-this-name");
      return MustBe(absl::StatusCode::kInvalidArgument, Finish(&Stub::Train, request));
    });
    Check("an unknown parameter is INVALID_ARGUMENT", [&] {
      v1::TrainRequest request = TrainRequest("parameter");
      (*request.mutable_recipe()->mutable_parameters()->mutable_fields())["no_such_parameter"]
          .set_number_value(1);
      return MustBe(absl::StatusCode::kInvalidArgument, Finish(&Stub::Train, request));
    });
    Check("a lineage that feeds an unknown input is INVALID_ARGUMENT", [&] {
      v1::TrainRequest request = TrainRequest("lineage");
      v1::Parent& parent = *request.add_lineage();
      parent.set_input("no-such-input");
      parent.set_output("y");
      parent.set_version("models/stand-in-parent/versions/1");
      parent.set_digest(std::string(64, '0'));
      return MustBe(absl::StatusCode::kInvalidArgument, Finish(&Stub::Train, request));
    });
    Check("an unknown job is NOT_FOUND", [&] {
      v1::GetJobRequest request;
      request.set_name("jobs/there-is-none-of-this-name");
      return MustBe(absl::StatusCode::kNotFound, Call(&Stub::GetJob, request));
    });
  }

  absl::Status SameVersion(const v1::Version& other) const {
    if (other.name() == version_.name() && other.digest() == version_.digest()) {
      return absl::OkStatus();
    }
    return Broken(absl::StrCat("it must be ", version_.name(), " with digest ", version_.digest(),
                               ": got ", other.name(), " with ", other.digest()));
  }

  void TryEvaluation() {
    Check("a version is evaluated", [&]() -> absl::Status {
      BACKFIRE_ASSIGN_OR_RETURN(const v1::Job job,
                                Finish(&Stub::Evaluate, EvaluateRequest("evaluate")));
      evaluation_ = job.evaluation();
      return absl::OkStatus();
    });
    if (evaluation_.losses().empty()) return;
    Check("judged losses come first, as the model lists them, each with its resamples",
          [&]() -> absl::Status {
            if (evaluation_.losses_size() < model_.losses_size()) return Broken("some are missing");
            for (int i = 0; i < model_.losses_size(); ++i) {
              const v1::LossEstimate& loss = evaluation_.losses(i);
              const v1::JudgedLoss& judged = model_.losses(i);
              if (loss.loss() != judged.name() || !loss.slice().empty() || !loss.judged()) {
                return Broken(absl::StrCat("losses[", i, "] must be ", judged.name(),
                                           ", over all examples, judged: got ", loss.loss()));
              }
              if (loss.resampled_size() != kResamples) {
                return Broken(absl::StrCat("losses[", i, "].resampled must have ", kResamples,
                                           " values: it has ", loss.resampled_size()));
              }
              if (!(loss.value() >= judged.minimum() && loss.value() <= judged.maximum())) {
                return Broken(absl::StrCat("losses[", i, "].value must be in [", judged.minimum(),
                                           ", ", judged.maximum(), "]: got ", loss.value()));
              }
            }
            return absl::OkStatus();
          });
    Check("an evaluation says of how many examples, and of which dataset", [&]() -> absl::Status {
      if (evaluation_.example_count() <= 0) return Broken("example_count must be > 0");
      if (evaluation_.dataset_digest() != version_.dataset().digest()) {
        return Broken("dataset_digest must be the dataset's, which the version was trained on");
      }
      return absl::OkStatus();
    });
    Check("evaluating again gives the same numbers, bit for bit", [&]() -> absl::Status {
      BACKFIRE_ASSIGN_OR_RETURN(const v1::Job job,
                                Finish(&Stub::Evaluate, EvaluateRequest("evaluate-again")));
      if (job.evaluation().SerializeAsString() == evaluation_.SerializeAsString()) {
        return absl::OkStatus();
      }
      return Broken("they differ");
    });
    Check("another bootstrap seed changes resamples, and nothing else", [&]() -> absl::Status {
      v1::EvaluateRequest request = EvaluateRequest("bootstrap");
      request.mutable_bootstrap()->set_seed(99);
      BACKFIRE_ASSIGN_OR_RETURN(const v1::Job job, Finish(&Stub::Evaluate, request));
      if (job.evaluation().losses(0).value() != evaluation_.losses(0).value()) {
        return Broken("the loss itself changed");
      }
      return absl::OkStatus();
    });
    Check("an unknown version is NOT_FOUND", [&] {
      v1::EvaluateRequest request = EvaluateRequest("version");
      request.set_version(absl::StrCat(model_.name(), "/versions/999999999"));
      return MustBe(absl::StatusCode::kNotFound, Finish(&Stub::Evaluate, request));
    });
    Check("an unknown split is INVALID_ARGUMENT", [&] {
      v1::EvaluateRequest request = EvaluateRequest("split");
      request.set_split("no-such-split");
      return MustBe(absl::StatusCode::kInvalidArgument, Finish(&Stub::Evaluate, request));
    });
  }

  absl::StatusOr<std::vector<v1::MaterializeResponse>> Materialize(
      const v1::MaterializeRequest& request) {
    grpc::ClientContext context;
    runtime::SetDeadline(context, kCallTimeout);
    const auto reader = stub_->Materialize(&context, request);
    std::vector<v1::MaterializeResponse> pieces;
    v1::MaterializeResponse piece;
    while (reader->Read(&piece)) pieces.push_back(piece);
    BACKFIRE_RETURN_IF_ERROR(runtime::FromGrpcStatus(reader->Finish()));
    return pieces;
  }

  // `all`: what Materialize gave of the split that was evaluated.
  absl::Status CheckClusters(const std::vector<v1::MaterializeResponse>& all) const {
    if (all.empty() || evaluation_.losses().empty()) return NotTried("there is no evaluation");
    std::set<std::string> named;
    std::set<int64_t> examples, alone;
    for (const v1::MaterializeResponse& piece : all) {
      if (!examples.insert(piece.example()).second) continue;
      if (piece.cluster().empty()) {
        alone.insert(piece.example());
      } else {
        named.insert(piece.cluster());
      }
    }
    const size_t expected = named.empty() ? 0 : named.size() + alone.size();
    if (evaluation_.cluster_count() != static_cast<int64_t>(expected)) {
      return Broken(absl::StrCat("Evaluation.cluster_count must be ", expected, ": got ",
                                 evaluation_.cluster_count()));
    }
    for (const v1::LossEstimate& loss : evaluation_.losses()) {
      if (loss.cluster_count() < 0 || loss.cluster_count() > evaluation_.cluster_count() ||
          !(loss.effective_cluster_count() >= 0) ||
          loss.effective_cluster_count() > static_cast<double>(evaluation_.cluster_count())) {
        return Broken(absl::StrCat("loss ", loss.loss(), " of slice \"", loss.slice(),
                                   "\" has more clusters than the evaluation"));
      }
    }
    return absl::OkStatus();
  }

  void TryOutputs() {
    v1::MaterializeRequest request;
    request.set_version(version_.name());
    request.mutable_dataset()->set_uri(options_.dataset);
    request.set_split("test");
    request.set_digest(version_.digest());
    *request.mutable_endpoints() = parent_->endpoints();
    std::vector<v1::MaterializeResponse> all;
    Check("Materialize gives every example's outputs, in order and in bounded pieces",
          [&]() -> absl::Status {
            BACKFIRE_ASSIGN_OR_RETURN(all, Materialize(request));
            int64_t example = -1;
            bool ended = true;
            for (const v1::MaterializeResponse& piece : all) {
              if (ended && piece.example() != example && piece.example() != example + 1) {
                return Broken(absl::StrCat("example ", piece.example(), " follows ", example));
              }
              if (piece.data().size() > kMaxPieceBytes) return Broken("a piece exceeds 1 MiB");
              example = piece.example();
              ended = piece.last_piece();
            }
            if (!ended) return Broken("the last tensor has no last_piece");
            if (!evaluation_.losses().empty() && example + 1 != evaluation_.example_count()) {
              return Broken(absl::StrCat("it gave ", example + 1, " examples: the evaluation had ",
                                         evaluation_.example_count()));
            }
            return absl::OkStatus();
          });
    Check("the evaluation drew its resamples from the clusters that Materialize names",
          [&]() -> absl::Status { return CheckClusters(all); });
    Check("outputs have the datatypes and shapes of the signature", [&]() -> absl::Status {
      for (const v1::MaterializeResponse& piece : all) {
        if (piece.datatype().empty()) continue;  // Not the first of its tensor.
        const auto signature =
            std::find_if(model_.outputs().begin(), model_.outputs().end(),
                         [&](const auto& output) { return output.name() == piece.output(); });
        if (signature == model_.outputs().end()) {
          return Broken(absl::StrCat("there is no output \"", piece.output(), "\""));
        }
        bool fits = piece.datatype() == signature->datatype() &&
                    piece.shape_size() == signature->shape_size();
        for (int d = 0; fits && d < piece.shape_size(); ++d) {
          fits = signature->shape(d) == -1 || signature->shape(d) == piece.shape(d);
        }
        if (!fits) return Broken(absl::StrCat("output \"", piece.output(), "\" differs"));
      }
      return all.empty() ? NotTried("there were no outputs") : absl::OkStatus();
    });
    Check("Materialize gives the examples asked for, the same as before", [&]() -> absl::Status {
      v1::MaterializeRequest some = request;
      some.add_examples(0);
      BACKFIRE_ASSIGN_OR_RETURN(const auto pieces, Materialize(some));
      if (pieces.empty() || all.empty() || pieces[0].data() != all[0].data()) {
        return Broken("example 0 by itself is another");
      }
      return absl::OkStatus();
    });
    Check("a version with another digest than expected is DATA_LOSS", [&] {
      v1::MaterializeRequest other = request;
      other.set_digest(std::string(64, '0'));
      return MustBe(absl::StatusCode::kDataLoss, Materialize(other));
    });
    Check("an example that there is not is INVALID_ARGUMENT", [&] {
      v1::MaterializeRequest beyond = request;
      beyond.add_examples(1'000'000'000);
      return MustBe(absl::StatusCode::kInvalidArgument, Materialize(beyond));
    });
  }

  void TryServing() {
    Check("ListVersions and GetVersion know the version", [&]() -> absl::Status {
      if (!Can(v1::LIST_VERSIONS)) return NotTried("no capability LIST_VERSIONS");
      v1::GetVersionRequest get;
      get.set_name(version_.name());
      BACKFIRE_ASSIGN_OR_RETURN(const v1::Version version, Call(&Stub::GetVersion, get));
      return SameVersion(version);
    });
    Check("a version is loaded and unloaded, twice", [&]() -> absl::Status {
      if (!Can(v1::LOAD_VERSION)) return NotTried("no capability LOAD_VERSION");
      for (int i = 0; i < 2; ++i) {
        v1::LoadVersionRequest load;
        load.set_name(version_.name());
        BACKFIRE_RETURN_IF_ERROR(Call(&Stub::LoadVersion, load).status());
      }
      for (int i = 0; i < 2; ++i) {
        v1::UnloadVersionRequest unload;
        unload.set_name(version_.name());
        BACKFIRE_RETURN_IF_ERROR(Call(&Stub::UnloadVersion, unload).status());
      }
      return absl::OkStatus();
    });
    Check("a job that has ended can be watched, and cancelling it changes nothing",
          [&]() -> absl::Status {
            if (!Can(v1::WATCH_JOB) || !Can(v1::CANCEL_JOB)) {
              return NotTried("no capability WATCH_JOB or CANCEL_JOB");
            }
            v1::CancelJobRequest cancel;
            cancel.set_name(absl::StrCat("jobs/", Id("train")));
            BACKFIRE_ASSIGN_OR_RETURN(v1::Job job, Call(&Stub::CancelJob, cancel));
            if (job.state() != v1::Job::SUCCEEDED) return Broken("cancelling changed it");
            grpc::ClientContext context;
            runtime::SetDeadline(context, kCallTimeout);
            v1::WatchJobRequest watch;
            watch.set_name(cancel.name());
            const auto reader = stub_->WatchJob(&context, watch);
            while (reader->Read(&job)) {
            }
            return runtime::FromGrpcStatus(reader->Finish());
          });
  }

  const Options& options_;
  const std::function<void(const Finding&)>& on_finding_;
  const std::shared_ptr<grpc::Channel> channel_;
  const std::unique_ptr<Stub> stub_;
  std::unique_ptr<StandInParent> parent_;
  v1::Model model_;
  v1::Recipe recipe_;
  v1::Version version_;
  v1::Evaluation evaluation_;
  std::vector<Finding> findings_;
};

}  // namespace

absl::StatusOr<std::vector<Finding>> TryService(
    const Options& options, const std::function<void(const Finding&)>& on_finding) {
  return Trial(options, on_finding).Run();
}

}  // namespace backfire::conformance
