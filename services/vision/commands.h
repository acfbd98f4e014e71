#pragma once

#include <atomic>
#include <functional>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace CLI {
class App;
}

namespace backfire::vision {

/// Exit codes of backfire-vision, as --help lists them: those of every program of the command line
/// (README.md), of which it needs no others.
enum ExitCode : int {
  kDone = 0,
  kBadInput = 2,    ///< Usage, a missing or malformed file.
  kPeerFailed = 3,  ///< The gateway is away, or refused the request.
  kFailed = 5,      ///< The machine's fault: disk full, an internal error.
  kInterrupted = 130,
};

/// What a command runs with. Set by a parsed subcommand; empty until then.
struct CommandContext {
  std::function<int()> run;
  const std::atomic<bool>* interrupted = nullptr;
};

/// Adds `dataset` with `render`, `check` and `contact-sheet`.
void AddDatasetCommand(CLI::App& app, CommandContext& context);
/// Add one to the former.
void AddRenderCommand(CLI::App& dataset, CommandContext& context);
void AddCheckCommand(CLI::App& dataset, CommandContext& context);
void AddContactSheetCommand(CLI::App& dataset, CommandContext& context);
/// Adds `eval` with `kitti` and `disparity`.
void AddEvalCommand(CLI::App& app, CommandContext& context);
/// Add one to the former.
void AddEvalKittiCommand(CLI::App& eval, CommandContext& context);
void AddEvalDisparityCommand(CLI::App& eval, CommandContext& context);
/// Adds `perceive`.
void AddPerceiveCommand(CLI::App& app, CommandContext& context);
/// Adds `compare`.
void AddCompareCommand(CLI::App& app, CommandContext& context);
/// Adds `flips`.
void AddFlipsCommand(CLI::App& app, CommandContext& context);
/// Adds `draw`.
void AddDrawCommand(CLI::App& app, CommandContext& context);

/// Which frames a contact sheet shows.
struct SheetArguments {
  std::string dataset, split = "train", out;
  int64_t first = 0, count = 8;
  int columns = 2;
  bool plain = false;  ///< Only the left image, without disparity and bird's-eye view.
};
/// Draws it. A frame that cannot be read is shown as an empty place with the reason.
absl::Status DrawSheet(const SheetArguments& arguments);

/// Draws one frame with its ground truth: what `draw` does.
absl::Status DrawExample(const std::string& dataset, const std::string& split, int64_t example,
                         const std::string& out);

/// Where a detector is: where the user says, or where `backfire up` has it in its data directory.
/// INVALID_ARGUMENT, naming the flag that takes detectors: neither is known.
absl::StatusOr<std::string> DetectorTarget(const std::string& flag, const std::string& given,
                                           const std::string& data_directory,
                                           const std::string& vertex);

/// The dataset that a user names: a directory, or a URI as it is.
std::string DatasetUri(const std::string& directory_or_uri);
/// INVALID_ARGUMENT: `--out` does not end in .png.
absl::Status CheckPngPath(const std::string& path);

/// Prints one line, and returns the exit code for it: kBadInput for what the user can mend, else
/// kFailed.
int ReportError(const absl::Status& status);
/// The same for what a peer answered: kPeerFailed.
int ReportPeerError(const absl::Status& status, const std::string& peer);

}  // namespace backfire::vision
