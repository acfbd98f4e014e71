#include "tests/benchmarks/round_trip.h"

#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstdio>
#include <cstring>
#include <iostream>
#include <thread>
#include <vector>

#include "services/rpc/channel.h"
#include "services/rpc/rpc_server.h"
#include "services/runtime/inference_service.h"
#include "tests/benchmarks/measure.h"
#include "tests/support/child_process.h"
#include "tests/support/temporary_directory.h"

namespace backfire::benchmarks {
namespace {

using runtime::TensorMap;

class EchoTarget final : public runtime::InferenceTarget {
 public:
  EchoTarget() {
    for (auto [signatures, name] : {std::pair(&inputs_, "x"), std::pair(&outputs_, "y")}) {
      auto* tensor = signatures->Add();
      tensor->set_name(name);
      tensor->set_datatype("UINT8");
      tensor->add_shape(-1);
    }
  }
  int64_t version() const override { return 1; }
  const runtime::TensorSignatures& inputs() const override { return inputs_; }
  const runtime::TensorSignatures& outputs() const override { return outputs_; }
  absl::StatusOr<TensorMap> Infer(TensorMap inputs, const std::vector<std::string>&,
                                  runtime::InferenceCall&) const override {
    TensorMap outputs;
    outputs["y"] = std::move(inputs.at("x"));
    return outputs;
  }

 private:
  runtime::TensorSignatures inputs_, outputs_;
};

class EchoBackend final : public runtime::InferenceBackend {
 public:
  absl::Status Ready() const override { return absl::OkStatus(); }
  std::vector<std::string> Models() const override { return {"m"}; }
  absl::StatusOr<std::shared_ptr<const runtime::InferenceTarget>> Find(
      const std::string&, std::optional<int64_t>) const override {
    return target_;
  }
  absl::StatusOr<std::vector<int64_t>> Versions(const std::string&) const override {
    return std::vector<int64_t>{1};
  }

 private:
  const std::shared_ptr<const EchoTarget> target_ = std::make_shared<const EchoTarget>();
};

sockaddr_un Address(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::strncpy(address.sun_path, path.c_str(), sizeof(address.sun_path) - 1);
  return address;
}

bool Transfer(int descriptor, char* data, size_t size, bool send) {
  while (size > 0) {
    const ssize_t count = send ? ::write(descriptor, data, size) : ::read(descriptor, data, size);
    if (count <= 0) return false;
    data += count;
    size -= static_cast<size_t>(count);
  }
  return true;
}

void ServePlain(int listener) {
  const int descriptor = ::accept(listener, nullptr, nullptr);
  std::vector<char> buffer;
  uint64_t size = 0;
  while (Transfer(descriptor, reinterpret_cast<char*>(&size), sizeof(size), false)) {
    buffer.resize(size);
    if (!Transfer(descriptor, buffer.data(), size, false)) break;
    if (!Transfer(descriptor, buffer.data(), size, true)) break;
  }
  ::close(descriptor);
}

}  // namespace

int ServeEcho(const std::string& prefix) {
  const int listener = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const sockaddr_un address = Address(prefix + ".plain");
  if (::bind(listener, reinterpret_cast<const sockaddr*>(&address), sizeof(address)) != 0 ||
      ::listen(listener, 1) != 0) {
    std::perror("listen");
    return 1;
  }
  std::thread plain(ServePlain, listener);
  const EchoBackend backend;
  runtime::InferenceService service({"echo", 4}, backend);
  runtime::RpcServerOptions options;
  options.listen = "unix:" + prefix + ".grpc";
  auto server = runtime::RpcServer::Start(options, {&service});
  if (!server.ok()) {
    std::cerr << server.status() << "\n";
    return 1;
  }
  (*server)->SetServing(true);
  plain.join();
  return 0;
}

bool CompareRoundTrips(const std::string& program, int repetitions) {
  const testing::TemporaryDirectory directory;
  const std::string prefix = directory / "echo";
  testing::ChildProcess server({program, "--serve-echo=" + prefix}, directory / "log");
  if (!testing::WaitUntilReady("unix:" + prefix + ".grpc", server)) {
    std::cerr << "the echo server did not start: " << server.Log() << "\n";
    return false;
  }
  const int descriptor = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const sockaddr_un address = Address(prefix + ".plain");
  if (::connect(descriptor, reinterpret_cast<const sockaddr*>(&address), sizeof(address)) != 0) {
    std::perror("connect");
    return false;
  }
  const auto stub =
      inference::GRPCInferenceService::NewStub(runtime::MakeChannel("unix:" + prefix + ".grpc"));

  std::printf("ModelInfer round trip against copying the same bytes over a plain unix socket\n");
  std::printf("  %8s  %12s  %12s  %22s\n", "tensor", "ModelInfer", "plain copy",
              "throughput of plain's");
  bool ok = true;
  for (const double megabytes : {1.4, 2.8, 11.0}) {
    const auto size = static_cast<size_t>(megabytes * 1e6);
    inference::ModelInferRequest request;
    request.set_model_name("echo");
    runtime::Tensor tensor =
        runtime::MakeTensor(runtime::Datatype::kUint8, {static_cast<int64_t>(size)});
    runtime::AddInput("x", std::move(tensor), request);
    std::vector<char> buffer(size);
    std::vector<double> infer_ms, plain_ms;
    for (int i = -2; i < repetitions; ++i) {
      const double infer = Milliseconds([&] {
        grpc::ClientContext context;
        runtime::SetDeadline(context, absl::Minutes(1));
        inference::ModelInferResponse response;
        ok = ok && stub->ModelInfer(&context, request, &response).ok() &&
             response.raw_output_contents(0).size() == size;
      });
      const double plain = Milliseconds([&] {
        uint64_t length = size;
        ok = ok && Transfer(descriptor, reinterpret_cast<char*>(&length), sizeof(length), true) &&
             Transfer(descriptor, buffer.data(), size, true) &&
             Transfer(descriptor, buffer.data(), size, false);
      });
      if (i < 0) continue;  // The first ones warm caches and windows.
      infer_ms.push_back(infer);
      plain_ms.push_back(plain);
    }
    const double infer = Median(infer_ms), plain = Median(plain_ms);
    std::printf("  %5.1f MB  %9.2f ms  %9.2f ms  %21.2fx\n", megabytes, infer, plain,
                plain / infer);
  }
  ::close(descriptor);
  return ok;
}

}  // namespace backfire::benchmarks
