#pragma once

#include <string>
#include <vector>

namespace backfire {

/// The shared libraries of this process whose file names begin with one of `prefixes`, as `NAME
/// BUILD-ID`, sorted. The build id is the linker's digest of the file's contents (its GNU note), in
/// hexadecimal; where a library has none, its size in bytes stands instead.
std::vector<std::string> LoadedLibraries(const std::vector<std::string>& prefixes);

}  // namespace backfire
