#pragma once

#include <filesystem>
#include <string>

#include "absl/status/statusor.h"
#include "orchestrator/cli/exit_code.h"

namespace backfire::study {

/// Arguments of `backfire study stereo`.
struct StereoOptions {
  std::filesystem::path program_directory;  ///< Of the services' programs.
  std::string evidence;                     ///< Folder of what pieces leave.
  std::string meshes;                       ///< Folder of the pieces' meshes.
  std::string folder;                       ///< Of the system files; empty: those that come along.
  std::string dataset;                      ///< In place of the system file's; empty: that.
  std::string device;                       ///< Of what learns; empty: as the system files say.
  std::string effort = "first-look";        ///< `first-look`, `full` or `point-rcnn`.
  int first_piece = 1, last_piece = 0;      ///< 0: as the effort has them.
  bool tables_only = false;                 ///< Runs nothing.
  std::string figures;                      ///< Folder of the figures; empty: none are drawn.
  std::string format = "text";
};

/// Runs the pieces that are not there, prints the tables of those that are, and draws their
/// figures. Errors as of RunPiece and ReadStereoStudy.
absl::StatusOr<cli::ExitCode> RunStereoStudy(const StereoOptions& options);

}  // namespace backfire::study
