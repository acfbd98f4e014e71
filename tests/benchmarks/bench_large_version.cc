// bench-large-version: how long a service's other callers wait while a version of a gigabyte is
// imported, loaded, unloaded and exported, beside the same calls with nothing else to do.
#include <CLI/CLI.hpp>
#include <algorithm>
#include <atomic>
#include <cstdio>
#include <filesystem>
#include <functional>
#include <iostream>
#include <memory>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "services/base/command_line.h"
#include "services/rpc/channel.h"
#include "services/rpc/rpc_status.h"
#include "services/rpc/unary_call.h"
#include "tests/benchmarks/measure.h"
#include "tests/support/child_process.h"
#include "tests/support/temporary_directory.h"
#include "tests/support/toy_client.h"

namespace backfire::benchmarks {
namespace {

using testing::ToyClient;
using Stub = v1::ModelService::Stub;

constexpr size_t kPieceBytes = size_t{1} << 20;

void Must(const absl::Status& status) {
  if (!status.ok()) throw std::runtime_error(status.ToString());
}
template <typename T>
T Must(absl::StatusOr<T> result) {
  Must(result.status());
  return *std::move(result);
}

// A toy model's weights are its slope as text: as many blanks as wanted, and 2.
std::string Import(const std::string& target, int64_t bytes) {
  const auto stub = v1::ModelService::NewStub(runtime::MakeChannel(target));
  grpc::ClientContext context;
  runtime::SetDeadline(context, absl::Minutes(10));
  v1::Version version;
  const auto writer = stub->ImportVersion(&context, &version);
  v1::ImportVersionRequest request;
  request.set_model("models/first");
  request.mutable_recipe()->set_name("least-squares");
  request.set_file_bytes(bytes);
  for (int64_t sent = 0; sent < bytes; sent += static_cast<int64_t>(request.data().size())) {
    if (sent > 0) request.clear_model(), request.clear_recipe(), request.clear_file_bytes();
    request.set_data(std::string(std::min<size_t>(kPieceBytes, bytes - sent), ' '));
    if (sent + static_cast<int64_t>(request.data().size()) == bytes) {
      request.mutable_data()->back() = '2';
    }
    if (!writer->Write(request)) break;
  }
  writer->WritesDone();
  const grpc::Status status = writer->Finish();
  if (!status.ok()) Must(runtime::FromGrpcStatus(status));
  return version.name();
}

void Export(const std::string& target, const std::string& version) {
  const auto stub = v1::ModelService::NewStub(runtime::MakeChannel(target));
  grpc::ClientContext context;
  runtime::SetDeadline(context, absl::Minutes(10));
  v1::ExportVersionRequest request;
  request.set_name(version);
  const auto reader = stub->ExportVersion(&context, request);
  v1::ExportVersionResponse piece;
  while (reader->Read(&piece)) {
  }
  const grpc::Status status = reader->Finish();
  if (!status.ok()) Must(runtime::FromGrpcStatus(status));
}

// What others call meanwhile, one after the other: each call's milliseconds.
struct Calls {
  const char* name;
  std::function<void()> call;
  std::vector<double> times;
};

void Print(const char* beside, std::vector<Calls>& all) {
  for (Calls& calls : all) {
    std::vector<double>& times = calls.times;
    if (times.empty()) throw std::runtime_error(absl::StrCat("no call of ", calls.name));
    std::sort(times.begin(), times.end());
    std::printf("%-18s %-12s %8zu %8.2f %8.2f %8.2f\n", beside, calls.name, times.size(),
                times[times.size() / 2], times[times.size() * 99 / 100], times.back());
    times.clear();
  }
  std::fflush(stdout);
}

// Calls until `work` has ended.
void Measure(const char* beside, std::vector<Calls>& all, const std::function<void()>& work) {
  std::atomic<bool> is_done{false};
  std::exception_ptr fault;
  std::thread worker([&] {
    try {
      work();
    } catch (...) {
      fault = std::current_exception();
    }
    is_done = true;
  });
  while (!is_done) {
    for (Calls& calls : all) calls.times.push_back(Milliseconds(calls.call));
  }
  worker.join();
  if (fault) std::rethrow_exception(fault);
  Print(beside, all);
}

void Run(const std::filesystem::path& binaries, int64_t bytes, int rounds) {
  const testing::TemporaryDirectory directory;
  const std::string target = "unix:" + (directory / "s").string();
  testing::ChildProcess service({binaries.parent_path() / "tests/toy-service", "--listen=" + target,
                                 "--data-dir=" + (directory / "d").string()},
                                directory / "log");
  if (!testing::WaitUntilLive(target)) throw std::runtime_error(service.Log());
  ToyClient client(target);
  const v1::Job job = Must(client.Train(ToyClient::TrainRequest("small", "first")));
  const std::string small = job.version().name();
  Must(client.Load(small));
  std::string large;

  std::vector<Calls> all = {
      {"health",
       [&] {
         const std::string health = testing::Health(target, "");
         if (health != "SERVING") throw std::runtime_error("health: " + health);
       },
       {}},
      {"ModelInfer", [&] { Must(client.Infer("first", "1", "x", 0.5).status()); }, {}},
      {"GetVersion",
       [&] {
         v1::GetVersionRequest request;
         request.set_name(small);
         Must(client.Call(&Stub::GetVersion, request).status());
       },
       {}},
      {"GetJob",
       [&] {
         v1::GetJobRequest request;
         request.set_name(job.name());
         Must(client.Call(&Stub::GetJob, request).status());
       },
       {}},
  };
  std::printf("%-18s %-12s %8s %8s %8s %8s\n", "milliseconds while", "call", "calls", "p50", "p99",
              "most");
  for (Calls& calls : all) {
    for (int i = 0; i < 2000; ++i) calls.times.push_back(Milliseconds(calls.call));
  }
  Print("nothing else runs", all);
  Measure("it is imported", all, [&] { large = Import(target, bytes); });
  Measure("loaded, unloaded", all, [&] {
    for (int i = 0; i < rounds; ++i) {
      Must(client.Load(large));
      Must(client.Unload(large));
    }
  });
  Measure("exported", all, [&] {
    for (int i = 0; i < rounds; ++i) Export(target, large);
  });
}

}  // namespace
}  // namespace backfire::benchmarks

int main(int argc, char** argv) {
  int64_t mebibytes = 1024;
  int rounds = 3;
  CLI::App app(
      "How long a service's other callers wait for a large version.\n\n"
      "Example: bench-large-version --mebibytes 256",
      "bench-large-version");
  app.add_option("--mebibytes", mebibytes, "Size of the version's weights")
      ->check(CLI::Range(1, 1024))
      ->capture_default_str();
  app.add_option("--rounds", rounds, "How often it is loaded and exported")
      ->check(CLI::Range(1, 1000))
      ->capture_default_str();
  if (const std::optional<int> code = backfire::ParseCommandLine(app, argc, argv)) return *code;
  try {
    backfire::benchmarks::Run(std::filesystem::canonical("/proc/self/exe").parent_path(),
                              mebibytes << 20, rounds);
  } catch (const std::exception& error) {
    std::cerr << "bench-large-version: " << error.what() << std::endl;
    return 1;
  }
  return 0;
}
