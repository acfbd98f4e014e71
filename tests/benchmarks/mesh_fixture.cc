#include "tests/benchmarks/mesh_fixture.h"

#include <cstdlib>
#include <future>
#include <iostream>
#include <stdexcept>
#include <utility>
#include <vector>

#include "services/car/car_model.h"
#include "services/disparity/disparity_model.h"
#include "services/pedestrian/pedestrian_model.h"
#include "services/pointcloud/pointcloud_model.h"
#include "services/proposals/proposals_model.h"
#include "services/rpc/rpc_server.h"
#include "services/rpc/unary_call.h"
#include "services/runtime/versions/version_store.h"
#include "tests/support/child_process.h"
#include "tests/support/fake_orchestrator.h"
#include "tests/support/model_test_kit.h"
#include "tests/support/temporary_directory.h"
#include "tests/support/toy_client.h"

namespace backfire::benchmarks {
namespace {

using runtime::Tensor;
using runtime::TensorMap;
using testing::ChildProcess;
using testing::ToyClient;

template <typename T>
T Must(absl::StatusOr<T> result) {
  if (!result.ok()) throw std::runtime_error(result.status().ToString());
  return *std::move(result);
}

struct VertexPlan {
  std::string name;
  std::string recipe;
  std::vector<std::pair<std::string, double>> parameters;
  std::map<std::string, std::string> inputs;
};

const std::vector<VertexPlan>& Plan() {
  static const auto* const plan = new std::vector<VertexPlan>{
      {"disparity",
       "psmnet-disparity-mae",
       {{"steps", 2}, {"crop_height", 64}, {"crop_width", 96}},
       {{"left", "request.left"}, {"right", "request.right"}}},
      {"pointcloud",
       "pseudo-lidar",
       {},
       {{"disparity", "disparity.disparity"}, {"calibration", "request.calibration"}}},
      {"proposals",
       "centre-point",
       {{"steps", 2}, {"min_score", 0}, {"max_boxes", 10}},
       {{"left", "request.left"}}},
      {"car",
       "frustum-pointnet",
       {{"steps", 2}, {"points", 256}, {"width", 0.25}, {"min_box_height_px", 0}},
       {{"points", "pointcloud.points"},
        {"boxes_2d", "proposals.boxes_2d"},
        {"calibration", "request.calibration"}}},
      {"pedestrian",
       "frustum-pointnet",
       {{"steps", 2}, {"points", 256}, {"width", 0.25}, {"min_box_height_px", 0}},
       {{"points", "pointcloud.points"},
        {"boxes_2d", "proposals.boxes_2d"},
        {"calibration", "request.calibration"}}}};
  return *plan;
}

std::unique_ptr<runtime::Model> MakeModel(const std::string& name) {
  if (name == "disparity") return disparity::MakeDisparityModel({"cpu"});
  if (name == "pointcloud") return pointcloud::MakePointCloudModel();
  if (name == "proposals") return proposals::MakeProposalsModel({"cpu"});
  if (name == "car") return car::MakeCarModel({"cpu"});
  return pedestrian::MakePedestrianModel({"cpu"});
}

bool Never() { return false; }

}  // namespace

struct MeshFixture::State {
  testing::TemporaryDirectory directory;
  std::vector<std::unique_ptr<ChildProcess>> processes;
  std::map<std::string, v1::Version> versions;
  std::map<std::string, std::unique_ptr<runtime::Model>> models;
  std::map<std::string, std::unique_ptr<runtime::Predictor>> predictors;
  testing::FakeOrchestrator orchestrator;
  std::unique_ptr<runtime::RpcServer> orchestrator_server;
  std::unique_ptr<inference::GRPCInferenceService::Stub> gateway;

  std::string Target(const std::string& name) const {
    return "unix:" + (directory / name).string();
  }
  std::string DataDirectory(const std::string& name) const { return directory / (name + ".data"); }

