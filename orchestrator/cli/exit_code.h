#pragma once

#include "absl/status/status.h"

namespace backfire::cli {

/// What `backfire` exits with. Scripts and CI jobs rely on these: never renumber them.
enum class ExitCode {
  kOk = 0,           ///< Done. An answer is no error: a verdict of any kind exits 0 without --gate.
  kRefused = 1,      ///< --gate: something is worse beyond its margin.
  kBadInput = 2,     ///< Wrong usage, a faulty file, or something named that does not exist.
  kUnavailable = 3,  ///< A peer did not answer, or has no room. Trying again may help.
  kWrongState = 4,   ///< A right request at the wrong time: a port in use, an update still open.
  kFailed = 5,       ///< A program, an update or an invariant failed.
  kUndecided = 6,    ///< --gate: the evidence does not say; or the update was cancelled.
  kInterrupted = 130,  ///< Ctrl-C or SIGTERM.
};

/// The exit code for a failed call or step.
inline ExitCode ExitCodeOf(const absl::Status& status) {
  switch (status.code()) {
    case absl::StatusCode::kOk:
      return ExitCode::kOk;
    case absl::StatusCode::kInvalidArgument:
    case absl::StatusCode::kNotFound:
    case absl::StatusCode::kOutOfRange:
    case absl::StatusCode::kUnauthenticated:  // Without the mesh's token, or with another's.
      return ExitCode::kBadInput;
    case absl::StatusCode::kUnavailable:
    case absl::StatusCode::kDeadlineExceeded:
    case absl::StatusCode::kResourceExhausted:
      return ExitCode::kUnavailable;
    case absl::StatusCode::kFailedPrecondition:
    case absl::StatusCode::kAborted:
    case absl::StatusCode::kAlreadyExists:
      return ExitCode::kWrongState;
    case absl::StatusCode::kCancelled:
      return ExitCode::kInterrupted;
    default:
      return ExitCode::kFailed;
  }
}

}  // namespace backfire::cli
