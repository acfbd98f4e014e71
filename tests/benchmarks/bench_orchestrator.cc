// bench-orchestrator: what the control plane itself costs, without services: processor time and
// memory per vertex of an update, beside SQLite's own for the same rows; start and memory with a
// long history; how long reads take while updates run and verdicts are made.
#include <malloc.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <fstream>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "orchestrator/api/orchestrator_service.h"
#include "orchestrator/api/shown.h"
#include "orchestrator/store/sqlite_repository.h"
#include "services/base/clock.h"
#include "services/base/command_line.h"
#include "services/base/logging.h"
#include "tests/support/fake_services.h"
#include "tests/support/record_kit.h"
#include "tests/support/temporary_directory.h"
#include "tests/support/timed_outside.h"

namespace backfire {
namespace {

using std::chrono::steady_clock;

struct Settings {
  std::vector<int> vertices = {100, 1000, 10000};
  std::vector<int> replicates = {1, 5};
  int resamples = 1000;
  int history = 10000;
  int losses = 2000;
};

double ProcessSeconds() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return static_cast<double>(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
         1e-6 * static_cast<double>(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec);
}

// What the process occupies, freed memory given back. The thread that replaced a large state still
// frees it for a while: waits until that has ended.
double ResidentKilobytes() {
  constexpr std::chrono::milliseconds kPause(200);
  size_t used = mallinfo2().uordblks;
  for (size_t before = 0; used != before; used = mallinfo2().uordblks) {
    before = used;
    std::this_thread::sleep_for(kPause);
  }
  malloc_trim(0);
  std::ifstream file("/proc/self/statm");
  int64_t size = 0, resident = 0;
  file >> size >> resident;
  return static_cast<double>(resident) * static_cast<double>(sysconf(_SC_PAGESIZE)) / 1024;
}

// A binary tree: no vertex has many ancestors, as in a system that people would build.
v1::System TreeSystem(int vertices, int replicates, int resamples) {
  v1::System system;
  system.set_name("tree");
  system.set_dataset("toy:1");
  system.set_replicates(replicates);
  system.set_parallel_jobs(4);
  system.mutable_bootstrap()->set_resample_count(resamples);
  auto* x = system.add_request();
  x->set_name("x");
  x->set_datatype("FP64");
  x->add_shape(1);
  const auto name = [](int i) { return "v" + std::to_string(i); };
  for (int i = 0; i < vertices; ++i) {
    v1::Vertex& vertex = *system.add_vertices();
    vertex.set_name(name(i));
    vertex.set_endpoint("host:1");
    (*vertex.mutable_inputs())["x"] = i == 0 ? "request.x" : name((i - 1) / 2) + ".y";
    vertex.mutable_recipe()->set_name("fit");
  }
  (*system.mutable_outputs())["y"] = name(vertices - 1) + ".y";
  return system;
}

// A control plane on a database of its own.
class Plane {
 public:
  explicit Plane(const std::string& path)
      : repository_(*store::SqliteRepository::Open(path)),
        timed_repository_(*repository_),
        timed_services_(services_) {
    services_.KeepNoCalls();
    services_.CommitOutputs();
    plane_ = *api::ControlPlane::Start(
        {timed_repository_, timed_services_, services_, MachineClock(), registry_},
        std::chrono::seconds(10));
    service_ = std::make_unique<api::OrchestratorService>(*plane_);
  }
  api::OrchestratorService& service() { return *service_; }
  api::ControlPlane& plane() { return *plane_; }
  void ForgetVersions() { services_.ForgetVersions(); }
  double store_seconds() const { return timed_repository_.seconds(); }
  double service_seconds() const { return timed_services_.seconds(); }

