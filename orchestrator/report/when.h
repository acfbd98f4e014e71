#pragma once

#include <google/protobuf/timestamp.pb.h>

#include <string>

#include "absl/status/statusor.h"
#include "absl/time/time.h"

namespace backfire::report {

/// `2026-11-30 14:02:11Z`, in UTC, so that it reads alike on every machine; empty where it is
/// unset.
std::string WhenText(const google::protobuf::Timestamp& time);

/// `2h`, `90m`, `3d`, `1h30m`. INVALID_ARGUMENT: something else, or below 0.
absl::StatusOr<absl::Duration> ParseSpan(const std::string& text);

/// The moment that people mean by `2h`, `90m`, `3d` (so long before `now`), `today`, `yesterday`
/// (its midnight), `2026-11-30` or `2026-11-30 14:02`, as WhenText writes it: all in UTC.
/// INVALID_ARGUMENT: something else, or after `now`.
absl::StatusOr<absl::Time> ParseSince(const std::string& text, absl::Time now);

}  // namespace backfire::report
