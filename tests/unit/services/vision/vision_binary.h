#pragma once

#include <sys/wait.h>

#include <cstdlib>
#include <filesystem>
#include <string>

#include "services/base/file.h"

namespace backfire::vision {

/// How a run of a program ended, and what it printed.
struct Outcome {
  int code;
  std::string out, err;
};

/// Runs backfire-vision, whose path is BACKFIRE_VISION_BINARY, by the shell; `folder` takes what it
/// prints.
inline Outcome RunVisionBinary(const std::string& arguments, const std::filesystem::path& folder) {
  const std::string out = folder / "out.txt", err = folder / "err.txt";
  const std::string command =
      std::string(BACKFIRE_VISION_BINARY) + " " + arguments + " > " + out + " 2> " + err;
  const int status = std::system(command.c_str());
  return {WIFEXITED(status) ? WEXITSTATUS(status) : -1, *ReadFile(out), *ReadFile(err)};
}

}  // namespace backfire::vision
