// backfire-study: `backfire study figures` runs the planar systems, `backfire study scale` a large
// one, `backfire study stereo` the paper's case study.
#include <signal.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "orchestrator/cli/exit_code.h"
#include "orchestrator/cli/generate.h"
#include "orchestrator/cli/mesh.h"
#include "orchestrator/report/json_report.h"
#include "orchestrator/study/stereo_command.h"
#include "orchestrator/study/study.h"
#include "orchestrator/system/system_file.h"
#include "services/base/command_line.h"
#include "services/base/file.h"
#include "services/base/status.h"
#include "services/base/temporary_directory.h"
#include "services/rpc/rpc_server.h"

namespace backfire::study {
namespace {

namespace fs = std::filesystem;

struct Options {
  fs::path program_directory;
  std::string folder;
  std::vector<std::string> systems;
  int seeds = 0;
  int parallel = 2;
  std::string format = "text";
  std::string keep;
  std::string evidence;
  cli::GenerateOptions generate;
};

// A directory that goes away with it, unless the user named it.
class Workplace {
 public:
  static absl::StatusOr<Workplace> Make(const std::string& keep) {
    if (!keep.empty()) return Workplace(fs::absolute(keep));
    BACKFIRE_ASSIGN_OR_RETURN(TemporaryDirectory temporary, TemporaryDirectory::Make());
    return Workplace(std::move(temporary));
  }
  const fs::path& path() const { return temporary_.has_value() ? temporary_->path() : kept_; }
  bool temporary() const { return temporary_.has_value(); }

