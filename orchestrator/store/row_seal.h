#pragma once

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "orchestrator/store/sqlite_connection.h"

struct sqlite3;

// A row is sealed by its column `checksum`: the SHA-256 over its table's name and its other
// columns, each with its type. Tables with that column are sealed; how many rows each has is in
// table `totals`, so that a row that vanished is missed. SQLite itself notices damage to its own
// structures only, and not to what rows say.
namespace backfire::store {

/// Adds the SQL functions `row_checksum(TABLE, VALUE...)`, the seal as text, and `sealed(CHECKSUM,
/// TABLE, VALUE...)`, which is 1, or fails as SQLITE_CORRUPT where the checksum is another.
absl::Status AddSealFunctions(sqlite3* database);

/// Has a connection verify whatever it reads: views hide the sealed tables by their own names. The
/// tables themselves are `main.NAME`.
absl::Status VerifyWhatIsRead(SqliteConnection& connection);

/// Has a connection seal whatever it writes, and refuse to write over a damaged row, whose columns
/// that stay would be sealed with it.
absl::Status SealWhatIsWritten(SqliteConnection& connection);

/// Seals every row as it is, and counts them: once, when a store gets its seals, or other columns.
absl::Status SealAllRows(SqliteConnection& connection);

/// DATA_LOSS: a row is not as it was written, or one is missing.
absl::Status VerifyAllRows(SqliteConnection& connection);

}  // namespace backfire::store
