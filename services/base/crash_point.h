#pragma once

#include <string>
#include <string_view>

#include "absl/strings/str_cat.h"

namespace backfire {

// Places where `./dev chaos` kills a process, as SIGKILL would from outside, but always at the same
// place: between two writes, after one, in the middle of a training. Without the environment
// variable BACKFIRE_CRASH_DIRECTORY a place costs one comparison, and does nothing.
//
// The directory, one per process, holds `plan`: names of places, a line each, in the order in which
// the process is to die; `fired`: how many of them it has died at; and `passed`: every place that
// was passed, appended to while the file `record` exists.

namespace internal {
extern const bool kCrashPointsAreOn;
void PassCrashPoint(const std::string& name);
}  // namespace internal

/// Passes the place called "{kind} {detail...}". Thread-safe.
template <typename... Detail>
void CrashPoint(std::string_view kind, const Detail&... detail) {
  if (!internal::kCrashPointsAreOn) return;
  internal::PassCrashPoint(
      absl::StrCat(absl::string_view(kind.data(), kind.size()), " ", detail...));
}

}  // namespace backfire
