#include "orchestrator/conformance/stand_in_parent.h"

#include <stdlib.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <utility>

#include "absl/strings/str_cat.h"
#include "backfire/v1/model_service.grpc.pb.h"
#include "services/base/digest.h"
#include "services/base/file.h"
#include "services/base/random.h"
#include "services/base/status.h"
#include "services/rpc/rpc_server.h"

namespace backfire::conformance {
namespace {

constexpr char kModel[] = "models/stand-in-parent";
constexpr char kVersion[] = "models/stand-in-parent/versions/1";

template <typename T>
void Append(T value, std::string& data) {
  data.append(reinterpret_cast<const char*>(&value), sizeof(value));
}

// False: a type whose elements are not made up here.
bool AppendElement(const std::string& datatype, Random& random, std::string& data) {
  if (datatype == "FP64") {
    Append(random.Normal(), data);
  } else if (datatype == "FP32") {
    Append(static_cast<float>(random.Normal()), data);
  } else if (datatype == "INT64") {
    Append(random.Below(2), data);
  } else if (datatype == "INT32") {
    Append(static_cast<int32_t>(random.Below(2)), data);
  } else if (datatype == "UINT8") {
    Append(static_cast<uint8_t>(random.Below(256)), data);
  } else if (datatype == "BOOL") {
    Append(static_cast<uint8_t>(random.Below(2)), data);
  } else {
    return false;
  }
  return true;
}

}  // namespace

struct StandInParent::Server final : public v1::ModelService::Service {
  std::vector<v1::TensorSignature> fed;
  std::filesystem::path directory;
  std::unique_ptr<runtime::RpcServer> server;

  std::string endpoint() const { return absl::StrCat("unix:", (directory / "parent").string()); }

  v1::Version Version() const {
    v1::Version version;
    version.set_name(kVersion);
    version.set_input_key(Sha256Hex("stand-in input key"));
    version.set_digest(Sha256Hex("stand-in version"));
    version.mutable_recipe()->set_name("made-up");
    version.mutable_dataset()->set_uri("made-up");
    version.mutable_dataset()->set_digest(Sha256Hex("stand-in dataset"));
    return version;
  }
  grpc::Status GetVersion(grpc::ServerContext*, const v1::GetVersionRequest*,
                          v1::Version* response) override {
    *response = Version();
    return grpc::Status::OK;
  }
  grpc::Status Materialize(grpc::ServerContext*, const v1::MaterializeRequest* request,
                           grpc::ServerWriter<v1::MaterializeResponse>* writer) override {
    if (!request->digest().empty() && request->digest() != Version().digest()) {
      return {grpc::StatusCode::DATA_LOSS, "the stand-in parent has another digest"};
    }
    std::vector<int64_t> examples(request->examples().begin(), request->examples().end());
    for (int i = 0; request->examples().empty() && i < ExampleCount(request->split()); ++i) {
      examples.push_back(i);
    }
    for (const int64_t example : examples) {
      for (size_t i = 0; i < fed.size(); ++i) {
        v1::MaterializeResponse piece;
        piece.set_example(example);
        if (i == 0) {
          piece.set_example_id(absl::StrCat(example));
          piece.set_cluster(absl::StrCat("cluster ", example / 3));
        }
        piece.set_output(fed[i].name());
        piece.set_datatype(fed[i].datatype());
        Random random(i, static_cast<uint64_t>(example) * 4 + request->split().size() % 4);
        int64_t count = 1;
        for (const int64_t size : fed[i].shape()) {
          piece.add_shape(size < 0 ? 2 : size);
          count *= piece.shape().Get(piece.shape_size() - 1);
        }
        for (int64_t e = 0; e < count; ++e) {
          AppendElement(fed[i].datatype(), random, *piece.mutable_data());
        }
        piece.set_last_piece(true);
        if (!writer->Write(piece)) return grpc::Status::CANCELLED;
      }
    }
    return grpc::Status::OK;
  }
};

StandInParent::StandInParent(std::unique_ptr<Server> server) : server_(std::move(server)) {}

StandInParent::~StandInParent() {
  server_->server.reset();
  std::error_code error;
  std::filesystem::remove_all(server_->directory, error);
}

absl::StatusOr<std::unique_ptr<StandInParent>> StandInParent::Start(
    const std::vector<v1::TensorSignature>& fed) {
  auto server = std::make_unique<Server>();
  server->fed = fed;
  for (const v1::TensorSignature& input : fed) {
    Random random(0);
    std::string data;
    if (!AppendElement(input.datatype(), random, data)) {
      return absl::InvalidArgumentError(absl::StrCat("input \"", input.name(), "\" has datatype ",
                                                     input.datatype(),
                                                     ", which can't be made up; feed it yourself"));
    }
  }
  std::string pattern = (std::filesystem::temp_directory_path() / "backfire.XXXXXX").string();
  if (::mkdtemp(pattern.data()) == nullptr) return ErrnoToStatus(errno, pattern);
  server->directory = pattern;
  runtime::RpcServerOptions options;
  options.name = "stand-in-parent";
  options.listen = server->endpoint();
  options.drain_seconds = 0;
  std::unique_ptr<StandInParent> parent(new StandInParent(std::move(server)));
  BACKFIRE_ASSIGN_OR_RETURN(parent->server_->server,
                            runtime::RpcServer::Start(options, {parent->server_.get()}));
  return parent;
}

std::vector<v1::Parent> StandInParent::lineage() const {
  std::vector<v1::Parent> lineage;
  for (const v1::TensorSignature& input : server_->fed) {
    v1::Parent& parent = lineage.emplace_back();
    parent.set_input(input.name());
    parent.set_output(input.name());
    parent.set_version(kVersion);
    parent.set_digest(server_->Version().digest());
  }
  return lineage;
}

v1::Endpoints StandInParent::endpoints() const {
  v1::Endpoints endpoints;
  (*endpoints.mutable_by_model())[kModel] = server_->endpoint();
  return endpoints;
}

int StandInParent::ExampleCount(const std::string& split) {
  return split == "train" ? 40 : split == "validation" ? 10 : 20;
}

}  // namespace backfire::conformance
