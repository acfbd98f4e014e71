#pragma once

#include <filesystem>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "orchestrator/study/study_mesh.h"

namespace backfire::study {

/// The stereo study (docs/results/plan.md) is made of pieces, each a replicate of everything: a
/// mesh of its own trains a disparity network on a world of its own, starts the study's system from
/// it, and judges every proposal of the system's file. A piece shares nothing random with another,
/// so that pieces may be run on any machine, in any order, and what they leave is put together
/// afterwards (stereo_study.h).
struct PieceOptions {
  std::filesystem::path program_directory;  ///< Of the services' programs.
  std::filesystem::path meshes;    ///< Data of each piece's mesh; where it is, a piece goes on.
  std::filesystem::path evidence;  ///< What pieces leave: `PIECE/improved.jsonl`, `oracle.jsonl`.
  /// Trains what the system's disparity networks start from. Its dataset names no seed: each piece
  /// has a world of its own. Its endpoints are among the system's.
  v1::System pretraining;
  v1::System system;        ///< Of one replicate. Proposes u' and then y, of the recipe `oracle`.
  std::string system_file;  ///< From which `system` was read.
};

/// The evidence of a proposal in a piece: what `backfire update export` writes.
std::filesystem::path EvidencePath(const std::filesystem::path& evidence, int piece,
                                   const v1::Proposal& proposal);

/// Whether a piece has left all that it should.
bool PieceIsThere(const PieceOptions& options, int piece);

/// The system of a piece, and what it starts from: seeds of its own in both.
v1::System SystemOfPiece(const PieceOptions& options, int piece);
v1::System PretrainingOfPiece(const PieceOptions& options, int piece);

/// Runs a piece to its end; does nothing if it is there. Stopped in the middle, it goes on where
/// its mesh's data are. Errors as of StudyMesh.
/// @param piece      From 1.
/// @param on_change  Hears of the updates that are waited for.
absl::Status RunPiece(const PieceOptions& options, int piece, const StudyMesh::OnChange& on_change);

}  // namespace backfire::study
