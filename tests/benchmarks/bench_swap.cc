// What swapping releases costs: clients in a closed loop, with and without swaps, through the same
// processes in one run.
#include <CLI/CLI.hpp>
#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <filesystem>
#include <iostream>
#include <map>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "backfire/v1/orchestrator.grpc.pb.h"
#include "services/base/command_line.h"
#include "services/base/mutex.h"
#include "services/rpc/channel.h"
#include "services/rpc/rpc_status.h"
#include "services/rpc/unary_call.h"
#include "services/runtime/recipe.h"
#include "tests/support/child_process.h"
#include "tests/support/temporary_directory.h"
#include "tests/support/toy_client.h"
#include "tests/support/toy_system.h"

namespace backfire::benchmarks {
namespace {

using std::chrono::steady_clock;
using testing::ChildProcess;
using testing::ToyClient;
using Stub = v1::Orchestrator::Stub;

struct Settings {
  int clients = 16;
  int swaps = 100;
  int gateways = 2;
};

template <typename T>
T Must(absl::StatusOr<T> result) {
  if (!result.ok()) throw std::runtime_error(result.status().ToString());
  return *std::move(result);
}

// Three toy vertices on two services, an orchestrator, gateways; release 1 is live, release 2
// staged.
class Mesh {
 public:
  Mesh(const std::filesystem::path& binaries, int gateways) {
    for (const char* name : {"a", "b"}) {
      Start(name, {binaries.parent_path() / "tests/toy-service", "--listen=" + Target(name),
                   "--data-dir=" + (directory_ / (std::string(name) + ".d")).string()});
    }
    Start("o", {binaries / "orchestrator", "--listen=" + Target("o"),
                "--data-dir=" + (directory_ / "o.d").string(), "--lease-seconds=2"});
    for (int i = 0; i < gateways; ++i) {
      gateways_.push_back(Target(absl::StrCat("g", i)));
      Start(absl::StrCat("g", i),
            {binaries / "gateway", "--listen=" + gateways_.back(), "--orchestrator=" + Target("o"),
             absl::StrCat("--name=g", i), "--running=32"});
    }
    for (const char* name : {"a", "b", "o"}) {
      if (!testing::WaitUntilServing(Target(name))) throw std::runtime_error(name);
    }
    stub_ = v1::Orchestrator::NewStub(runtime::MakeChannel(Target("o")));
    v1::ApplySystemRequest apply;
    *apply.mutable_system() =
        testing::ToySystem([this](const std::string& name) { return Target(name); });
    WaitForEnd(Must(Call(&Stub::ApplySystem, apply)).update());
    v1::ProposeUpdateRequest propose;
    propose.set_request_id("swap");
    propose.set_vertex("left");
    propose.mutable_recipe()->set_name("least-squares");
    runtime::SetParameter(*propose.mutable_recipe(), "offset", 0.5);
    update_ = WaitForEnd(Must(Call(&Stub::ProposeUpdate, propose)).name());
    for (const std::string& gateway : gateways_) {
      if (!testing::WaitUntilServing(gateway)) throw std::runtime_error(gateway);
    }
    for (const char* name : {"releases/1", "releases/2"}) {
      v1::GetReleaseRequest get;
      get.set_name(name);
      const v1::Release release = Must(Call(&Stub::GetRelease, get));
      for (const auto& [vertex, version] : release.versions()) {
        versions_[name][vertex] = version.substr(version.rfind('/') + 1);
      }
    }
  }

  const std::vector<std::string>& gateways() const { return gateways_; }
  // Release -> vertex -> number of the version.
  const std::map<std::string, std::map<std::string, std::string>>& versions() const {
    return versions_;
  }

  // Makes the other release the live one; the first time by promoting the update.
  void Swap(int swap) {
    if (swap == 0) {
      v1::PromoteUpdateRequest request;
      request.set_name(update_.name());
      request.set_override(true);
      request.set_reason("benchmark");
      Must(Call(&Stub::PromoteUpdate, request));
      return;
    }
    v1::RollbackReleaseRequest request;
    request.set_name(swap % 2 == 0 ? "releases/2" : "releases/1");
    request.set_reason("benchmark");
    Must(Call(&Stub::RollbackRelease, request));
  }
  // Waits until the release that is not live has been unloaded everywhere.
  void WaitUntilRetired(const std::string& name) {
    grpc::ClientContext context;
    runtime::SetDeadline(context, absl::Minutes(1));
    const auto stream = stub_->WatchReleases(&context);
    stream->Write(v1::GatewayReport());
    v1::ReleaseSnapshot snapshot;
    bool retired = false;
    while (!retired && stream->Read(&snapshot)) {
      for (const v1::Release& release : snapshot.others()) {
        retired = retired || (release.name() == name && release.state() == v1::Release::RETIRED);
      }
    }
    context.TryCancel();
    stream->Finish();
    if (!retired) throw std::runtime_error(name + " was not unloaded");
  }

