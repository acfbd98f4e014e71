#include "orchestrator/study/stereo_piece.h"

#include "absl/strings/str_cat.h"
#include "orchestrator/study/stereo_study.h"
#include "services/base/file.h"
#include "services/base/status.h"

namespace backfire::study {
namespace {

namespace fs = std::filesystem;

// Worlds of pretraining are none that a study is likely to be judged on.
constexpr int kFirstPretrainingWorld = 1000;

}  // namespace

fs::path EvidencePath(const fs::path& evidence, int piece, const v1::Proposal& proposal) {
  const char* role = proposal.recipe().name() == kOracle ? kOracle : kImproved;
  return evidence / absl::StrCat(piece) / absl::StrCat(role, ".jsonl");
}

bool PieceIsThere(const PieceOptions& options, int piece) {
  for (const v1::Proposal& proposal : options.system.proposals()) {
    std::error_code error;
    if (!fs::exists(EvidencePath(options.evidence, piece, proposal), error)) return false;
  }
  return true;
}

v1::System SystemOfPiece(const PieceOptions& options, int piece) {
  v1::System system = options.system;
  system.set_replicates(1);
  system.set_seed(piece);
  return system;
}

v1::System PretrainingOfPiece(const PieceOptions& options, int piece) {
  v1::System system = options.pretraining;
  system.set_replicates(1);
  system.set_seed(piece);
  const bool has_parameters = system.dataset().find('?') != std::string::npos;
  absl::StrAppend(system.mutable_dataset(), has_parameters ? "&" : "?",
                  "seed=", kFirstPretrainingWorld + piece);
  return system;
}

absl::Status RunPiece(const PieceOptions& options, int piece,
                      const StudyMesh::OnChange& on_change) {
  if (PieceIsThere(options, piece)) return absl::OkStatus();
  const v1::System system = SystemOfPiece(options, piece);
  const StudyPlace place{options.program_directory, options.meshes / absl::StrCat(piece)};
  BACKFIRE_ASSIGN_OR_RETURN(const auto mesh, StudyMesh::Start(place, system, options.system_file));
  mesh->Watch(on_change);
  BACKFIRE_ASSIGN_OR_RETURN(const std::string current, mesh->CurrentSystem());
  // Once the study's system is there, what it starts from is, too.
  if (current != system.name()) {
    BACKFIRE_RETURN_IF_ERROR(mesh->Apply(PretrainingOfPiece(options, piece)).status());
  }
  BACKFIRE_RETURN_IF_ERROR(mesh->Apply(system).status());
  for (const v1::Proposal& proposal : system.proposals()) {
    const fs::path file = EvidencePath(options.evidence, piece, proposal);
    BACKFIRE_ASSIGN_OR_RETURN(
        const v1::Update update,
        mesh->Propose(proposal, absl::StrCat("study/", proposal.recipe().name())));
    BACKFIRE_ASSIGN_OR_RETURN(const std::string lines, mesh->Evidence(update.name()));
    BACKFIRE_RETURN_IF_ERROR(MakeDirectories(file.parent_path()));
    BACKFIRE_RETURN_IF_ERROR(WriteFileAtomically(file, lines));
  }
  return absl::OkStatus();
}

}  // namespace backfire::study
