#include "services/runtime/service_main.h"

#include <spdlog/spdlog.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <iostream>
#include <thread>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "services/base/command_line.h"
#include "services/base/file.h"
#include "services/base/memory.h"
#include "services/base/mutex.h"
#include "services/base/status.h"
#include "services/rpc/address.h"
#include "services/rpc/byte_budget.h"
#include "services/rpc/channel.h"
#include "services/rpc/credentials.h"
#include "services/rpc/data_directory.h"
#include "services/rpc/identities.h"
#include "services/rpc/process_metrics.h"
#include "services/rpc/rpc_server.h"
#include "services/runtime/build_fingerprint.h"
#include "services/runtime/hosted_model.h"
#include "services/runtime/inference_service.h"
#include "services/runtime/jobs/job_runner.h"
#include "services/runtime/model_backend.h"
#include "services/runtime/model_service.h"
#include "services/runtime/outputs/output_store.h"
#include "services/runtime/service_metrics.h"
#include "services/runtime/versions/primary.h"

namespace backfire::runtime {
namespace {

struct Settings {
  RpcServerOptions server;
  ServiceOptions service;
  int64_t cache_bytes = int64_t{20} << 30;
  int jobs = 2;
  int kept_jobs = JobRunner::Options().max_ended;
  int queue = 64;
  int64_t memory_bytes = 0;  // For requests; 0: InferenceService's own choice.
  BatchOptions batch;
  std::vector<std::filesystem::path> dataset_roots;
  std::string primary;  // Of which this is a replica; empty: of none.
};

// A replica deletes what it unloads, so it must not be given what was trained in a data directory;
// nor may anything be trained among copies, whose numbers are another's.
absl::Status ClaimFor(const std::string& primary, const std::filesystem::path& root) {
  const std::filesystem::path mark = root / "replica";
  std::error_code error;
  const bool is_replica = std::filesystem::exists(mark, error);
  if (primary.empty()) {
    if (!is_replica) return absl::OkStatus();
    return absl::FailedPreconditionError(absl::StrCat(
        "--data-dir: ", root.string(), " is a replica's: give --replica-of, or another directory"));
  }
  if (is_replica) return absl::OkStatus();
  if (std::filesystem::exists(root / "models", error)) {
    return absl::FailedPreconditionError(
        absl::StrCat("--data-dir: ", root.string(),
                     " holds versions that were trained there: a replica needs one of its own"));
  }
  return WriteFileAtomically(mark, "");
}

// Where datasets may be. Without --dataset-root that is anywhere for whom could read the files
// anyway, the mesh's owner: who reaches a unix socket, or shows his token on this machine. Others
// may open what needs no file, rendered worlds and the like.
absl::StatusOr<DatasetRoots> DatasetRootsOf(const Settings& settings) {
  const RpcServerOptions& server = settings.server;
  if (settings.dataset_roots.empty() && IsLocal(server.listen) &&
      (IsUnix(server.listen) || server.security.guarded())) {
    return DatasetRoots::Anywhere();
  }
  auto roots = DatasetRoots::Under(settings.dataset_roots);
  if (!roots.ok()) return Annotate(roots.status(), "--dataset-root");
  return roots;
}

absl::Status Run(const Settings& settings, const ServiceDescription& description,
                 const MakeModels& make_models) {
  BACKFIRE_RETURN_IF_ERROR(InitLogging(settings.server.log, description.name));
  BACKFIRE_RETURN_IF_ERROR(ShowIdentity(settings.server.security));
  if (description.check_device != nullptr) {
    BACKFIRE_RETURN_IF_ERROR(description.check_device(settings.service.device));
  }
  const std::filesystem::path& root = settings.service.data_directory;
  BACKFIRE_ASSIGN_OR_RETURN(const auto data_directory, DataDirectory::Open(root));
  BACKFIRE_RETURN_IF_ERROR(ClaimFor(settings.primary, root));
  BACKFIRE_ASSIGN_OR_RETURN(const auto outputs,
                            OutputStore::Open(root / "outputs", settings.cache_bytes));
  const std::string build_fingerprint = BuildFingerprint();
  BACKFIRE_ASSIGN_OR_RETURN(const DatasetRoots dataset_roots, DatasetRootsOf(settings));

  ChannelPool channels;
  const Primary primary(settings.primary, channels);
  HostedModels hosted;
  BACKFIRE_ASSIGN_OR_RETURN(auto models, make_models(settings.service));
  for (std::unique_ptr<Model>& model : models) {
    const std::string name(absl::StripPrefix(model->description().name(), "models/"));
    const HostedModel::Options options{
        root / "models" / name,   build_fingerprint, dataset_roots,
        settings.service.threads, settings.batch,    settings.primary.empty() ? nullptr : &primary};
    BACKFIRE_ASSIGN_OR_RETURN(hosted[name],
                              HostedModel::Open(options, std::move(model), *outputs, channels));
  }
  JobRunner::Options job_options;
  job_options.directory = root / "jobs";
  job_options.workers = settings.jobs;
  job_options.max_ended = settings.kept_jobs;
  BACKFIRE_ASSIGN_OR_RETURN(const auto jobs, JobRunner::Open(job_options, ExecuteOn(hosted)));

  Mutex mutex;
  RpcServer* listening = nullptr;  // Under the mutex.
  // What a replica serves it is told only when it listens: it is ready while it has a version
  // loaded. A primary has loaded what it served before, and must be reached to train anything.
  const auto show_readiness = [&] {
    MutexLock lock(mutex);
    if (listening == nullptr) return;
    bool serves = false;
    for (const auto& [name, model] : hosted) {
      const bool is_loaded = !model->served().LoadedNumbers().empty();
      listening->SetServing(name, is_loaded);
      serves = serves || is_loaded;
    }
    listening->SetReady(settings.primary.empty() || serves);
  };
  RpcServerOptions server_options = settings.server;
  if (settings.server.security.guarded()) {
    BACKFIRE_ASSIGN_OR_RETURN(server_options.identities,
                              Identities::Open(settings.server.security));
  }
  ByteBudget received(settings.server.memory_bytes, server_options.identities);
  ModelServiceImpl model_service(hosted, *jobs, received, settings.primary, show_readiness);
  const ModelBackend backend(hosted);
  InferenceService::Options inference;
  inference.server_name = description.name;
  // A request that waits for others to fill its batch computes nothing.
  inference.running = settings.service.threads * settings.batch.size;
  inference.waiting = settings.queue;
  inference.received = &received;
  if (settings.memory_bytes > 0) inference.memory_bytes = settings.memory_bytes;
  InferenceService inference_service(inference, backend);
  // Room for every request that may run or wait, and for what is not a request.
  server_options.audit_log = root / "audit.jsonl";
  server_options.max_calls +=
      static_cast<int>(hosted.size()) * (inference.running + inference.waiting);
  BACKFIRE_ASSIGN_OR_RETURN(const auto server,
                            RpcServer::Start(server_options, {&model_service, &inference_service}));
  server->AddMetrics([&] { return ServiceMetrics(hosted, *jobs, *outputs); });
  server->AddMetrics([&] { return inference_service.Metrics(); });
  server->AddMetrics([root] { return DiskMetrics(root); });
  server->SetServing(true);
  {
    MutexLock lock(mutex);
    listening = server.get();
  }
  show_readiness();
  return server->WaitForSignalThenDrain([&] { jobs->Stop(); });
}

}  // namespace

int ServiceMain(int argc, char** argv, const ServiceDescription& description,
                const MakeModels& make_models) {
  KeepFreedMemory();
  BlockShutdownSignals();
  Settings settings;
  settings.server.name = description.name;
  settings.service.threads = static_cast<int>(std::max(1u, std::thread::hardware_concurrency()));
  int64_t batch_wait_ms = settings.batch.wait.count();
  CLI::App app(
      absl::StrCat(description.summary, "\n\nServes backfire.v1.ModelService and the Open ",
                   "Inference Protocol.\nExample: ", description.name,
                   " --listen=localhost:7001 --data-dir=/var/lib/backfire/", description.name,
                   description.example.empty() ? "" : " ", description.example),
      description.name);
  settings.server.AddTo(app);
  app.add_option("--data-dir", settings.service.data_directory,
                 "Where versions, jobs and outputs are kept; one process per directory")
      ->required();
  app.add_option("--dataset-root", settings.dataset_roots,
                 "Directory that files of datasets must be in, links followed; repeated, or "
                 "separated by colons. None: any file if only this mesh's owner can ask (a unix "
                 "socket, or a loopback port with --token-file), else no file at all")
      ->delimiter(':')
      ->envname("BACKFIRE_DATASET_ROOT");
  if (description.check_device != nullptr) {
    app.add_option("--device", settings.service.device, "auto, cpu or cuda:N")
        ->capture_default_str();
    app.add_option("--prediction-threads", settings.service.prediction_threads,
                   "Threads that one prediction may use; its last bits may depend on it")
        ->capture_default_str()
        ->check(CLI::Range(1, 1024));
  }
  app.add_option("--threads", settings.service.threads,
                 "Predictions that run at once; no result depends on it")
      ->capture_default_str()
      ->check(CLI::Range(1, 1024));
  app.add_option("--queue", settings.queue, "Requests that may wait; more are refused")
      ->capture_default_str()
      ->check(CLI::Range(0, 100000));
  app.add_option(
         "--memory-bytes", settings.memory_bytes,
         "Memory for requests that run, by the models' estimates; 0: half of the machine's, "
         "or of its container's. What takes more is refused")
      ->capture_default_str()
      ->check(CLI::NonNegativeNumber);
  app.add_option(
         "--batch", settings.batch.size,
         "Requests of equal shapes that are predicted at once, where the model can; 1: none")
      ->capture_default_str()
      ->check(CLI::Range(1, 1024));
  app.add_option("--batch-wait-ms", batch_wait_ms,
                 "That the first of a batch waits for others, at most")
      ->capture_default_str()
      ->check(CLI::Range(0, 60'000));
  app.add_option("--replica-of", settings.primary,
                 "gRPC target of a service with the same models: serve requests on versions that "
                 "are copied from it when they are loaded, and train nothing");
  app.add_option("--cache-bytes", settings.cache_bytes,
                 "Disk that outputs of versions may take; those unused for longest go first")
      ->capture_default_str()
      ->check(CLI::NonNegativeNumber);
  app.add_option("--jobs", settings.jobs, "Trainings and evaluations that run at once")
      ->capture_default_str()
      ->check(CLI::Range(1, 1024));
  app.add_option("--keep-jobs", settings.kept_jobs,
                 "Jobs that have ended and are remembered; an older one that is asked for again "
                 "runs again, to the same result")
      ->capture_default_str()
      ->check(CLI::Range(1, 10'000'000));
  if (description.add_flags) description.add_flags(app);
  if (const std::optional<int> code = ParseCommandLine(app, argc, argv)) return *code;
  settings.batch.wait = std::chrono::milliseconds(batch_wait_ms);
  const absl::Status status = Run(settings, description, make_models);
  if (status.ok()) return 0;
  std::cerr << description.name << ": " << status.message() << "\n";
  return absl::IsInvalidArgument(status) ? 2 : 1;
}

}  // namespace backfire::runtime
