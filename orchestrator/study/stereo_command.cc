#include "orchestrator/study/stereo_command.h"

#include <chrono>
#include <iostream>
#include <map>

#include "absl/strings/str_cat.h"
#include "orchestrator/report/json_report.h"
#include "orchestrator/report/numbers.h"
#include "orchestrator/study/stereo_figures.h"
#include "orchestrator/study/stereo_piece.h"
#include "orchestrator/study/stereo_study.h"
#include "orchestrator/study/stereo_system.h"
#include "orchestrator/study/stereo_tables.h"
#include "orchestrator/system/system_file.h"
#include "services/base/file.h"
#include "services/base/status.h"

namespace backfire::study {
namespace {

namespace fs = std::filesystem;
using Clock = std::chrono::steady_clock;

// Of the effort `full`: the first number of replicates at which harm can be told from luck with
// some room (docs/results/plan.md).
constexpr int kFullPieces = 8;

// Of the objects of the test split, beside the pieces.
constexpr char kObjectDepths[] = "object-depths.tsv";

// The same experiment, small enough to be looked at.
void MakeFirstLook(v1::System& system) {
  system.set_dataset("rendered:lidar?frames=200&validation=16&test=100&seed=201&height_scale=0.55");
  system.mutable_bootstrap()->set_resample_count(200);
}

absl::StatusOr<PieceOptions> MakePieceOptions(const StereoOptions& options) {
  const fs::path folder = options.folder.empty()
                              ? options.program_directory / "../share/backfire/systems/study"
                              : fs::path(options.folder);
  PieceOptions pieces;
  pieces.program_directory = options.program_directory;
  pieces.evidence = options.evidence;
  pieces.meshes = fs::absolute(options.meshes);
  pieces.system_file = (folder / "stereo.yaml").string();
  BACKFIRE_ASSIGN_OR_RETURN(pieces.system, system::LoadSystemFile(pieces.system_file));
  BACKFIRE_ASSIGN_OR_RETURN(pieces.pretraining,
                            system::LoadSystemFile((folder / "pretraining.yaml").string()));
  if (options.effort == "first-look") MakeFirstLook(pieces.system);
  KeepFamily(options.effort == "point-rcnn" ? "point-rcnn" : "frustum-pointnet", pieces.system);
  if (!options.dataset.empty()) pieces.system.set_dataset(options.dataset);
  const auto& proposals = pieces.system.proposals();
  if (proposals.size() != 2 || proposals[0].recipe().name() == kOracle ||
      proposals[1].recipe().name() != kOracle) {
    return absl::InvalidArgumentError(
        absl::StrCat(pieces.system_file,
                     ": proposals: there must be two, u' and then one of the recipe oracle"));
  }
  if (!options.device.empty() && !SetDevice(options.device, pieces.system)) {
    return absl::InvalidArgumentError(absl::StrCat("--device: ", pieces.system_file,
                                                   ": no process has an argument --device=..."));
  }
  return pieces;
}

// Says where a piece is, a line whenever an update's state changes.
class Narrator {
 public:
  Narrator(int piece, int last) : piece_(piece), last_(last) {}
  void operator()(const v1::Update& update) {
    v1::Update::State& state = states_[update.name()];
    if (state == update.state()) return;
    state = update.state();
    int done = 0;
    for (const v1::Step& step : update.steps()) done += step.state() == v1::Step::SUCCEEDED;
    std::cerr << "piece " << piece_ << " of " << last_ << ": " << update.name() << " "
              << (update.vertex().empty() ? "baseline" : update.recipe().name()) << " "
              << v1::Update::State_Name(state) << ", " << done << " of " << update.steps_size()
              << " steps done" << std::endl;
  }

 private:
  const int piece_, last_;
  std::map<std::string, v1::Update::State> states_;
};

absl::Status RunPieces(const StereoOptions& options) {
  BACKFIRE_ASSIGN_OR_RETURN(const PieceOptions pieces, MakePieceOptions(options));
  const int last = options.last_piece > 0           ? options.last_piece
                   : options.effort == "first-look" ? options.first_piece
                                                    : kFullPieces;
  const auto start = Clock::now();
  int run = 0;
  for (int piece = options.first_piece; piece <= last; ++piece) {
    if (PieceIsThere(pieces, piece)) {
      std::cerr << "piece " << piece << " of " << last << ": is there" << std::endl;
      continue;
    }
    Narrator narrator(piece, last);
    BACKFIRE_RETURN_IF_ERROR(
        RunPiece(pieces, piece, [&](const v1::Update& update) { narrator(update); }));
    ++run;
    const double seconds = std::chrono::duration<double>(Clock::now() - start).count();
    std::cerr << "piece " << piece << " of " << last << ": done";
    if (piece < last) {
      std::cerr << "; at this pace the others take "
                << report::FormatSeconds(seconds / run * (last - piece));
    }
    std::cerr << std::endl;
  }
  return absl::OkStatus();
}

absl::Status DrawFigures(const StereoStudy& study, const fs::path& folder) {
  BACKFIRE_RETURN_IF_ERROR(MakeDirectories(folder));
  BACKFIRE_RETURN_IF_ERROR(
      WriteFileAtomically(folder / "stereo-differences.svg", DifferencesFigure(study)));
  return WriteFileAtomically(folder / "stereo-depth.svg", DepthFigure(study));
}

}  // namespace

absl::StatusOr<cli::ExitCode> RunStereoStudy(const StereoOptions& options) {
  if (!options.tables_only) BACKFIRE_RETURN_IF_ERROR(RunPieces(options));
  BACKFIRE_ASSIGN_OR_RETURN(StereoStudy study, ReadStereoStudy(options.evidence));
  const fs::path depths = fs::path(options.evidence) / kObjectDepths;
  if (const auto lines = ReadFile(depths); lines.ok()) {
    BACKFIRE_RETURN_IF_ERROR(ParseObjectDepths(*lines, depths.string(), study));
  } else if (!absl::IsNotFound(lines.status())) {
    return lines.status();
  }
  if (!options.figures.empty()) BACKFIRE_RETURN_IF_ERROR(DrawFigures(study, options.figures));
  if (options.format == "json") {
    BACKFIRE_ASSIGN_OR_RETURN(const std::string json, report::ToJson(study));
    std::cout << json;
  } else {
    std::cout << StereoTables(study);
  }
  return cli::ExitCode::kOk;
}

}  // namespace backfire::study
