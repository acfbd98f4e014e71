#pragma once

#include <google/protobuf/message.h>

#include <string>

#include "absl/status/status.h"
#include "orchestrator/store/sqlite_connection.h"

namespace backfire::store {

/// Brings a store of any age to the present schema, in one transaction. FAILED_PRECONDITION: a
/// newer program made it.
absl::Status Migrate(SqliteConnection& connection);

/// DATA_LOSS: a crash of the machine or a failing disk has damaged the file. Evaluations, which are
/// most of it, are not looked at: a damaged one is found when it is read.
absl::Status CheckIntegrity(SqliteConnection& connection);

/// Reads a row's message. DATA_LOSS: it can't be read.
absl::Status ParseRow(const std::string& bytes, const char* table,
                      google::protobuf::Message& message);

}  // namespace backfire::store
