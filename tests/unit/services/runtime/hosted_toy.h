#pragma once

#include <gtest/gtest.h>

#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "services/rpc/rpc_server.h"
#include "services/runtime/hosted_model.h"
#include "services/runtime/model_service.h"
#include "services/runtime/recipe.h"
#include "tests/support/temporary_directory.h"
#include "tests/support/toy_models.h"

namespace backfire::runtime {

/// A job that nobody watches, and that is never told to stop.
class UnwatchedJob : public JobContext {
 public:
  void Report(const v1::Progress&) override {}
  bool cancelled() const override { return false; }
};

/// A service with one toy model in this process: `models/{name}`, its input `{input}`.
class HostedToy {
 public:
  HostedToy(const std::string& name, const std::string& input) : name_(name), input_(input) {
    Open();
  }
  /// As if the process had ended and were started again.
  void Reopen() {
    server_.reset();
    models_.clear();
    outputs_.reset();
    Open();
  }
  HostedModel& operator*() { return *models_.at(name_); }
  HostedModel* operator->() { return models_.at(name_).get(); }
  OutputStore& outputs() { return *outputs_; }

  /// Listens, for children. @return its gRPC target
  std::string Serve() {
    JobRunner::Options options;
    options.directory = directory_ / "jobs";
    auto jobs = JobRunner::Open(options, ExecuteOn(models_));
    EXPECT_TRUE(jobs.ok()) << jobs.status();
    jobs_ = *std::move(jobs);
    service_ = std::make_unique<ModelServiceImpl>(models_, *jobs_, files_);
    RpcServerOptions server;
    server.listen = "unix:" + (directory_ / "socket").string();
    auto started = RpcServer::Start(server, {service_.get()});
    EXPECT_TRUE(started.ok()) << started.status();
    server_ = *std::move(started);
    return server.listen;
  }

  /// A request that trains on `toy:8`, fed by nobody.
  v1::TrainRequest TrainRequest() const {
    v1::TrainRequest request;
    request.set_model("models/" + name_);
    request.mutable_recipe()->set_name("least-squares");
    request.mutable_dataset()->set_uri("toy:8");
    request.set_seed(1);
    return request;
  }
  absl::StatusOr<v1::Job> Train(const v1::TrainRequest& request) {
    UnwatchedJob job;
    v1::Job result;
    const absl::Status status =
        (*this)->trainer().Train(request, {(directory_ / "checkpoint").string(), ""}, job, result);
    if (!status.ok()) return status;
    return result;
  }
  v1::Version TrainedVersion(double offset = 0, int64_t seed = 1) {
    v1::TrainRequest request = TrainRequest();
    SetParameter(*request.mutable_recipe(), "offset", offset);
    request.set_seed(seed);
    const auto result = Train(request);
    EXPECT_TRUE(result.ok()) << result.status();
    return result.ok() ? result->version() : v1::Version();
  }

 private:
  void Open() {
    auto outputs = OutputStore::Open(directory_ / "outputs", 1 << 20);
    EXPECT_TRUE(outputs.ok()) << outputs.status();
    outputs_ = *std::move(outputs);
    HostedModel::Options options;
    options.directory = directory_ / "models" / name_;
    options.build_fingerprint = "a build";
    auto model =
        HostedModel::Open(options, testing::MakeToyModel(name_, input_), *outputs_, channels_);
    EXPECT_TRUE(model.ok()) << model.status();
    models_[name_] = *std::move(model);
  }

  const std::string name_, input_;
  const testing::TemporaryDirectory directory_;
  ChannelPool channels_;
  std::unique_ptr<OutputStore> outputs_;
  HostedModels models_;
  std::unique_ptr<JobRunner> jobs_;
  ByteBudget files_{int64_t{1} << 20};
  std::unique_ptr<ModelServiceImpl> service_;
  std::unique_ptr<RpcServer> server_;
};

/// A process that says of itself that it is a version's service, and gives one number for every
/// example of a split of eight.
class LyingParent {
 public:
  LyingParent(const v1::Version& version, double y) : service_(version, y) {
    RpcServerOptions server;
    server.listen = "unix:" + (directory_ / "socket").string();
    auto started = RpcServer::Start(server, {&service_});
    EXPECT_TRUE(started.ok()) << started.status();
    server_ = *std::move(started);
    target_ = server.listen;
  }
  const std::string& target() const { return target_; }

 private:
  class Service final : public v1::ModelService::Service {
   public:
    Service(const v1::Version& version, double y) : version_(version), y_(y) {}
    grpc::Status Materialize(grpc::ServerContext*, const v1::MaterializeRequest* request,
                             grpc::ServerWriter<v1::MaterializeResponse>* writer) override {
      EXPECT_EQ(request->digest(), version_.digest());
      for (int example = 0; example < 8; ++example) {
        v1::MaterializeResponse piece;
        piece.set_example(example);
        piece.set_example_id("00000" + std::to_string(example));
        piece.set_cluster("drive-" + std::to_string(example));
        piece.set_output("y");
        piece.set_datatype("FP64");
        piece.add_shape(1);
        piece.set_data(&y_, sizeof(y_));
        piece.set_last_piece(true);
        writer->Write(piece);
      }
      return grpc::Status::OK;
    }

   private:
    const v1::Version version_;
    const double y_;
  };

  const testing::TemporaryDirectory directory_;
  Service service_;
  std::unique_ptr<RpcServer> server_;
  std::string target_;
};

/// An entry of a lineage: `input` is fed by output `y` of this version.
inline v1::Parent FedBy(const v1::Version& version, const std::string& input) {
  v1::Parent parent;
  parent.set_input(input);
  parent.set_version(version.name());
  parent.set_output("y");
  parent.set_digest(version.digest());
  return parent;
}

}  // namespace backfire::runtime
