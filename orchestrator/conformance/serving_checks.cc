// ModelInfer gives what Materialize gave: what was judged is what is served.
#include <algorithm>
#include <future>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "orchestrator/conformance/checks.h"
#include "services/base/status.h"

namespace backfire::conformance {
namespace {

using inference::ModelInferRequest;
using inference::ModelInferResponse;

constexpr int64_t kExamples = 5;
constexpr char kId[] = "conformance";

std::string NumberOf(const v1::Version& version) {
  return version.name().substr(version.name().rfind('/') + 1);
}

// A request by what the stand-in parents give for an example of the split test; inputs that they do
// not feed are zeros.
ModelInferRequest MakeRequest(const Trial& trial, const v1::Version& version, Conduct conduct,
                              int64_t example) {
  ModelInferRequest request;
  request.set_model_name(std::string(absl::StripPrefix(trial.model().name(), "models/")));
  request.set_model_version(NumberOf(version));
  request.set_id(kId);
  for (const v1::TensorSignature& input : trial.model().inputs()) {
    TensorData tensor;
    tensor.datatype = input.datatype();
    int64_t count = 1;
    const v1::TensorSignature sized = trial.Sized(input);
    for (const int64_t size : sized.shape()) {
      tensor.shape.push_back(size);
      count *= size;
    }
    tensor.bytes.assign(static_cast<size_t>(count * ElementBytes(tensor.datatype)), '\0');
    for (size_t i = 0; i < trial.parents().fed().size(); ++i) {
      if (trial.parents().fed()[i].name() != input.name()) continue;
      tensor = trial.parents().Tensor(i, conduct, "test", example);
    }
    auto& sent = *request.add_inputs();
    sent.set_name(input.name());
    sent.set_datatype(tensor.datatype);
    sent.mutable_shape()->Assign(tensor.shape.begin(), tensor.shape.end());
    request.add_raw_input_contents(std::move(tensor.bytes));
  }
  return request;
}

// The outputs of an answer, as the model's signature has them.
absl::StatusOr<std::vector<TensorData>> ReadAnswer(const Trial& trial,
                                                   const ModelInferRequest& request,
                                                   const ModelInferResponse& response) {
  if (response.model_version() != request.model_version()) {
    return Broken(absl::StrCat("model_version must be ", request.model_version(), ": got \"",
                               response.model_version(), "\""));
  }
  if (response.model_name() != request.model_name()) {
    return Broken(absl::StrCat("model_name must be ", request.model_name(), ": got \"",
                               response.model_name(), "\""));
  }
  if (response.id() != kId) return Broken("id must be the request's");
  const auto& outputs = trial.model().outputs();
  if (response.outputs_size() != outputs.size() ||
      response.raw_output_contents_size() != outputs.size()) {
    return Broken(absl::StrCat("it must have ", outputs.size(),
                               " outputs, each with raw contents: "
                               "got ",
                               response.outputs_size(), " and ",
                               response.raw_output_contents_size()));
  }
  std::vector<TensorData> tensors;
  for (int i = 0; i < outputs.size(); ++i) {
    const auto& output = response.outputs(i);
    if (output.name() != outputs.Get(i).name()) {
      return Broken(absl::StrCat("output ", i, " must be \"", outputs.Get(i).name(), "\": got \"",
                                 output.name(), "\""));
    }
    tensors.push_back({output.datatype(),
                       {output.shape().begin(), output.shape().end()},
                       response.raw_output_contents(i)});
    BACKFIRE_RETURN_IF_ERROR(CheckTensor(outputs.Get(i), tensors.back()));
  }
  return tensors;
}

// Whether answers are what Materialize gave of the same examples.
absl::Status CheckAnswers(Trial& trial, const v1::Version& version, Conduct conduct,
                          const Outputs& expected) {
  const auto count = std::min(kExamples, static_cast<int64_t>(expected.size()));
  for (int64_t example = 0; example < count; ++example) {
    const ModelInferRequest request = MakeRequest(trial, version, conduct, example);
    BACKFIRE_ASSIGN_OR_RETURN(const ModelInferResponse response, trial.Infer(request));
    BACKFIRE_ASSIGN_OR_RETURN(const auto tensors, ReadAnswer(trial, request, response));
    for (size_t i = 0; i < tensors.size(); ++i) {
      const auto& [name, materialised] = expected[static_cast<size_t>(example)].tensors[i];
      if (SaySame(tensors[i], materialised)) continue;
      return Broken(absl::StrCat("output \"", name, "\" of ", version.name(), " for example ",
                                 example, " of the split test is not what Materialize gives"));
    }
  }
  return absl::OkStatus();
}

// Without knowing what the dataset would bring: an answer of the right form, or a refusal.
absl::Status CheckForm(Trial& trial, const v1::Version& version) {
  const ModelInferRequest request = MakeRequest(trial, version, Conduct::kPlain, 0);
  const auto response = trial.Infer(request);
  if (absl::IsInvalidArgument(response.status())) return absl::OkStatus();  // Zeros are no input.
  BACKFIRE_RETURN_IF_ERROR(response.status());
  return ReadAnswer(trial, request, *response).status();
}

absl::Status Load(Trial& trial, const v1::Version& version) {
  if (!trial.Can(v1::LOAD_VERSION)) return absl::OkStatus();
  v1::LoadVersionRequest load;
  load.set_name(version.name());
  return trial.Call(&Trial::Stub::LoadVersion, load).status();
}

absl::Status CheckLoading(Trial& trial, const v1::Version& version) {
  if (!trial.Can(v1::LOAD_VERSION)) return NotTried("no capability LOAD_VERSION");
  const auto shows = [&](bool loaded) -> absl::Status {
    if (!trial.Can(v1::LIST_VERSIONS)) return absl::OkStatus();
    v1::GetVersionRequest get;
    get.set_name(version.name());
    BACKFIRE_ASSIGN_OR_RETURN(const v1::Version now, trial.Call(&Trial::Stub::GetVersion, get));
    if (now.loaded() == loaded) return absl::OkStatus();
    return Broken(absl::StrCat("Version.loaded must be ", loaded ? "true" : "false"));
  };
  for (int i = 0; i < 2; ++i) BACKFIRE_RETURN_IF_ERROR(Load(trial, version));
  BACKFIRE_RETURN_IF_ERROR(shows(true));
  for (int i = 0; i < 2; ++i) {
    v1::UnloadVersionRequest unload;
    unload.set_name(version.name());
    BACKFIRE_RETURN_IF_ERROR(trial.Call(&Trial::Stub::UnloadVersion, unload).status());
  }
  return shows(false);
}

// Requests at once get what each would get alone.
absl::Status CheckAtOnce(Trial& trial, const Trained& base) {
  constexpr int kRounds = 4;
  const auto count = std::min(kExamples, static_cast<int64_t>(base.outputs.size()));
  std::vector<std::future<absl::StatusOr<ModelInferResponse>>> answers;
  for (int64_t i = 0; i < kRounds * count; ++i) {
    answers.push_back(std::async(
        std::launch::async,
        [&trial, request = MakeRequest(trial, base.version, Conduct::kPlain, i % count)] {
          return trial.Infer(request);
        }));
  }
  absl::Status status;
  for (int64_t i = 0; i < kRounds * count; ++i) {
    const auto response = answers[static_cast<size_t>(i)].get();
    if (!status.ok() || !response.ok()) {
      if (status.ok()) status = response.status();
      continue;  // The others are waited for.
    }
    const auto& expected = base.outputs[static_cast<size_t>(i % count)].tensors;
    const auto tensors =
        ReadAnswer(trial, MakeRequest(trial, base.version, Conduct::kPlain, i % count), *response);
    if (!tensors.ok()) status = tensors.status();
    for (size_t t = 0; tensors.ok() && t < tensors->size(); ++t) {
      if (SaySame((*tensors)[t], expected[t].second)) continue;
      status = Broken(absl::StrCat("output \"", expected[t].first, "\" for example ", i % count,
                                   " is another when ", kRounds * count,
                                   " requests come at once: do they share what they compute in?"));
    }
  }
  return status;
}

// Some of the outputs, by name.
absl::Status CheckWanted(Trial& trial, const Trained& base) {
  ModelInferRequest request = MakeRequest(trial, base.version, Conduct::kPlain, 0);
  const auto& [last, tensor] = base.outputs.front().tensors.back();
  request.add_outputs()->set_name(last);
  BACKFIRE_ASSIGN_OR_RETURN(const ModelInferResponse response, trial.Infer(request));
  if (response.outputs_size() != 1 || response.raw_output_contents_size() != 1 ||
      response.outputs(0).name() != last) {
    return Broken(absl::StrCat("outputs \"", last, "\" was asked for alone: got ",
                               response.outputs_size(), " outputs"));
  }
  const TensorData got = {response.outputs(0).datatype(),
                          {response.outputs(0).shape().begin(), response.outputs(0).shape().end()},
                          response.raw_output_contents(0)};
  return SaySame(got, tensor) ? absl::OkStatus()
                              : Broken(absl::StrCat("output \"", last,
                                                    "\" asked for alone is not "
                                                    "what Materialize gives"));
}

absl::Status CheckUnloaded(Trial& trial, const v1::Version& version) {
  if (!trial.Can(v1::LOAD_VERSION)) return NotTried("no capability LOAD_VERSION");
  v1::UnloadVersionRequest unload;
  unload.set_name(version.name());
  BACKFIRE_RETURN_IF_ERROR(trial.Call(&Trial::Stub::UnloadVersion, unload).status());
  return MustBe(absl::StatusCode::kUnavailable,
                trial.Infer(MakeRequest(trial, version, Conduct::kPlain, 0)));
}

}  // namespace

void TryServing(Trial& trial, const Trained& base) {
  const v1::Recipe* recipe = trial.described_recipe();
  const auto not_served = [&]() -> absl::Status {
    if (recipe->unservable()) return NotTried("the recipe is unservable");
    return trial.Can(v1::INFER) ? absl::OkStatus() : NotTried("no capability INFER");
  };
  if (!recipe->unservable()) {
    trial.Check("a version is loaded and unloaded, twice",
                [&] { return CheckLoading(trial, base.version); });
  }
  const bool is_known =
      trial.parents().fed().size() == static_cast<size_t>(trial.model().inputs_size());
  if (!is_known) {
    trial.Check("ModelInfer answers as the signature says", [&]() -> absl::Status {
      BACKFIRE_RETURN_IF_ERROR(not_served());
      BACKFIRE_RETURN_IF_ERROR(Load(trial, base.version));
      return CheckForm(trial, base.version);
    });
  } else {
    trial.Check(
        "ModelInfer gives what Materialize gives, of the version that is asked for",
        [&]() -> absl::Status {
          BACKFIRE_RETURN_IF_ERROR(not_served());
          BACKFIRE_RETURN_IF_ERROR(Load(trial, base.version));
          BACKFIRE_ASSIGN_OR_RETURN(
              const Trained other,
              trial.TrainAndLook(trial.TrainRequest(trial.parents().Lineage(Conduct::kOther))));
          BACKFIRE_RETURN_IF_ERROR(Load(trial, other.version));
          BACKFIRE_RETURN_IF_ERROR(
              CheckAnswers(trial, base.version, Conduct::kPlain, base.outputs));
          return CheckAnswers(trial, other.version, Conduct::kOther, other.outputs);
        });
  }
  if (is_known) {
    trial.Check("requests that come at once get what each would get alone", [&]() -> absl::Status {
      BACKFIRE_RETURN_IF_ERROR(not_served());
      BACKFIRE_RETURN_IF_ERROR(Load(trial, base.version));
      return CheckAtOnce(trial, base);
    });
    trial.Check("ModelInfer gives the outputs that are asked for by name", [&]() -> absl::Status {
      BACKFIRE_RETURN_IF_ERROR(not_served());
      BACKFIRE_RETURN_IF_ERROR(Load(trial, base.version));
      return CheckWanted(trial, base);
    });
  }
  const auto refuses = [&](const std::string& what, absl::StatusCode code,
                           const std::function<void(ModelInferRequest&)>& spoil) {
    trial.Check(what, [&]() -> absl::Status {
      BACKFIRE_RETURN_IF_ERROR(not_served());
      BACKFIRE_RETURN_IF_ERROR(Load(trial, base.version));
      ModelInferRequest bad = MakeRequest(trial, base.version, Conduct::kPlain, 0);
      spoil(bad);
      return MustBe(code, trial.Infer(bad));
    });
  };
  refuses("ModelInfer of an unknown version is NOT_FOUND", absl::StatusCode::kNotFound,
          [](auto& bad) { bad.set_model_version("999999999"); });
  refuses("an input of another datatype is INVALID_ARGUMENT", absl::StatusCode::kInvalidArgument,
          [](auto& bad) {
            auto& input = *bad.mutable_inputs(0);
            input.set_datatype(input.datatype() == "INT16" ? "FP64" : "INT16");
          });
  refuses("an input of another size than its shape is INVALID_ARGUMENT",
          absl::StatusCode::kInvalidArgument,
          [](auto& bad) { bad.mutable_raw_input_contents(0)->push_back('\0'); });
  if (recipe->unservable()) return;
  trial.Check(
      "loading a version with another digest than expected is DATA_LOSS", [&]() -> absl::Status {
        if (!trial.Can(v1::LOAD_VERSION)) return NotTried("no capability LOAD_VERSION");
        v1::LoadVersionRequest load;
        load.set_name(base.version.name());
        load.set_digest(std::string(64, '0'));
        return MustBe(absl::StatusCode::kDataLoss, trial.Call(&Trial::Stub::LoadVersion, load));
      });
  trial.Check("ModelInfer of a version that is not loaded is UNAVAILABLE", [&]() -> absl::Status {
    BACKFIRE_RETURN_IF_ERROR(not_served());
    return CheckUnloaded(trial, base.version);
  });
}

}  // namespace backfire::conformance