 private:
  std::string Target(const std::string& name) const {
    return "unix:" + (directory_ / name).string();
  }
  void Start(const std::string& name, const std::vector<std::string>& command) {
    processes_.push_back(std::make_unique<ChildProcess>(command, directory_ / (name + ".log")));
  }
  template <typename Request, typename Response>
  absl::StatusOr<Response> Call(grpc::Status (Stub::*method)(grpc::ClientContext*, const Request&,
                                                             Response*),
                                const Request& request) {
    return runtime::UnaryCall(*stub_, method, request, absl::Minutes(1));
  }
  v1::Update WaitForEnd(const std::string& name) {
    grpc::ClientContext context;
    runtime::SetDeadline(context, absl::Minutes(1));
    v1::WatchUpdateRequest request;
    request.set_name(name);
    const auto reader = stub_->WatchUpdate(&context, request);
    v1::Update update;
    while (reader->Read(&update)) {
    }
    if (!reader->Finish().ok() || update.state() == v1::Update::FAILED) {
      throw std::runtime_error(name + ": " + update.error_message());
    }
    return update;
  }

  const testing::TemporaryDirectory directory_;
  std::vector<std::unique_ptr<ChildProcess>> processes_;
  std::vector<std::string> gateways_;
  std::unique_ptr<Stub> stub_;
  v1::Update update_;
  std::map<std::string, std::map<std::string, std::string>> versions_;
};

// Clients that send one request after another, and look at every response.
class Load {
 public:
  Load(const Mesh& mesh, int clients) : mesh_(mesh) {
    for (int i = 0; i < clients; ++i) threads_.emplace_back([this, i] { Send(i); });
  }
  ~Load() {
    stop_ = true;
    for (std::thread& thread : threads_) thread.join();
  }
  // Latencies, in ms, of what ended since the last call.
  std::vector<double> Take() {
    MutexLock lock(mutex_);
    return std::exchange(latencies_, {});
  }
  int64_t failed() const { return failed_; }
  int64_t mixed() const { return mixed_; }
  std::string first_fault() const {
    MutexLock lock(mutex_);
    return first_fault_;
  }

 private:
  void Send(int client) {
    ToyClient toy(mesh_.gateways()[static_cast<size_t>(client) % mesh_.gateways().size()]);
    // What each release computed first; it must go on computing that.
    std::map<std::string, std::string> outputs;
    while (!stop_) {
      const auto start = steady_clock::now();
      const auto response = toy.Infer("toy", "", "x", 1);
      const double ms =
          std::chrono::duration<double, std::milli>(steady_clock::now() - start).count();
      if (!response.ok()) {
        ++failed_;
        NoteFault(response.status().ToString());
        continue;
      }
      if (!IsOneRelease(*response, outputs)) {
        ++mixed_;
        NoteFault(response->ShortDebugString());
      }
      MutexLock lock(mutex_);
      latencies_.push_back(ms);
    }
  }
  bool IsOneRelease(const inference::ModelInferResponse& response,
                    std::map<std::string, std::string>& outputs) const {
    const auto& parameters = response.parameters();
    const std::string release = absl::StrCat("releases/", parameters.at("release").int64_param());
    if (release != "releases/" + response.model_version()) return false;
    for (const auto& [vertex, version] : mesh_.versions().at(release)) {
      if (absl::StrCat(parameters.at("version." + vertex).int64_param()) != version) return false;
    }
    std::string bytes;
    for (const std::string& output : response.raw_output_contents()) bytes += output;
    return outputs.emplace(release, bytes).first->second == bytes;
  }
  void NoteFault(const std::string& fault) {
    MutexLock lock(mutex_);
    if (first_fault_.empty()) first_fault_ = fault;
  }

