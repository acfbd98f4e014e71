#include <algorithm>
#include <string>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "orchestrator/conformance/checks.h"
#include "services/base/status.h"

namespace backfire::conformance {
namespace {

bool IsDigest(const std::string& text) {
  return text.size() == 64 && std::all_of(text.begin(), text.end(), [](char c) {
           return absl::ascii_isxdigit(static_cast<unsigned char>(c)) && !absl::ascii_isupper(c);
         });
}

bool IsUsersMistake(const absl::Status& status) {
  return absl::IsInvalidArgument(status) || absl::IsNotFound(status) ||
         absl::IsFailedPrecondition(status);
}

// What the user may have meant, where the service refuses what was asked for.
absl::Status Refused(const Trial& trial, const absl::Status& status) {
  std::vector<std::string> hints;
  std::vector<std::string> unfed;
  for (const v1::TensorSignature& input : trial.model().inputs()) {
    const auto& fed = trial.parents().fed();
    if (std::none_of(fed.begin(), fed.end(),
                     [&](const auto& f) { return f.name() == input.name(); })) {
      unfed.push_back(input.name());
    }
  }
  if (!unfed.empty()) {
    hints.push_back(
        absl::StrCat("nothing feeds ", absl::StrJoin(unfed, ", "),
                     ": where other vertices do, add --feed-all, or --feed NAME for each"));
  } else if (trial.options().feed_all) {
    hints.push_back("where requests bring some of its inputs, feed the others by --feed NAME");
  }
  if (trial.is_fed()) {
    hints.push_back(
        "made-up parents give normal numbers, whole ones of 0 and 1, and 2 where a size is any: "
        "--range NAME=LOW,HIGH, --shape NAME=64,64,3 and --examples train=N have them give others");
  }
  hints.push_back(
      absl::StrCat("--dataset URI names what it reads, and is \"", trial.options().dataset, "\""));
  if (trial.options().recipe.parameters().fields_size() > 0) {
    hints.push_back("--set NAME=VALUE must be in the parameter's range");
  }
  return absl::InvalidArgumentError(absl::StrCat("the service refuses to train: ", status.message(),
                                                 "\n  ", absl::StrJoin(hints, "\n  ")));
}

absl::Status CheckVersion(const Trial& trial, const v1::Version& version) {
  const v1::Model& model = trial.model();
  const std::string prefix = absl::StrCat(model.name(), "/versions/");
  int64_t number = 0;
  if (!absl::StartsWith(version.name(), prefix) ||
      !absl::SimpleAtoi(version.name().substr(prefix.size()), &number) || number < 1) {
    return Broken(absl::StrCat("name must be ", prefix, "{number}: got ", version.name()));
  }
  if (!IsDigest(version.input_key()) || !IsDigest(version.digest())) {
    return Broken("input_key and digest must have 64 lower-case hexadecimal digits");
  }
  if (!IsDigest(version.dataset().digest())) {
    return Broken("dataset.digest must have 64 lower-case hexadecimal digits");
  }
  if (version.recipe().name() != trial.recipe().name()) return Broken("recipe.name is another");
  v1::Recipe expected = *trial.described_recipe();
  for (const auto& [name, value] : trial.recipe().parameters().fields()) {
    (*expected.mutable_parameters()->mutable_fields())[name] = value;
  }
  const auto& fields = version.recipe().parameters().fields();
  for (const auto& [name, value] : expected.parameters().fields()) {
    const auto found = fields.find(name);
    if (found == fields.end() || found->second.SerializeAsString() != value.SerializeAsString()) {
      return Broken(absl::StrCat("recipe.parameters.", name, " must have its effective value"));
    }
  }
  if (fields.size() != expected.parameters().fields().size()) {
    return Broken("recipe has parameters that GetModel does not have");
  }
  if (version.build_fingerprint() != model.build_fingerprint()) {
    return Broken("build_fingerprint must be the service's, which trained it");
  }
  const std::vector<v1::Parent> lineage = trial.parents().Lineage(Conduct::kPlain);
  const bool same = std::equal(
      lineage.begin(), lineage.end(), version.lineage().begin(), version.lineage().end(),
      [](const auto& a, const auto& b) { return a.SerializeAsString() == b.SerializeAsString(); });
  return same ? absl::OkStatus() : Broken("lineage must be what was asked for, sorted by input");
}

}  // namespace

absl::StatusOr<Trained> TryFirstTraining(Trial& trial) {
  Trained base;
  const absl::StatusOr<v1::Job> trained =
      trial.Fit([&] { return trial.Train(trial.TrainRequest()); });
  if (IsUsersMistake(trained.status())) return Refused(trial, trained.status());
  trial.Check("a recipe trains a version", [&] {
    return trained.ok() && trained->version().name().empty() ? Broken("the job has no version")
                                                             : trained.status();
  });
  if (!trained.ok() || trained->version().name().empty()) return base;
  trial.Check("a version says what it is made of",
              [&] { return CheckVersion(trial, trained->version()); });
  trial.Check("its outputs and its losses can be had", [&]() -> absl::Status {
    BACKFIRE_ASSIGN_OR_RETURN(base, trial.Fit([&] { return trial.Look(trained->version()); }));
    if (base.outputs.empty()) return Broken("it has no outputs on the split test");
    if (base.evaluation.losses().empty()) return Broken("its evaluation has no losses");
    return absl::OkStatus();
  });
  if (base.outputs.empty() || base.evaluation.losses().empty()) base.version.Clear();
  return base;
}

void TryTrainRequests(Trial& trial, const Trained& base) {
  const v1::TrainRequest request = trial.TrainRequest();
  trial.Check("training what was trained returns it, whatever the request_id",
              [&]() -> absl::Status {
                BACKFIRE_ASSIGN_OR_RETURN(const v1::Job job, trial.Train(request));
                return MustBeSame(base.version, job.version());
              });
  trial.Check("the same request is the same job", [&]() -> absl::Status {
    BACKFIRE_ASSIGN_OR_RETURN(const v1::Job job, trial.Train(request));
    return MustBeSame(base.version, job.version());
  });
  trial.Check("a service that moved is the same: other endpoints make no other request",
              [&]() -> absl::Status {
                v1::TrainRequest moved = request;
                (*moved.mutable_endpoints()->mutable_by_model())["models/elsewhere"] = "unix:/none";
                BACKFIRE_ASSIGN_OR_RETURN(const v1::Job job, trial.Train(moved));
                return MustBeSame(base.version, job.version());
              });
  trial.Check("a request_id with other arguments is ALREADY_EXISTS", [&] {
    v1::TrainRequest other = request;
    other.set_seed(other.seed() + 1);
    return MustBe(absl::StatusCode::kAlreadyExists, trial.Train(other));
  });
  const auto refuses = [&](const std::string& what,
                           const std::function<void(v1::TrainRequest&)>& spoil) {
    trial.Check(what, [&] {
      v1::TrainRequest bad = trial.TrainRequest();
      spoil(bad);
      return MustBe(absl::StatusCode::kInvalidArgument, trial.Train(bad));
    });
  };
  refuses("an unknown recipe is INVALID_ARGUMENT",
          [](auto& bad) { bad.mutable_recipe()->set_name("there-is-none-of-this-name"); });
  refuses("an unknown parameter is INVALID_ARGUMENT", [](auto& bad) {
    (*bad.mutable_recipe()->mutable_parameters()->mutable_fields())["no_such_parameter"]
        .set_number_value(1);
  });
  refuses("a negative seed is INVALID_ARGUMENT", [](auto& bad) { bad.set_seed(-1); });
  refuses("a request without a request_id is INVALID_ARGUMENT",
          [](auto& bad) { bad.clear_request_id(); });
  refuses("a lineage that feeds an unknown input is INVALID_ARGUMENT", [](auto& bad) {
    v1::Parent& parent = *bad.add_lineage();
    parent.set_input("no-such-input");
    parent.set_output("y");
    parent.set_version("models/stand-in-0/versions/1");
    parent.set_digest(std::string(64, '0'));
  });
  if (trial.is_fed()) {
    refuses("a lineage that feeds an input twice is INVALID_ARGUMENT",
            [](auto& bad) { *bad.add_lineage() = bad.lineage(0); });
  }
  trial.Check("an unknown job is NOT_FOUND", [&] {
    v1::GetJobRequest unknown;
    unknown.set_name("jobs/there-is-none-of-this-name");
    return MustBe(absl::StatusCode::kNotFound, trial.Call(&Trial::Stub::GetJob, unknown));
  });
}

}  // namespace backfire::conformance
