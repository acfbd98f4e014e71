// backfire-vision: datasets, evaluations, pictures, and a client for stereo systems.
#include <CLI/CLI.hpp>
#include <atomic>
#include <csignal>
#include <cstdio>
#include <string>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "services/base/command_line.h"
#include "services/base/printable.h"
#include "services/vision/commands.h"

namespace backfire::vision {
namespace {

std::atomic<bool> interrupted{false};
static_assert(std::atomic<bool>::is_always_lock_free, "a signal handler writes it");

// The first asks for an orderly end, the second ends at once.
void OnSignal(int signal) {
  if (interrupted.exchange(true)) std::_Exit(128 + signal);
}

// One line each, whatever the message holds.
std::string OneLine(absl::string_view text) {
  std::string line(text);
  for (char& c : line) {
    if (c == '\n' || c == '\r') c = ' ';
  }
  return Printable(line);
}

int Main(int argc, char** argv) {
  std::signal(SIGINT, OnSignal);
  std::signal(SIGTERM, OnSignal);
  CLI::App app("Datasets, evaluations and pictures for stereo systems, and a client for them.",
               "backfire-vision");
  app.require_subcommand(1);
  app.footer(
      "Exit codes: 0 done; 2 wrong usage or input; 3 the gateway is away or refused;\n"
      "5 failed (disk full, internal error); 130 interrupted.");
  CommandContext context;
  context.interrupted = &interrupted;
  AddDatasetCommand(app, context);
  AddEvalCommand(app, context);
  AddPerceiveCommand(app, context);
  AddCompareCommand(app, context);
  AddFlipsCommand(app, context);
  AddDrawCommand(app, context);
  if (const std::optional<int> code = ParseCommandLine(app, argc, argv)) return *code;
  return context.run();
}

}  // namespace

std::string DatasetUri(const std::string& directory_or_uri) {
  if (absl::StartsWith(directory_or_uri, "kitti:") ||
      absl::StartsWith(directory_or_uri, "rendered:")) {
    return directory_or_uri;
  }
  return absl::StrCat("kitti:", directory_or_uri);
}

absl::Status CheckPngPath(const std::string& path) {
  if (absl::EndsWith(path, ".png")) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat("--out must end in .png: got \"", path, "\""));
}

int ReportError(const absl::Status& status) {
  std::fprintf(stderr, "backfire-vision: %s\n", OneLine(status.message()).c_str());
  switch (status.code()) {
    case absl::StatusCode::kInvalidArgument:
    case absl::StatusCode::kNotFound:
    case absl::StatusCode::kDataLoss:
    case absl::StatusCode::kAlreadyExists:
    case absl::StatusCode::kPermissionDenied:
    case absl::StatusCode::kFailedPrecondition:
      return kBadInput;
    case absl::StatusCode::kCancelled:
      return kInterrupted;
    default:
      return kFailed;
  }
}

int ReportPeerError(const absl::Status& status, const std::string& peer) {
  std::string hint;
  if (status.code() == absl::StatusCode::kUnavailable)
    hint = " (is it running? see backfire status)";
  std::fprintf(stderr, "backfire-vision: gateway %s: %s: %s%s\n", peer.c_str(),
               absl::StatusCodeToString(status.code()).c_str(), OneLine(status.message()).c_str(),
               hint.c_str());
  return kPeerFailed;
}

}  // namespace backfire::vision

int main(int argc, char** argv) { return backfire::vision::Main(argc, argv); }