  const Mesh& mesh_;
  std::atomic<bool> stop_{false};
  std::atomic<int64_t> failed_{0};
  std::atomic<int64_t> mixed_{0};
  mutable Mutex mutex_;
  std::vector<double> latencies_ ABSL_GUARDED_BY(mutex_);
  std::string first_fault_ ABSL_GUARDED_BY(mutex_);
  std::vector<std::thread> threads_;
};

double Quantile(std::vector<double>& values, double q) {
  if (values.empty()) return 0;
  const auto nth =
      values.begin() + static_cast<std::ptrdiff_t>(q * static_cast<double>(values.size() - 1));
  std::nth_element(values.begin(), nth, values.end());
  return *nth;
}

bool Run(const std::filesystem::path& binaries, const Settings& settings) {
  Mesh mesh(binaries, settings.gateways);
  Load load(mesh, settings.clients);
  std::vector<double> quiet, swapping;
  const auto append = [](std::vector<double>& to, const std::vector<double>& from) {
    to.insert(to.end(), from.begin(), from.end());
  };
  // Quiet and swapping stretches alternate and last equally long, so that the machine's own changes
  // of pace meet both.
  constexpr int kStretches = 10;
  int swap = 0;
  double swap_ms = 0;
  load.Take();
  for (int stretch = 0; stretch < kStretches; ++stretch) {
    const auto start = steady_clock::now();
    const int until = settings.swaps * (stretch + 1) / kStretches;
    for (; swap < until; ++swap) {
      const auto begin = steady_clock::now();
      mesh.Swap(swap);
      swap_ms += std::chrono::duration<double, std::milli>(steady_clock::now() - begin).count();
      // Every other time the old release is unloaded before it comes back, and is loaded again.
      if (swap % 4 < 2) mesh.WaitUntilRetired(swap % 2 == 0 ? "releases/1" : "releases/2");
    }
    append(swapping, load.Take());
    const auto end = steady_clock::now();
    std::this_thread::sleep_until(end + (end - start));
    append(quiet, load.Take());
  }
  const double quiet_p99 = Quantile(quiet, 0.99), swapping_p99 = Quantile(swapping, 0.99);
  std::printf("%d swaps under %d clients in a closed loop, through %d gateways, three vertices\n",
              settings.swaps, settings.clients, settings.gateways);
  std::printf("  a swap takes        %8.1f ms (loading included), on average\n",
              swap_ms / settings.swaps);
  std::printf("  requests            %8zu while swapping, %zu without\n", swapping.size(),
              quiet.size());
  std::printf("  failed              %8lld\n", static_cast<long long>(load.failed()));
  std::printf("  mixed releases      %8lld\n", static_cast<long long>(load.mixed()));
  std::printf("  p50                 %8.2f ms while swapping, %.2f ms without, ratio %.2f\n",
              Quantile(swapping, 0.5), Quantile(quiet, 0.5),
              Quantile(swapping, 0.5) / Quantile(quiet, 0.5));
  std::printf("  p99                 %8.2f ms while swapping, %.2f ms without, ratio %.2f\n",
              swapping_p99, quiet_p99, swapping_p99 / quiet_p99);
  if (!load.first_fault().empty()) std::printf("  first fault: %s\n", load.first_fault().c_str());
  return load.failed() == 0 && load.mixed() == 0;
}

}  // namespace
}  // namespace backfire::benchmarks

int main(int argc, char** argv) {
  using namespace backfire::benchmarks;
  Settings settings;
  CLI::App app(
      "Measures what swapping releases costs: failures, mixed responses, latency.\n\nExits 1 if a "
      "request failed or mixed two releases. Example: bench-swap --swaps 20",
      "bench-swap");
  app.add_option("--clients", settings.clients, "Each sends one request after another")
      ->capture_default_str()
      ->check(CLI::Range(1, 200));
  app.add_option("--swaps", settings.swaps, "Promotions and rollbacks, one after another")
      ->capture_default_str()
      ->check(CLI::Range(1, 100000));
  app.add_option("--gateways", settings.gateways, "Which the clients share")
      ->capture_default_str()
      ->check(CLI::Range(1, 16));
  if (const std::optional<int> code = backfire::ParseCommandLine(app, argc, argv)) return *code;
  try {
    const std::filesystem::path program = std::filesystem::read_symlink("/proc/self/exe");
    return Run(program.parent_path(), settings) ? 0 : 1;
  } catch (const std::exception& error) {
    std::cerr << "bench-swap: " << error.what() << "\n";
    return 1;
  }
}