 private:
  explicit Workplace(fs::path kept) : kept_(std::move(kept)) {}
  explicit Workplace(TemporaryDirectory temporary) : temporary_(std::move(temporary)) {}
  fs::path kept_;
  std::optional<TemporaryDirectory> temporary_;
};

// On SIGINT or SIGTERM, which must be blocked: ends the meshes in the workplace, one a folder,
// removes it if it is temporary, and exits 130. A mesh that only just starts ends with this
// process.
void EndOnSignal(const Workplace& workplace) {
  std::thread([path = workplace.path(), temporary = workplace.temporary()] {
    sigset_t signals;
    sigemptyset(&signals);
    sigaddset(&signals, SIGINT);
    sigaddset(&signals, SIGTERM);
    int signal = 0;
    while (::sigwait(&signals, &signal) != 0) {
    }
    std::cerr << "backfire study: interrupted" << std::endl;
    std::error_code error;
    for (const auto& entry : fs::directory_iterator(path, error)) {
      if (!entry.is_directory(error)) continue;
      cli::LocalMesh(entry.path())
          .BringDown(absl::Seconds(10), [](const std::string&) {})
          .IgnoreError();  // What it could not end, ends with this process.
    }
    if (temporary) fs::remove_all(path, error);
    ::_exit(static_cast<int>(cli::ExitCode::kInterrupted));
  }).detach();
}

absl::StatusOr<std::vector<std::string>> FindSystems(const Options& options) {
  const fs::path folder = options.folder.empty()
                              ? options.program_directory / "../share/backfire/systems/planar"
                              : fs::path(options.folder);
  std::vector<std::string> files;
  for (const std::string& name : options.systems) {
    const fs::path file = folder / absl::StrCat(name, ".yaml");
    if (!fs::exists(file)) {
      return absl::NotFoundError(absl::StrCat("--system: there is no ", file.string()));
    }
    files.push_back(file.string());
  }
  if (!options.systems.empty()) return files;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(folder, error)) {
    if (entry.path().extension() == ".yaml") files.push_back(entry.path().string());
  }
  std::sort(files.begin(), files.end());
  if (!files.empty()) return files;
  return absl::NotFoundError(absl::StrCat("there is no system file in ", folder.string()));
}

absl::StatusOr<cli::ExitCode> Figures(const Options& options) {
  BACKFIRE_ASSIGN_OR_RETURN(const auto files, FindSystems(options));
  BACKFIRE_ASSIGN_OR_RETURN(const Workplace workplace, Workplace::Make(options.keep));
  EndOnSignal(workplace);
  std::vector<absl::StatusOr<SystemResult>> results(files.size(), absl::UnknownError("not run"));
  std::mutex mutex;
  size_t next = 0;
  const auto work = [&] {
    while (true) {
      size_t i = 0;
      {
        const std::lock_guard<std::mutex> lock(mutex);
        if (next == files.size()) return;
        i = next++;
      }
      const StudyPlace place{options.program_directory, workplace.path() / absl::StrCat(i)};
      const std::string stem = fs::path(files[i]).stem().string();
      const std::string evidence =
          options.evidence.empty() ? "" : (fs::path(options.evidence) / (stem + ".jsonl")).string();
      absl::StatusOr<SystemResult> result = RunSystem(place, files[i], options.seeds, evidence);
      const std::lock_guard<std::mutex> lock(mutex);
      std::cerr << stem << ": "
                << (result.ok() ? result->verdict() : std::string(result.status().message()))
                << std::endl;
      results[i] = std::move(result);
    }
  };
  std::vector<std::thread> threads;
  for (int i = 0; i < options.parallel; ++i) threads.emplace_back(work);
  for (std::thread& thread : threads) thread.join();

  bool as_expected = true;
  std::vector<SystemResult> found;
  for (const auto& result : results) {
    BACKFIRE_RETURN_IF_ERROR(result.status());
    found.push_back(*result);
    as_expected = as_expected && result->as_expected();
  }
  if (options.format == "json") {
    std::string json;
    for (const SystemResult& result : found) {
      BACKFIRE_ASSIGN_OR_RETURN(const std::string one, report::ToJson(result));
      absl::StrAppend(&json, json.empty() ? "[" : ",", one);
    }
    std::cout << json << "]\n";
  } else {
    std::cout << ResultsText(found);
  }
  return as_expected ? cli::ExitCode::kOk : cli::ExitCode::kRefused;
}

absl::StatusOr<cli::ExitCode> Scale(const Options& options) {
  using Clock = std::chrono::steady_clock;
  BACKFIRE_ASSIGN_OR_RETURN(const Workplace workplace, Workplace::Make(options.keep));
  EndOnSignal(workplace);
  BACKFIRE_ASSIGN_OR_RETURN(const std::string text, cli::GenerateSystem(options.generate));
  const std::string file = (workplace.path() / "system.yaml").string();
  BACKFIRE_RETURN_IF_ERROR(WriteFileAtomically(file, text));
  BACKFIRE_ASSIGN_OR_RETURN(v1::System system, system::LoadSystemFile(file));
  if (options.seeds > 0) system.set_replicates(options.seeds);
  const v1::Proposal proposal = system.proposals(0);
  const auto start = Clock::now();
  BACKFIRE_ASSIGN_OR_RETURN(
      const auto mesh,
      StudyMesh::Start({options.program_directory, workplace.path() / "mesh"}, system, file));
  BACKFIRE_ASSIGN_OR_RETURN(const v1::Update baseline, mesh->Apply(system));
  const auto middle = Clock::now();
  const double cpu_baseline = mesh->OrchestratorSeconds();
  BACKFIRE_ASSIGN_OR_RETURN(const v1::Update update, mesh->Propose(proposal));
  const double cpu = mesh->OrchestratorSeconds() - cpu_baseline;
  const auto print = [&](const char* what, const v1::Update& one, double cpu_seconds,
                         Clock::duration took) {
    double compute = 0;
    std::set<std::string> touched;
    for (const v1::Step& step : one.steps()) {
      compute += step.compute_seconds();
      touched.insert(step.vertex());
    }
    const auto vertices = static_cast<double>(touched.size());
    const double wall = std::chrono::duration<double>(took).count();
    std::cout << absl::StrFormat(
        "%s: %d vertices, %d steps, %.1f s; orchestrator's own time %.2f s, %.2f ms per vertex; "
        "in services %.1f s, %.2f ms per vertex\n",
        what, touched.size(), one.steps_size(), wall, cpu_seconds, 1000 * cpu_seconds / vertices,
        compute, 1000 * compute / vertices);
  };
  print("baseline", baseline, cpu_baseline, middle - start);
  print("update", update, cpu, Clock::now() - middle);
  std::cout << "verdict: " << v1::Verdict::Outcome_Name(update.verdict().outcome()) << "\n";
  return cli::ExitCode::kOk;
}

absl::StatusOr<cli::ExitCode> Stereo(const StereoOptions& options) {
  BACKFIRE_ASSIGN_OR_RETURN(const Workplace workplace, Workplace::Make(options.meshes));
  EndOnSignal(workplace);
  StereoOptions placed = options;
  placed.meshes = workplace.path().string();
  return RunStereoStudy(placed);
}

CLI::App* AddStereoCommand(CLI::App& app, StereoOptions& options) {
  CLI::App* stereo = app.add_subcommand(
      "stereo", "The paper's case study: Tables 1 to 3, a replicate (a piece) at a time");
  stereo->footer(
      "A piece leaves its evidence in --out, and is not run again where that is: stopped, or on\n"
      "another machine, the study goes on. The tables are made of what is there.\n"
      "Example: backfire study stereo --effort full --out evidence --keep meshes");
  stereo->add_option("--out,--resume", options.evidence, "Folder of the pieces' evidence")
      ->required();
  stereo->add_option("--keep", options.meshes,
                     "Folder for the meshes' data, which is kept: a piece goes on in its middle");
  stereo
      ->add_option("--effort", options.effort,
                   "first-look: one piece with few frames, some ten minutes; full: 8 pieces; "
                   "point-rcnn: as full, with PointRCNN in place of Frustum PointNet, and another "
                   "--out")
      ->check(CLI::IsMember({"first-look", "full", "point-rcnn"}))
      ->capture_default_str();
  stereo->add_option("--first", options.first_piece, "The first piece to run, from 1")
      ->check(CLI::Range(1, 10'000))
      ->capture_default_str();
  stereo->add_option("--last", options.last_piece, "The last piece to run; default: the effort's")
      ->check(CLI::Range(1, 10'000));
  stereo->add_option("--systems", options.folder, "Folder of stereo.yaml and pretraining.yaml");
  stereo->add_option("--dataset", options.dataset, "Dataset in place of the system file's");
  stereo->add_option("--device", options.device,
                     "auto, cpu or cuda:N, for processes whose system file names a device");
  stereo->add_flag("--tables", options.tables_only,
                   "Run nothing: print the tables of what is there");
  stereo->add_option("--figures", options.figures, "Folder to draw the study's figures in, as SVG");
  AddFormatOption(*stereo, options.format);
  return stereo;
}

int Main(int argc, char** argv) {
  runtime::BlockShutdownSignals();
  Options options;
  std::error_code error;
  options.program_directory = fs::read_symlink("/proc/self/exe", error).parent_path();
  CLI::App app("Runs systems whose verdict is known, each on a mesh of its own", "backfire study");
  app.require_subcommand(1);
  CLI::App* figures = app.add_subcommand(
      "figures", "Run the paper's figures as planar systems, and check their verdicts");
  figures->footer(
      "Exits 0 if every verdict and its cause are as expected, 1 if not.\n"
      "Example: backfire study figures --system figure2 --format json");
  figures->add_option("--system", options.systems, "Only this system; may be given again");
  figures->add_option("--systems", options.folder, "Folder of the system files");
  figures->add_option("--seeds", options.seeds, "Replicates K; default: as each file says")
      ->check(CLI::Range(1, 100));
  figures->add_option("--parallel", options.parallel, "Systems that run at once")
      ->check(CLI::Range(1, 64))
      ->capture_default_str();
  AddFormatOption(*figures, options.format);
  figures->add_option("--keep", options.keep, "Folder for the meshes' data, which is kept");
  figures->add_option("--evidence", options.evidence,
                      "Folder for what each verdict was made of, for `backfire gate --evidence`");
  CLI::App* scale = app.add_subcommand(
      "scale", "Update the root of a large system, and print the orchestrator's own time");
  scale->footer("Example: backfire study scale --shape chain --vertices 1000");
  cli::AddGenerateOptions(*scale, options.generate);
  scale->add_option("--keep", options.keep, "Folder for the mesh's data, which is kept");
  StereoOptions stereo_options;
  stereo_options.program_directory = options.program_directory;
  CLI::App* stereo = AddStereoCommand(app, stereo_options);
  if (const auto code = ParseCommandLine(app, argc, argv)) return *code;
  const absl::StatusOr<cli::ExitCode> result = figures->parsed()  ? Figures(options)
                                               : stereo->parsed() ? Stereo(stereo_options)
                                                                  : Scale(options);
  if (result.ok()) return static_cast<int>(*result);
  std::cerr << "backfire study: " << result.status().message() << "\n";
  return static_cast<int>(cli::ExitCodeOf(result.status()));
}

}  // namespace
}  // namespace backfire::study

int main(int argc, char** argv) { return backfire::study::Main(argc, argv); }
