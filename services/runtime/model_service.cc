#include "services/runtime/model_service.h"

#include <algorithm>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/strip.h"
#include "services/base/crash_point.h"
#include "services/base/status.h"
#include "services/rpc/rpc_status.h"
#include "services/runtime/file_stream.h"
#include "services/runtime/request_bounds.h"

namespace backfire::runtime {
namespace {

constexpr int kDefaultPageSize = 100;
constexpr int kMaxPageSize = 1000;

// Work that a caller waits for on the line: nobody watches it, and it ends with the call.
class CallContext final : public JobContext {
 public:
  explicit CallContext(const grpc::ServerContext& context) : context_(context) {}
  void Report(const v1::Progress&) override {}
  bool cancelled() const override { return context_.IsCancelled(); }

 private:
  const grpc::ServerContext& context_;
};

// Sends an example's outputs in pieces. False: the caller has gone.
bool SendExample(const OutputProducer::Outputs& outputs, int64_t example, const v1::Model& model,
                 const TensorMap& tensors, grpc::ServerWriter<v1::MaterializeResponse>& writer) {
  bool first_of_example = true;
  for (const v1::TensorSignature& output : model.outputs()) {
    const auto found = tensors.find(output.name());
    if (found == tensors.end()) continue;
    const Tensor& tensor = found->second;
    size_t sent = 0;
    do {
      v1::MaterializeResponse piece;
      piece.set_example(example);
      if (first_of_example) {
        piece.set_example_id(outputs.dataset->ExampleId(outputs.split, example));
        piece.set_cluster(outputs.dataset->Cluster(outputs.split, example));
      }
      first_of_example = false;
      piece.set_output(output.name());
      if (sent == 0) {
        piece.set_datatype(std::string(DatatypeName(tensor.datatype)));
        piece.mutable_shape()->Assign(tensor.shape.begin(), tensor.shape.end());
      }
      const size_t count = std::min(static_cast<size_t>(kPieceBytes), tensor.data.size() - sent);
      piece.set_data(tensor.data.data() + sent, count);
      sent += count;
      piece.set_last_piece(sent == tensor.data.size());
      if (!writer.Write(piece)) return false;
    } while (sent < tensor.data.size());
  }
  return true;
}

}  // namespace

absl::Status ModelServiceImpl::CheckIsPrimary() const {
  if (primary_.empty()) return absl::OkStatus();
  return absl::FailedPreconditionError(
      absl::StrCat("this process is a replica and only serves requests: ask ", primary_));
}

grpc::Status ModelServiceImpl::GetModel(grpc::ServerContext*, const v1::GetModelRequest* request,
                                        v1::Model* response) {
  BACKFIRE_CHECK_BOUNDS(*request);
  if (request->name().empty() && models_.size() == 1) {
    *response = models_.begin()->second->description();
    return grpc::Status::OK;
  }
  const auto model = FindModel(models_, request->name());
  if (model.ok()) *response = (*model)->description();
  return ToGrpcStatus(model.status());
}

grpc::Status ModelServiceImpl::ListModels(grpc::ServerContext*, const v1::ListModelsRequest*,
                                          v1::ListModelsResponse* response) {
  for (const auto& [name, model] : models_) *response->add_models() = model->description();
  return grpc::Status::OK;
}

grpc::Status ModelServiceImpl::ResolveRecipe(grpc::ServerContext* context,
                                             const v1::ResolveRecipeRequest* request,
                                             v1::ResolveRecipeResponse* response) {
  BACKFIRE_CHECK_BOUNDS(*request);
  const auto resolve = [&]() -> absl::Status {
    BACKFIRE_ASSIGN_OR_RETURN(const HostedModel* model, FindModel(models_, request->model()));
    BACKFIRE_ASSIGN_OR_RETURN(
        *response->mutable_recipe(),
        model->trainer().Resolve(*request, [context] { return context->IsCancelled(); }));
    return absl::OkStatus();
  };
  return ToGrpcStatus(resolve());
}

grpc::Status ModelServiceImpl::Train(grpc::ServerContext*, const v1::TrainRequest* request,
                                     v1::Job* response) {
  BACKFIRE_CHECK_BOUNDS(*request);
  const auto start = [&]() -> absl::Status {
    BACKFIRE_RETURN_IF_ERROR(CheckIsPrimary());
    BACKFIRE_ASSIGN_OR_RETURN(const HostedModel* model, FindModel(models_, request->model()));
    BACKFIRE_RETURN_IF_ERROR(model->trainer().Check(*request));
    BACKFIRE_ASSIGN_OR_RETURN(*response, jobs_.Start(*request));
    return absl::OkStatus();
  };
  return ToGrpcStatus(start());
}

grpc::Status ModelServiceImpl::Evaluate(grpc::ServerContext*, const v1::EvaluateRequest* request,
                                        v1::Job* response) {
  BACKFIRE_CHECK_BOUNDS(*request);
  const auto start = [&]() -> absl::Status {
    BACKFIRE_RETURN_IF_ERROR(CheckIsPrimary());
    BACKFIRE_ASSIGN_OR_RETURN(const NamedVersion named, FindVersion(models_, request->version()));
    BACKFIRE_RETURN_IF_ERROR(named.model->evaluator().Check(*request));
    BACKFIRE_ASSIGN_OR_RETURN(*response, jobs_.Start(*request));
    return absl::OkStatus();
  };
  return ToGrpcStatus(start());
}

grpc::Status ModelServiceImpl::CommitOutputs(grpc::ServerContext*,
                                             const v1::CommitOutputsRequest* request,
                                             v1::Job* response) {
  BACKFIRE_CHECK_BOUNDS(*request);
  const auto start = [&]() -> absl::Status {
    BACKFIRE_RETURN_IF_ERROR(CheckIsPrimary());
    BACKFIRE_ASSIGN_OR_RETURN(const NamedVersion named, FindVersion(models_, request->version()));
    BACKFIRE_RETURN_IF_ERROR(named.model->committer().Check(*request));
    BACKFIRE_ASSIGN_OR_RETURN(*response, jobs_.Start(*request));
    return absl::OkStatus();
  };
  return ToGrpcStatus(start());
}

grpc::Status ModelServiceImpl::GetJob(grpc::ServerContext*, const v1::GetJobRequest* request,
                                      v1::Job* response) {
  BACKFIRE_CHECK_BOUNDS(*request);
  absl::StatusOr<v1::Job> job = jobs_.Get(request->name());
  if (!job.ok()) return ToGrpcStatus(job.status());
  *response = *std::move(job);
  return grpc::Status::OK;
}

grpc::Status ModelServiceImpl::WatchJob(grpc::ServerContext* context,
                                        const v1::WatchJobRequest* request,
                                        grpc::ServerWriter<v1::Job>* writer) {
  BACKFIRE_CHECK_BOUNDS(*request);
  const StreamBudget::Place place(watches_);
  if (!place.status().ok()) return ToGrpcStatus(place.status());
  return ToGrpcStatus(jobs_.Watch(request->name(), [&](const v1::Job& job) {
    return !context->IsCancelled() && writer->Write(job);
  }));
}

grpc::Status ModelServiceImpl::CancelJob(grpc::ServerContext*, const v1::CancelJobRequest* request,
                                         v1::Job* response) {
  BACKFIRE_CHECK_BOUNDS(*request);
  absl::StatusOr<v1::Job> job = jobs_.Cancel(request->name());
  if (!job.ok()) return ToGrpcStatus(job.status());
  *response = *std::move(job);
  return grpc::Status::OK;
}

grpc::Status ModelServiceImpl::Materialize(grpc::ServerContext* context,
                                           const v1::MaterializeRequest* request,
                                           grpc::ServerWriter<v1::MaterializeResponse>* writer) {
  BACKFIRE_CHECK_BOUNDS(*request);
  const auto materialize = [&]() -> absl::Status {
    BACKFIRE_RETURN_IF_ERROR(CheckIsPrimary());
    BACKFIRE_ASSIGN_OR_RETURN(const NamedVersion named, FindVersion(models_, request->version()));
    CallContext call(*context);
    BACKFIRE_ASSIGN_OR_RETURN(const OutputProducer::Outputs outputs,
                              named.model->outputs().Materialize(*request, call));
    std::vector<int64_t> examples(request->examples().begin(), request->examples().end());
    for (int64_t i = 0; request->examples().empty() && i < outputs.examples->size(); ++i) {
      examples.push_back(i);
    }
    for (const int64_t example : examples) {
      CrashPoint("materialize", request->version(), " ", request->split(), " ", example);
      BACKFIRE_ASSIGN_OR_RETURN(const TensorMap tensors, outputs.examples->Get(example));
      if (!SendExample(outputs, example, named.model->description(), tensors, *writer)) {
        return absl::CancelledError("the caller has gone");
      }
    }
    return absl::OkStatus();
  };
  return ToGrpcStatus(materialize());
}

grpc::Status ModelServiceImpl::ListVersions(grpc::ServerContext*,
                                            const v1::ListVersionsRequest* request,
                                            v1::ListVersionsResponse* response) {
  BACKFIRE_CHECK_BOUNDS(*request);
  const auto list = [&]() -> absl::Status {
    BACKFIRE_ASSIGN_OR_RETURN(const HostedModel* model, FindModel(models_, request->model()));
    // The token is the number that the next page starts behind.
    int64_t after = 0;
    if (!request->page_token().empty() &&
        (!absl::SimpleAtoi(request->page_token(), &after) || after < 0 ||
         absl::StrCat(after) != request->page_token())) {
      return absl::InvalidArgumentError(
          absl::StrCat("page_token is not one of ListVersions: \"", request->page_token(), "\""));
    }
    if (request->page_size() < 0) {
      return absl::InvalidArgumentError(
          absl::StrCat("page_size must be >= 0: got ", request->page_size()));
    }
    const int page_size =
        request->page_size() == 0 ? kDefaultPageSize : std::min(request->page_size(), kMaxPageSize);
    int64_t last = 0;
    for (v1::Version& version : model->versions().List()) {
      BACKFIRE_ASSIGN_OR_RETURN(const VersionId id, ParseVersionName(version.name()));
      if (id.number <= after) continue;
      if (response->versions_size() == page_size) {
        response->set_next_page_token(absl::StrCat(last));
        break;
      }
      last = id.number;
      version.set_loaded(model->served().IsLoaded(id.number));
      *response->add_versions() = std::move(version);
    }
    return absl::OkStatus();
  };
  return ToGrpcStatus(list());
}

grpc::Status ModelServiceImpl::GetVersion(grpc::ServerContext*,
                                          const v1::GetVersionRequest* request,
                                          v1::Version* response) {
  BACKFIRE_CHECK_BOUNDS(*request);
  const auto get = [&]() -> absl::Status {
    BACKFIRE_ASSIGN_OR_RETURN(const NamedVersion named, FindVersion(models_, request->name()));
    BACKFIRE_ASSIGN_OR_RETURN(*response, named.Get());
    return absl::OkStatus();
  };
  return ToGrpcStatus(get());
}

grpc::Status ModelServiceImpl::DeleteVersion(grpc::ServerContext*,
                                             const v1::DeleteVersionRequest* request,
                                             v1::DeleteVersionResponse*) {
  BACKFIRE_CHECK_BOUNDS(*request);
  const auto remove = [&]() -> absl::Status {
    BACKFIRE_RETURN_IF_ERROR(CheckIsPrimary());
    BACKFIRE_ASSIGN_OR_RETURN(const NamedVersion named, FindVersion(models_, request->name()));
    BACKFIRE_RETURN_IF_ERROR(named.model->served().Delete(named.number));
    named.model->evaluator().Forget(named.number);
    return absl::OkStatus();
  };
  return ToGrpcStatus(remove());
}

grpc::Status ModelServiceImpl::ImportVersion(grpc::ServerContext* context,
                                             grpc::ServerReader<v1::ImportVersionRequest>* reader,
                                             v1::Version* response) {
  const auto import = [&]() -> absl::Status {
    BACKFIRE_RETURN_IF_ERROR(CheckIsPrimary());
    ByteBudget::Hold held(files_, *context);
    ImportedFile imported;
    HostedModel* model = nullptr;
    while (true) {
      v1::ImportVersionRequest message;
      if (!reader->Read(&message)) break;
      BACKFIRE_RETURN_IF_ERROR(CheckBounds(message));
      BACKFIRE_RETURN_IF_ERROR(held.Add(static_cast<int64_t>(message.data().size())));
      BACKFIRE_RETURN_IF_ERROR(imported.Add(std::move(message)));
      if (model != nullptr) continue;
      BACKFIRE_ASSIGN_OR_RETURN(model, FindModel(models_, imported.description().model()));
      BACKFIRE_RETURN_IF_ERROR(model->exchange().Check(imported.description()));
    }
    if (context->IsCancelled()) return absl::CancelledError("the caller has gone");
    BACKFIRE_ASSIGN_OR_RETURN(const std::string file, imported.Finish());
    BACKFIRE_ASSIGN_OR_RETURN(*response, model->exchange().Import(imported.description(), file));
    BACKFIRE_ASSIGN_OR_RETURN(const VersionId id, ParseVersionName(response->name()));
    response->set_loaded(model->served().IsLoaded(id.number));
    return absl::OkStatus();
  };
  return ToGrpcStatus(import());
}

grpc::Status ModelServiceImpl::ExportVersion(
    grpc::ServerContext* context, const v1::ExportVersionRequest* request,
    grpc::ServerWriter<v1::ExportVersionResponse>* writer) {
  BACKFIRE_CHECK_BOUNDS(*request);
  const auto send = [&]() -> absl::Status {
    BACKFIRE_ASSIGN_OR_RETURN(const NamedVersion named, FindVersion(models_, request->name()));
    BACKFIRE_ASSIGN_OR_RETURN(const v1::Version version, named.Get());
    ByteBudget::Hold held(files_, *context);
    BACKFIRE_RETURN_IF_ERROR(held.Add(version.weights_bytes()));
    BACKFIRE_ASSIGN_OR_RETURN(const std::string file,
                              request->as_stored()
                                  ? named.model->exchange().ExportAsStored(named.number)
                                  : named.model->exchange().Export(named.number));
    const auto write = [&](const v1::ExportVersionResponse& piece) { return writer->Write(piece); };
    return SendExportedFile(version, file, write) ? absl::OkStatus()
                                                  : absl::CancelledError("the caller has gone");
  };
  return ToGrpcStatus(send());
}

grpc::Status ModelServiceImpl::LoadVersion(grpc::ServerContext* context,
                                           const v1::LoadVersionRequest* request,
                                           v1::LoadVersionResponse*) {
  BACKFIRE_CHECK_BOUNDS(*request);
  const auto named = FindVersion(models_, request->name());
  if (!named.ok()) return ToGrpcStatus(named.status());
  const absl::Status loaded = named->model->served().Load(named->number, request->digest(),
                                                          [&] { return context->IsCancelled(); });
  on_load_();
  return ToGrpcStatus(loaded);
}

grpc::Status ModelServiceImpl::UnloadVersion(grpc::ServerContext*,
                                             const v1::UnloadVersionRequest* request,
                                             v1::UnloadVersionResponse*) {
  BACKFIRE_CHECK_BOUNDS(*request);
  const auto named = FindVersion(models_, request->name());
  if (!named.ok()) return ToGrpcStatus(named.status());
  const absl::Status unloaded = named->model->served().Unload(named->number);
  on_load_();
  return ToGrpcStatus(unloaded);
}

}  // namespace backfire::runtime
