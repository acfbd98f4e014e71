#pragma once

#include <filesystem>
#include <string>

#include "absl/status/status.h"

namespace backfire::runtime {

/// Where the processes of a mesh on this machine listen unless told otherwise: `unix:PATH` of a
/// socket `name` in the folder `run` of the mesh's data directory. The path is absolute, as every
/// process and every later command is to find it, wherever it is started.
std::string RunSocket(const std::filesystem::path& data_directory, const std::string& name);

/// Makes that folder, which nobody but its owner may enter, and so reach what listens there; one
/// that is there is made so. Whoever else could replace it could stand in for the mesh.
/// FAILED_PRECONDITION: it is another user's or no folder, or everybody may replace it, as
/// everybody may write to the data directory.
absl::Status MakeRunDirectory(const std::filesystem::path& data_directory);

}  // namespace backfire::runtime
