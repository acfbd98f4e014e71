#include "orchestrator/conformance/trial.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "absl/time/clock.h"
#include "services/base/status.h"
#include "services/rpc/channel.h"
#include "services/rpc/rpc_status.h"

namespace backfire::conformance {
namespace {

using std::chrono::steady_clock;

constexpr std::chrono::seconds kConnectPatience(5);
constexpr absl::Duration kJobTimeout = absl::Minutes(30);
constexpr absl::Duration kPollInterval = absl::Milliseconds(100);
constexpr int kResamples = 1000;

template <typename Named>
std::string Names(const Named& all) {
  std::vector<std::string> names;
  for (const auto& one : all) names.push_back(one.name());
  std::sort(names.begin(), names.end());
  return absl::StrJoin(names, ", ");
}

// Whether a datatype has the ends of a range, or where it is of whole numbers what lies between.
bool Holds(const std::string& datatype, const Range& range) {
  const bool is_signed = datatype[0] == 'I';
  if (!is_signed && datatype[0] != 'U' && datatype != "BOOL") return range.low <= range.high;
  const auto bits = static_cast<int>(8 * ElementBytes(datatype));
  const double most =
      datatype == "BOOL" ? 1 : std::min(0x1p53, std::ldexp(1, bits - is_signed) - 1);
  const double least = is_signed ? -most - 1 : 0;
  return std::ceil(range.low) <= std::floor(range.high) && range.low >= least && range.high <= most;
}

// Whole numbers that a sentence says, in their order.
std::vector<int64_t> NumbersOf(const std::string& sentence) {
  std::vector<int64_t> numbers;
  for (absl::string_view word : absl::StrSplit(sentence, absl::ByAnyChar(" \t\n,;:()[]{}=\"'"))) {
    int64_t number = 0;
    while (!word.empty() && word.back() == '.') word.remove_suffix(1);
    if (absl::SimpleAtoi(word, &number) && number > 0) numbers.push_back(number);
  }
  return numbers;
}

}  // namespace

absl::Status Broken(const std::string& what) { return absl::InternalError(what); }
absl::Status NotTried(const std::string& why) { return absl::UnimplementedError(why); }

Trial::Trial(const Options& options, const std::function<void(const Finding&)>& on_finding)
    : options_(options),
      on_finding_(on_finding),
      channel_(runtime::MakeChannel(options.endpoint)),
      stub_(v1::ModelService::NewStub(channel_)),
      inference_(inference::GRPCInferenceService::NewStub(channel_)) {}

absl::StatusOr<std::unique_ptr<Trial>> Trial::Begin(
    const Options& options, const std::function<void(const Finding&)>& on_finding) {
  std::unique_ptr<Trial> trial(new Trial(options, on_finding));
  // It may have been started a moment ago. If it stays away, the first call says so.
  trial->channel_->WaitForConnected(std::chrono::system_clock::now() + kConnectPatience);
  v1::GetModelRequest get;
  get.set_name(options.model);
  absl::StatusOr<v1::Model> model = trial->Call(&Stub::GetModel, get);
  if (!model.ok()) {
    if (absl::IsUnavailable(model.status())) return model.status();
    return Annotate(model.status(), "GetModel (--model names one of a service that has many)");
  }
  trial->model_ = *std::move(model);
  trial->recipe_ = options.recipe;
  if (trial->recipe_.name().empty() && trial->model_.recipes_size() > 0) {
    trial->recipe_.set_name(trial->model_.recipes(0).name());
  }
  BACKFIRE_RETURN_IF_ERROR(trial->CheckOptions());
  std::vector<v1::TensorSignature> fed;
  for (const v1::TensorSignature& input : trial->model_.inputs()) {
    if (options.feed_all || std::count(options.fed.begin(), options.fed.end(), input.name()) > 0) {
      fed.push_back(trial->Sized(input));
    }
  }
  BACKFIRE_ASSIGN_OR_RETURN(trial->parents_,
                            StandInParents::Start(fed, options.ranges, options.run));
  for (const auto& [split, count] : options.examples) {
    trial->parents_->SetExampleCount(split, count);
  }
  return trial;
}

v1::TensorSignature Trial::Sized(const v1::TensorSignature& input) const {
  v1::TensorSignature sized = input;
  const auto shape = options_.shapes.find(input.name());
  for (int i = 0; i < sized.shape_size(); ++i) {
    if (sized.shape(i) >= 0) continue;
    sized.set_shape(i, shape == options_.shapes.end() ? 2 : shape->second[static_cast<size_t>(i)]);
  }
  return sized;
}

// What the user says of inputs: that there are such, and of which sizes.
absl::Status Trial::CheckMadeUp() const {
  const auto find = [&](const std::string& flag,
                        const std::string& name) -> absl::StatusOr<v1::TensorSignature> {
    for (const v1::TensorSignature& input : model_.inputs()) {
      if (input.name() == name) return input;
    }
    return absl::InvalidArgumentError(absl::StrCat(flag, ": ", model_.name(), " has no input \"",
                                                   name, "\"; it has ", Names(model_.inputs())));
  };
  for (const std::string& name : options_.fed) {
    BACKFIRE_RETURN_IF_ERROR(find("--feed", name).status());
  }
  for (const auto& [name, range] : options_.ranges) {
    BACKFIRE_ASSIGN_OR_RETURN(const v1::TensorSignature input, find("--range", name));
    if (Holds(input.datatype(), range)) continue;
    return absl::InvalidArgumentError(absl::StrCat("--range: \"", name, "\" is ", input.datatype(),
                                                   ", which has no numbers from ", range.low,
                                                   " to ", range.high, ", or not all of them"));
  }
  for (const auto& [name, shape] : options_.shapes) {
    BACKFIRE_ASSIGN_OR_RETURN(const v1::TensorSignature input, find("--shape", name));
    bool fits = static_cast<int>(shape.size()) == input.shape_size();
    for (int i = 0; fits && i < input.shape_size(); ++i) {
      fits = input.shape(i) < 0 || input.shape(i) == shape[static_cast<size_t>(i)];
    }
    if (fits) continue;
    return absl::InvalidArgumentError(
        absl::StrCat("--shape: \"", name, "\" must be as the model has it, [",
                     absl::StrJoin(input.shape(), ", "), "], where -1 is any size: got [",
                     absl::StrJoin(shape, ", "), "]"));
  }
  return absl::OkStatus();
}

absl::Status Trial::CheckOptions() const {
  BACKFIRE_RETURN_IF_ERROR(CheckMadeUp());
  if (model_.recipes().empty()) return absl::OkStatus();  // Its description is found at fault.
  const v1::Recipe* known = described_recipe();
  if (known == nullptr) {
    return absl::InvalidArgumentError(absl::StrCat("--recipe: ", model_.name(), " has no recipe \"",
                                                   recipe_.name(), "\"; it has ",
                                                   Names(model_.recipes())));
  }
  const auto check = [&](const std::string& flag, const std::string& name) -> absl::Status {
    if (known->parameters().fields().contains(name)) return absl::OkStatus();
    std::vector<std::string> names;
    for (const auto& [one, value] : known->parameters().fields()) names.push_back(one);
    std::sort(names.begin(), names.end());
    return absl::InvalidArgumentError(
        absl::StrCat(flag, ": recipe \"", known->name(), "\" has no parameter \"", name,
                     "\"; it has ", names.empty() ? "none" : absl::StrJoin(names, ", ")));
  };
  for (const auto& [name, value] : recipe_.parameters().fields()) {
    BACKFIRE_RETURN_IF_ERROR(check("--set", name));
  }
  for (const std::string& name : options_.inert) {
    BACKFIRE_RETURN_IF_ERROR(check("--inert", name));
  }
  return absl::OkStatus();
}

const v1::Recipe* Trial::described_recipe() const {
  for (const v1::Recipe& known : model_.recipes()) {
    if (known.name() == recipe_.name()) return &known;
  }
  return nullptr;
}

bool Trial::Can(v1::Capability capability) const {
  return std::count(model_.capabilities().begin(), model_.capabilities().end(), capability) > 0;
}

void Trial::Check(const std::string& what, const std::function<absl::Status()>& check) {
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

bool Trial::TryOtherCount(const std::string& sentence,
                          std::set<std::pair<std::string, int64_t>>& tried) {
  constexpr size_t kAttempts = 8;
  const auto pulls = parents_->TakePulls();
  if (pulls.empty() || tried.size() >= kAttempts) return false;
  const std::string split = pulls.back().split;
  if (options_.examples.count(split) > 0) return false;
  tried.emplace(split, parents_->ExampleCount(split));
  for (const int64_t number : NumbersOf(sentence)) {
    if (!tried.emplace(split, number).second) continue;
    parents_->SetExampleCount(split, number);
    return true;
  }
  return false;
}

bool Trial::IsBroken() const {
  return std::any_of(findings_.begin(), findings_.end(), [](const Finding& finding) {
    return finding.outcome == Finding::Outcome::kBroken;
  });
}

std::string Trial::NextId() { return absl::StrCat("conformance/", options_.run, "/", ++requests_); }

v1::TrainRequest Trial::TrainRequest() { return TrainRequest(parents_->Lineage(Conduct::kPlain)); }

v1::TrainRequest Trial::TrainRequest(const std::vector<v1::Parent>& lineage) {
  v1::TrainRequest request;
  request.set_request_id(NextId());
  request.set_model(model_.name());
  *request.mutable_recipe() = recipe_;
  request.mutable_lineage()->Assign(lineage.begin(), lineage.end());
  request.mutable_dataset()->set_uri(options_.dataset);
  *request.mutable_endpoints() = parents_->endpoints();
  return request;
}

v1::EvaluateRequest Trial::EvaluateRequest(const v1::Version& version) {
  v1::EvaluateRequest request;
  request.set_request_id(NextId());
  request.set_version(version.name());
  request.mutable_dataset()->set_uri(options_.dataset);
  request.set_split("test");
  request.mutable_bootstrap()->set_seed(1234567);
  request.mutable_bootstrap()->set_resample_count(kResamples);
  *request.mutable_endpoints() = parents_->endpoints();
  return request;
}

v1::MaterializeRequest Trial::MaterializeRequest(const v1::Version& version) const {
  v1::MaterializeRequest request;
  request.set_version(version.name());
  request.mutable_dataset()->set_uri(options_.dataset);
  request.set_split("test");
  request.set_digest(version.digest());
  *request.mutable_endpoints() = parents_->endpoints();
  return request;
}

v1::CommitOutputsRequest Trial::CommitRequest(const v1::Version& version) {
  v1::CommitOutputsRequest request;
  request.set_request_id(NextId());
  request.set_version(version.name());
  request.set_digest(version.digest());
  request.mutable_dataset()->set_uri(options_.dataset);
  request.set_split("test");
  *request.mutable_endpoints() = parents_->endpoints();
  return request;
}

template <typename Request>
absl::StatusOr<v1::Job> Trial::Finish(grpc::Status (Stub::*method)(grpc::ClientContext*,
                                                                   const Request&, v1::Job*),
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

absl::StatusOr<v1::Job> Trial::Train(const v1::TrainRequest& request) {
  return Finish(&Stub::Train, request);
}

absl::StatusOr<v1::Job> Trial::Evaluate(const v1::EvaluateRequest& request) {
  return Finish(&Stub::Evaluate, request);
}

absl::StatusOr<v1::Job> Trial::Commit(const v1::CommitOutputsRequest& request) {
  return Finish(&Stub::CommitOutputs, request);
}

absl::StatusOr<Outputs> Trial::Materialize(const v1::MaterializeRequest& request) {
  grpc::ClientContext context;
  runtime::SetDeadline(context, kJobTimeout);  // It may have to predict a split first.
  const auto reader = stub_->Materialize(&context, request);
  std::vector<v1::MaterializeResponse> pieces;
  v1::MaterializeResponse piece;
  while (reader->Read(&piece)) pieces.push_back(piece);
  BACKFIRE_RETURN_IF_ERROR(runtime::FromGrpcStatus(reader->Finish()));
  return Assemble(model_, pieces, {request.examples().begin(), request.examples().end()});
}

absl::StatusOr<inference::ModelInferResponse> Trial::Infer(
    const inference::ModelInferRequest& request) {
  return runtime::UnaryCall(*inference_, &inference::GRPCInferenceService::Stub::ModelInfer,
                            request, kCallTimeout);
}

absl::StatusOr<Trained> Trial::TrainAndLook(const v1::TrainRequest& request) {
  BACKFIRE_ASSIGN_OR_RETURN(const v1::Job job, Train(request));
  return Look(job.version());
}

absl::StatusOr<Trained> Trial::Look(const v1::Version& version) {
  Trained trained;
  trained.version = version;
  BACKFIRE_ASSIGN_OR_RETURN(trained.outputs, Materialize(MaterializeRequest(version)));
  BACKFIRE_ASSIGN_OR_RETURN(const v1::Job evaluated, Evaluate(EvaluateRequest(version)));
  trained.evaluation = evaluated.evaluation();
  return trained;
}

absl::Status MustBeSame(const v1::Version& version, const v1::Version& other) {
  if (other.name() == version.name() && other.digest() == version.digest()) return absl::OkStatus();
  return Broken(absl::StrCat("it must be ", version.name(), " with digest ", version.digest(),
                             ": got ", other.name(), " with ", other.digest()));
}

absl::Status MustDiffer(const v1::Version& version, const v1::Version& other,
                        const std::string& what) {
  if (version.name() == other.name() || version.input_key() == other.input_key() ||
      version.digest() == other.digest()) {
    return Broken(absl::StrCat(what,
                               " must make another version, with another input_key and "
                               "digest: got ",
                               other.name(), " again"));
  }
  return absl::OkStatus();
}

bool SaySame(const Trained& a, const Trained& b) {
  const auto near = [](double x, double y) {
    return x == y || std::abs(x - y) <= 1e-5 * std::max({1.0, std::abs(x), std::abs(y)}) ||
           (std::isnan(x) && std::isnan(y));
  };
  const auto& losses = a.evaluation.losses();
  return SaySame(a.outputs, b.outputs) &&
         std::equal(losses.begin(), losses.end(), b.evaluation.losses().begin(),
                    b.evaluation.losses().end(), [&](const auto& x, const auto& y) {
                      return x.loss() == y.loss() && x.slice() == y.slice() &&
                             near(x.value(), y.value());
                    });
}

bool SameLosses(const v1::Evaluation& a, const v1::Evaluation& b) {
  return std::equal(
      a.losses().begin(), a.losses().end(), b.losses().begin(), b.losses().end(),
      [](const auto& x, const auto& y) { return x.SerializeAsString() == y.SerializeAsString(); });
}

}  // namespace backfire::conformance
