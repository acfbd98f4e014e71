#pragma once

#include <google/protobuf/message.h>

#include <string>

#include "absl/status/status.h"
#include "orchestrator/store/sqlite_connection.h"

namespace backfire::store {

/// SQL of an evaluation's seal, which its step has in `evaluation_checksum`; empty: there is none.
inline constexpr char kEvaluationChecksum[] =
    "row_checksum('evaluations', evaluations.update_number, evaluations.position, "
    "evaluations.evaluation)";

/// Brings a store of any age to the present schema, in one transaction. One that has no seals gets
/// them, once what it says has been held against itself. DATA_LOSS: as VerifySchema.
/// FAILED_PRECONDITION: a newer program made it.
absl::Status Migrate(SqliteConnection& connection);

/// Changes nothing. DATA_LOSS: the schema, or a sealed row (row_seal.h), is not as it was written.
/// FAILED_PRECONDITION: a newer program made it.
absl::Status VerifySchema(SqliteConnection& connection);

/// DATA_LOSS: an evaluation is not the one that its step's row has the checksum of, or is missing.
/// A store of an older program has no checksums to hold them against.
absl::Status VerifyEvaluations(SqliteConnection& connection);

/// DATA_LOSS: a crash of the machine or a failing disk has damaged the file's structure, indexes
/// included. Evaluations, which are most of it, are not looked at: a damaged one is found when it
/// is read.
absl::Status CheckIntegrity(SqliteConnection& connection);

/// Reads a row's message. DATA_LOSS: it can't be read.
absl::Status ParseRow(const std::string& bytes, const char* table,
                      google::protobuf::Message& message);

}  // namespace backfire::store
