#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "tests/parity/networks.h"

namespace backfire::parity {

/// What came of a directory.
struct ParityOutcome {
  int64_t files = 0, compared = 0, failed = 0;
};

/// Runs every vector file of `directory` whose network contains `only`, in alphabetical order, and
/// prints a line per tensor. Each of these counts as a failure: a mismatch, a tensor that nothing
/// compares, a file that can't be read or whose network is not among `networks`, a file or tensor
/// that contents.tsv lists and that is missing, and a directory without vector files.
ParityOutcome RunDirectory(const std::filesystem::path& directory, const std::string& only,
                           const std::vector<NetworkParity>& networks,
                           const std::function<void(const std::string&)>& print);

}  // namespace backfire::parity
