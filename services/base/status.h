#pragma once

#include <string_view>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace backfire {

/// Returns `status` with `context` and ": " before its message; an OK status as it is.
absl::Status Annotate(const absl::Status& status, std::string_view context);

namespace internal {
inline absl::Status StatusOf(absl::Status status) { return status; }
template <typename T>
absl::Status StatusOf(absl::StatusOr<T>&& status_or) {
  return std::move(status_or).status();
}
}  // namespace internal
}  // namespace backfire

/// Returns from the enclosing function if `expression`, an absl::Status, is not OK.
#define BACKFIRE_RETURN_IF_ERROR(expression)                                  \
  do {                                                                        \
    if (absl::Status backfire_status = (expression); !backfire_status.ok()) { \
      return backfire_status;                                                 \
    }                                                                         \
  } while (false)

#define BACKFIRE_INTERNAL_CONCAT2(a, b) a##b
#define BACKFIRE_INTERNAL_CONCAT(a, b) BACKFIRE_INTERNAL_CONCAT2(a, b)
#define BACKFIRE_INTERNAL_ASSIGN_OR_RETURN(name, declaration, expression) \
  auto name = (expression);                                               \
  if (!name.ok()) return std::move(name).status();                        \
  declaration = *std::move(name)

/// Assigns the value of `expression`, an absl::StatusOr, to `declaration`, or returns its status.
#define BACKFIRE_ASSIGN_OR_RETURN(declaration, expression)                                    \
  BACKFIRE_INTERNAL_ASSIGN_OR_RETURN(BACKFIRE_INTERNAL_CONCAT(backfire_status_or_, __LINE__), \
                                     declaration, expression)
