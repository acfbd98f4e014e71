#pragma once

#include <exception>

#include "absl/status/status.h"

namespace backfire {

/// What an exception of a library says, by its first line: RESOURCE_EXHAUSTED where memory ran out,
/// on a GPU too; otherwise INTERNAL.
absl::Status StatusOfException(const std::exception& error);

/// Calls `work`, which returns a status or a StatusOr, and returns what it does; an exception as
/// its status. For code that calls libraries which throw, where nothing above would catch it.
template <typename Work>
auto CatchExceptions(Work&& work) -> decltype(work()) {
  try {
    return work();
  } catch (const std::exception& error) {
    return StatusOfException(error);
  }
}

}  // namespace backfire
