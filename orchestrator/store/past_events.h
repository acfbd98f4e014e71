#pragma once

#include "absl/status/status.h"
#include "orchestrator/store/sqlite_connection.h"

namespace backfire::store {

/// Fills the table of events of a store that had none: when updates were proposed and ended, and
/// what happened to releases, as far as their rows still say. DATA_LOSS: a row can't be read.
absl::Status AddPastEvents(SqliteConnection& connection);

}  // namespace backfire::store
