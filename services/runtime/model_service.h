#pragma once

#include <functional>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "backfire/v1/model_service.grpc.pb.h"
#include "services/rpc/byte_budget.h"
#include "services/rpc/stream_budget.h"
#include "services/runtime/hosted_model.h"
#include "services/runtime/jobs/job_runner.h"

namespace backfire::runtime {

/// `backfire.v1.ModelService` over models and their jobs; both are borrowed.
class ModelServiceImpl final : public v1::ModelService::Service {
 public:
  /// @param primary  gRPC target of the service that this one is a replica of; empty: it is none.
  ///                 A replica serves requests; FAILED_PRECONDITION for what only its primary does.
  /// @param files    Of the files that imports bring and exports send. Borrowed.
  /// @param on_load  Called when a version was loaded or unloaded, on the thread that did it.
  ModelServiceImpl(
      const HostedModels& models, JobRunner& jobs, ByteBudget& files, std::string primary = "",
      std::function<void()> on_load = [] {})
      : models_(models),
        jobs_(jobs),
        files_(files),
        primary_(std::move(primary)),
        on_load_(std::move(on_load)) {}

  grpc::Status GetModel(grpc::ServerContext* context, const v1::GetModelRequest* request,
                        v1::Model* response) override;
  grpc::Status ListModels(grpc::ServerContext* context, const v1::ListModelsRequest* request,
                          v1::ListModelsResponse* response) override;
  grpc::Status ResolveRecipe(grpc::ServerContext* context, const v1::ResolveRecipeRequest* request,
                             v1::ResolveRecipeResponse* response) override;
  grpc::Status Train(grpc::ServerContext* context, const v1::TrainRequest* request,
                     v1::Job* response) override;
  grpc::Status Evaluate(grpc::ServerContext* context, const v1::EvaluateRequest* request,
                        v1::Job* response) override;
  grpc::Status CommitOutputs(grpc::ServerContext* context, const v1::CommitOutputsRequest* request,
                             v1::Job* response) override;
  grpc::Status GetJob(grpc::ServerContext* context, const v1::GetJobRequest* request,
                      v1::Job* response) override;
  grpc::Status WatchJob(grpc::ServerContext* context, const v1::WatchJobRequest* request,
                        grpc::ServerWriter<v1::Job>* writer) override;
  grpc::Status CancelJob(grpc::ServerContext* context, const v1::CancelJobRequest* request,
                         v1::Job* response) override;
  grpc::Status Materialize(grpc::ServerContext* context, const v1::MaterializeRequest* request,
                           grpc::ServerWriter<v1::MaterializeResponse>* writer) override;
  grpc::Status ListVersions(grpc::ServerContext* context, const v1::ListVersionsRequest* request,
                            v1::ListVersionsResponse* response) override;
  grpc::Status GetVersion(grpc::ServerContext* context, const v1::GetVersionRequest* request,
                          v1::Version* response) override;
  grpc::Status DeleteVersion(grpc::ServerContext* context, const v1::DeleteVersionRequest* request,
                             v1::DeleteVersionResponse* response) override;
  grpc::Status ImportVersion(grpc::ServerContext* context,
                             grpc::ServerReader<v1::ImportVersionRequest>* reader,
                             v1::Version* response) override;
  grpc::Status ExportVersion(grpc::ServerContext* context, const v1::ExportVersionRequest* request,
                             grpc::ServerWriter<v1::ExportVersionResponse>* writer) override;
  grpc::Status LoadVersion(grpc::ServerContext* context, const v1::LoadVersionRequest* request,
                           v1::LoadVersionResponse* response) override;
  grpc::Status UnloadVersion(grpc::ServerContext* context, const v1::UnloadVersionRequest* request,
                             v1::UnloadVersionResponse* response) override;

 private:
  absl::Status CheckIsPrimary() const;

  const HostedModels& models_;
  JobRunner& jobs_;
  ByteBudget& files_;
  const std::string primary_;
  const std::function<void()> on_load_;
  StreamBudget watches_{64, "watches of jobs"};  ///< They wait, each on a thread of the server's.
};

}  // namespace backfire::runtime
