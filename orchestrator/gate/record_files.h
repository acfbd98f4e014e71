#pragma once

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "orchestrator/gate/record_table.h"

namespace backfire::gate {

/// The files of evaluation records that a path means: the file itself, or those in the folder and
/// below it whose names end in .jsonl, .ndjson or .csv, or in one of these and .gz; sorted by path.
/// NOT_FOUND: there is no such path. INVALID_ARGUMENT: a folder without such a file, or with
/// another file than these (hidden files aside): it could be evidence that nobody reads.
absl::StatusOr<std::vector<std::string>> RecordFiles(const std::string& path);

/// Reads all records that a path means into a finished table.
/// INVALID_ARGUMENT: faults, one a line, as `file:line: vertex V, seed S, example E: fault`, at
/// most 20 of each file. Otherwise as RecordFiles and LineReader.
absl::StatusOr<RecordTable> ReadRecords(const std::string& path, const v1::GatePolicy& policy,
                                        const Scope& scope, const Columns& columns,
                                        Completeness completeness);

}  // namespace backfire::gate