  std::string Apply(const v1::System& system) {
    v1::ApplySystemRequest request;
    *request.mutable_system() = system;
    v1::ApplySystemResponse response;
    Check(service_->ApplySystem(nullptr, &request, &response));
    return response.update();
  }
  std::string Propose(const std::string& id, const std::string& vertex) {
    v1::ProposeUpdateRequest request;
    request.set_request_id(id);
    request.set_vertex(vertex);
    request.mutable_recipe()->set_name("fit");
    v1::Update response;
    Check(service_->ProposeUpdate(nullptr, &request, &response));
    return response.name();
  }
  // Waits until an update has no work left.
  void Await(const std::string& name) {
    const int64_t number = *records::ParseNumber(name, "updates");
    ledger::Signal& news = plane_->ledger().changes();
    for (int64_t seen = news.count(); plane_->ledger().state()->FindUpdate(number) != nullptr;
         seen = news.count()) {
      news.Wait(seen, absl::Seconds(1));
    }
  }

 private:
  static void Check(const grpc::Status& status) {
    if (status.ok()) return;
    std::fprintf(stderr, "bench-orchestrator: %s\n", status.error_message().c_str());
    std::exit(1);
  }
  testing::FakeServices services_;
  const std::unique_ptr<store::SqliteRepository> repository_;
  testing::TimedRepository timed_repository_;
  testing::TimedJobs timed_services_;
  prometheus::Registry registry_;
  std::unique_ptr<api::ControlPlane> plane_;
  std::unique_ptr<api::OrchestratorService> service_;
};

void MeasureUpdate(int vertices, int replicates, int resamples) {
  const testing::TemporaryDirectory directory;
  const double resident = ResidentKilobytes();
  Plane plane(directory / "o.sqlite");
  const double begun = ProcessSeconds();
  const auto start = steady_clock::now();
  plane.Await(plane.Apply(TreeSystem(vertices, replicates, resamples)));
  const std::chrono::duration<double> wall = steady_clock::now() - start;
  const double store = plane.store_seconds(), jobs = plane.service_seconds();
  const double own = ProcessSeconds() - begun - store - jobs;
  const double per = 1000.0 / vertices;
  plane.ForgetVersions();  // They are the services', not the control plane's.
  std::printf("%8d %3d %10.3f %10.3f %10.3f %10.1f %10.1f\n", vertices, replicates, own * per,
              store * per, jobs * per, (ResidentKilobytes() - resident) / vertices, wall.count());
  std::fflush(stdout);
}

// So many updates that have ended, each of the whole of a system of five vertices.
void MeasureHistory(int updates) {
  const testing::TemporaryDirectory directory;
  const std::string path = directory / "o.sqlite";
  {
    const auto repository = *store::SqliteRepository::Open(path);
    records::SystemRecord system{1, TreeSystem(5, 1, 100), {}, 1};
    for (const v1::Vertex& vertex : system.system.vertices()) {
      system.models[vertex.name()].set_name("models/" + vertex.name());
    }
    const auto revision = *records::MakeSystemRevision(system);
    const graph::SystemGraph& graph = revision->graph;
    records::Change change;
    change.system = revision;
    std::shared_ptr<const records::Standing> base;
    for (int64_t number = 1; number <= updates; ++number) {
      records::UpdateRecord record;
      record.number = number;
      record.update.set_name(records::UpdateName(number));
      record.update.set_system_revision(1);
      record.update.set_replicates(1);
      record.update.set_baseline(number == 1);
      record.update.set_vertex(number == 1 ? "" : "v0");
      record.update.set_state(v1::Update::PROMOTED);
      record.base = number - 1;
      for (const v1::Step& step : number == 1 ? planning::PlanBaseline(graph, 1)
                                              : planning::PlanUpdate(graph, "v0", {}, 1)) {
        record.steps.emplace_back().step = step;
        testing::Succeed(record, record.steps.size() - 1);
      }
      const auto update = planning::OpenUpdate(std::move(record), graph, base);
      base = update->MakeStanding();
      change.added.push_back(update);
      const bool is_last = number == updates;
      change.releases[number].record =
          testing::SmallRelease(number, is_last ? v1::Release::LIVE : v1::Release::RETIRED, number);
      if (!is_last && number % 500 != 0) continue;
      const absl::Status status = repository->Write(change);
      if (!status.ok()) std::exit(1);
      change = records::Change();
    }
  }
  const double resident = ResidentKilobytes();
  const auto start = steady_clock::now();
  const Plane plane(path);
  const std::chrono::duration<double> took = steady_clock::now() - start;
  std::printf("%d ended updates of 5 vertices: start %.2f s, %.1f MB more than before\n", updates,
              took.count(), (ResidentKilobytes() - resident) / 1024);
}

// How long reads take while an update of many losses runs and is judged.
void MeasureReads(int losses) {
  const testing::TemporaryDirectory directory;
  Plane plane(directory / "o.sqlite");
  plane.Await(plane.Apply(TreeSystem(losses, 1, 100)));
  const std::string small = plane.Propose("small", "v" + std::to_string(losses - 1));
  plane.Await(small);
  api::ShownReleases shown(std::chrono::seconds(10));
  std::vector<double> updates, releases;
  std::atomic<bool> is_done{false};
  std::thread reader([&] {
    const auto measure = [](const std::function<void()>& read, std::vector<double>& times) {
      const auto start = steady_clock::now();
      read();
      times.push_back(
          std::chrono::duration<double, std::milli>(steady_clock::now() - start).count());
    };
    while (!is_done) {
      measure(
          [&] {
            v1::GetUpdateRequest request;
            request.set_name(small);
            v1::Update response;
            plane.service().GetUpdate(nullptr, &request, &response);
          },
          updates);
      measure([&] { shown.Of(*plane.plane().ledger().state()); }, releases);
      std::this_thread::yield();
    }
  });
  plane.Await(plane.Propose("large", "v0"));
  is_done = true;
  reader.join();
  for (auto& [name, times] : {std::pair<const char*, std::vector<double>&>{"GetUpdate", updates},
                              std::pair<const char*, std::vector<double>&>{"releases", releases}}) {
    std::sort(times.begin(), times.end());
    std::printf("%-10s of %zu reads: p50 %.2f ms, p99 %.2f ms, most %.2f ms\n", name, times.size(),
                times[times.size() / 2], times[times.size() * 99 / 100], times.back());
  }
}

void Run(const Settings& settings) {
  std::printf(
      "Milliseconds of processor time, and memory, per vertex of a baseline:\n"
      "%8s %3s %10s %10s %10s %10s %10s\n",
      "vertices", "K", "own", "SQLite", "fakes", "memory KB", "wall s");
  for (const int replicates : settings.replicates) {
    for (const int vertices : settings.vertices) {
      MeasureUpdate(vertices, replicates, settings.resamples);
    }
  }
  if (settings.history > 0) MeasureHistory(settings.history);
  if (settings.losses > 0) {
    std::printf("while an update of %d losses runs and is judged:\n", settings.losses);
    MeasureReads(settings.losses);
  }
}

}  // namespace
}  // namespace backfire

int main(int argc, char** argv) {
  backfire::Settings settings;
  CLI::App app(
      "What the control plane itself costs.\n\nExample: bench-orchestrator --vertices 100 "
      "--replicates 1 --history 0 --losses 0",
      "bench-orchestrator");
  app.add_option("--vertices", settings.vertices, "Sizes of the systems")->capture_default_str();
  app.add_option("--replicates", settings.replicates, "Replicates")->capture_default_str();
  app.add_option("--resamples", settings.resamples, "Of each evaluated loss")
      ->capture_default_str();
  app.add_option("--history", settings.history, "Ended updates to start with; 0: not measured")
      ->capture_default_str();
  app.add_option("--losses", settings.losses, "Of the update that is read beside; 0: not measured")
      ->capture_default_str();
  if (const std::optional<int> code = backfire::ParseCommandLine(app, argc, argv)) return *code;
  backfire::LogOptions log;
  log.level = "off";
  if (!backfire::InitLogging(log, "bench-orchestrator").ok()) return 1;
  backfire::Run(settings);
  return 0;
}