  void Start(const std::string& program, const std::string& name,
             std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), {program, "--listen=" + Target(name)});
    processes.push_back(std::make_unique<ChildProcess>(arguments, directory / (name + ".log")));
    if (!testing::WaitUntilReady(Target(name), *processes.back())) {
      throw std::runtime_error(name + " did not start: " + processes.back()->Log());
    }
  }

  void Train(const VertexPlan& plan, const std::string& dataset) {
    ToyClient client(Target(plan.name));
    v1::TrainRequest request;
    request.set_request_id("bench");
    request.set_model("models/" + plan.name);
    request.mutable_recipe()->set_name(plan.recipe);
    for (const auto& [parameter, value] : plan.parameters) {
      runtime::SetParameter(*request.mutable_recipe(), parameter, value);
    }
    request.mutable_dataset()->set_uri(dataset);
    for (const auto& [input, source] : plan.inputs) {
      const size_t dot = source.find('.');
      const std::string vertex = source.substr(0, dot);
      if (vertex == "request") continue;
      v1::Parent& parent = *request.add_lineage();
      parent.set_input(input);
      parent.set_output(source.substr(dot + 1));
      parent.set_version(versions.at(vertex).name());
      parent.set_digest(versions.at(vertex).digest());
    }
    for (const auto& [name, version] : versions) {
      (*request.mutable_endpoints()->mutable_by_model())["models/" + name] = Target(name);
    }
    const v1::Job job = Must(client.Train(request));
    if (job.state() != v1::Job::SUCCEEDED) throw std::runtime_error(job.error_message());
    versions[plan.name] = job.version();
    if (const absl::Status status = client.Load(job.version().name()); !status.ok()) {
      throw std::runtime_error(status.ToString());
    }
    models[plan.name] = MakeModel(plan.name);
    const auto store = Must(runtime::VersionStore::Open(
        DataDirectory(plan.name) + "/models/" + plan.name + "/versions", "models/" + plan.name));
    predictors[plan.name] =
        Must(models[plan.name]->Load(job.version().recipe(), Must(store->ReadWeights(1))));
  }

  v1::ReleaseSnapshot Snapshot() {
    v1::ReleaseSnapshot snapshot;
    v1::System& system = *snapshot.mutable_system();
    system.set_name("stereo");
    system.set_dataset("none");
    for (const v1::Model* model :
         {&models.at("disparity")->description(), &models.at("pointcloud")->description()}) {
      for (const v1::TensorSignature& input : model->inputs()) {
        if (input.name() != "disparity") *system.add_request() = input;
      }
    }
    v1::Release& release = *snapshot.add_releases();
    release.set_name("releases/1");
    for (const VertexPlan& plan : Plan()) {
      v1::Vertex& vertex = *system.add_vertices();
      vertex.set_name(plan.name);
      vertex.set_endpoint(Target(plan.name));
      vertex.mutable_recipe()->set_name(plan.recipe);
      for (const auto& [input, source] : plan.inputs) (*vertex.mutable_inputs())[input] = source;
      (*snapshot.mutable_models())[plan.name] = models.at(plan.name)->description();
      (*release.mutable_versions())[plan.name] = versions.at(plan.name).name();
    }
    (*system.mutable_outputs())["cars"] = "car.detections";
    (*system.mutable_outputs())["pedestrians"] = "pedestrian.detections";
    snapshot.set_live(1);
    return snapshot;
  }
};

MeshFixture::MeshFixture(const std::string& binaries) : state_(std::make_unique<State>()) {
  datasets::RenderedDatasetOptions world;
  world.train = 4;
  world.validation = 0;
  world.test = 0;
  Must(datasets::RenderDataset(
      world, state_->directory / "world", 2, [](int64_t, int64_t) {}, Never));
  const std::string dataset = "kitti:" + (state_->directory / "world").string();
  for (const VertexPlan& plan : Plan()) {
    state_->Start(binaries + "/" + plan.name + "-service", plan.name,
                  {"--data-dir=" + state_->DataDirectory(plan.name)});
    state_->Train(plan, dataset);
  }
  runtime::RpcServerOptions options;
  options.listen = state_->Target("orchestrator");
  state_->orchestrator_server = Must(runtime::RpcServer::Start(options, {&state_->orchestrator}));
  state_->orchestrator.Publish(state_->Snapshot());
  state_->Start(binaries + "/gateway", "gateway",
                {"--orchestrator=" + state_->Target("orchestrator")});
  state_->gateway =
      inference::GRPCInferenceService::NewStub(runtime::MakeChannel(state_->Target("gateway")));
}

MeshFixture::~MeshFixture() {
  state_->processes.clear();
  state_->orchestrator.Stop();
  if (state_->orchestrator_server != nullptr) state_->orchestrator_server->Drain();
}

TensorMap MeshFixture::ThroughProcesses(const TensorMap& frame) {
  inference::ModelInferRequest request;
  request.set_model_name("stereo");
  for (const auto& [name, tensor] : frame) runtime::AddInput(name, tensor, request);
  inference::ModelInferResponse response =
      Must(runtime::UnaryCall(*state_->gateway, &inference::GRPCInferenceService::Stub::ModelInfer,
                              request, absl::Minutes(2)));
  return Must(runtime::TakeOutputs(response));
}

TensorMap MeshFixture::InOneProcess(const TensorMap& frame) {
  const auto run = [&](const std::string& vertex, const TensorMap& inputs) {
    return Must(state_->predictors.at(vertex)->Predict(inputs, Never));
  };
  auto proposals = std::async(std::launch::async, [&] {
    return run("proposals", {{"left", frame.at("left")}});
  });
  TensorMap disparity =
      run("disparity", {{"left", frame.at("left")}, {"right", frame.at("right")}});
  TensorMap inputs = run("pointcloud", {{"disparity", std::move(disparity.at("disparity"))},
                                        {"calibration", frame.at("calibration")}});
  inputs["boxes_2d"] = std::move(proposals.get().at("boxes_2d"));
  inputs["calibration"] = frame.at("calibration");
  auto pedestrians = std::async(std::launch::async, [&] { return run("pedestrian", inputs); });
  TensorMap outputs;
  outputs["cars"] = std::move(run("car", inputs).at("detections"));
  outputs["pedestrians"] = std::move(pedestrians.get().at("detections"));
  return outputs;
}

}  // namespace backfire::benchmarks
