#include "orchestrator/gate/record_files.h"

#include <algorithm>
#include <filesystem>
#include <memory>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "orchestrator/gate/line_reader.h"
#include "services/base/file.h"
#include "services/base/status.h"

namespace backfire::gate {
namespace {

namespace fs = std::filesystem;

enum class Format { kNone, kJson, kCsv };

Format FormatOf(absl::string_view name) {
  absl::ConsumeSuffix(&name, ".gz");
  if (absl::EndsWith(name, ".jsonl") || absl::EndsWith(name, ".ndjson")) return Format::kJson;
  return absl::EndsWith(name, ".csv") ? Format::kCsv : Format::kNone;
}

// Reads a file into `table`. Faults of rows are collected; after one of the file itself there is
// nothing more to read.
absl::Status ReadFileInto(const std::string& path, const Columns& columns, RecordTable& table,
                          std::vector<std::string>& faults) {
  BACKFIRE_ASSIGN_OR_RETURN(LineReader reader, LineReader::Open(path));
  const std::unique_ptr<RowParser> parser =
      FormatOf(path) == Format::kCsv ? MakeCsvRowParser(columns) : MakeJsonRowParser(columns);
  RecordRow row;
  int64_t rows = 0;
  size_t found = 0;
  const auto add_fault = [&](const absl::Status& fault) {
    const std::string where = row.Where();
    faults.push_back(absl::StrCat(path, ":", reader.line_number(), ": ", where,
                                  where.empty() ? "" : ": ", std::string(fault.message())));
    return ++found < kMostFaults;
  };
  absl::string_view line;
  while (true) {
    const absl::StatusOr<bool> more = reader.Next(line);
    if (!more.ok() && !absl::IsInvalidArgument(more.status())) return more.status();
    if (!more.ok()) {
      faults.emplace_back(more.status().message());
      return absl::OkStatus();
    }
    if (!*more) break;
    const absl::StatusOr<bool> parsed = parser->Parse(line, row);
    if (parsed.ok() && !*parsed) continue;
    ++rows;
    const absl::Status added = parsed.ok() ? table.Add(row) : parsed.status();
    if (!added.ok() && !add_fault(added)) {
      faults.push_back(absl::StrCat(path, ": and more"));
      return absl::OkStatus();
    }
  }
  if (const absl::Status lacking = parser->AtEnd(); !lacking.ok()) {
    faults.push_back(absl::StrCat(path, ":1: ", std::string(lacking.message())));
  } else if (rows == 0) {
    faults.push_back(absl::StrCat(path, ":1: has no record"));
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<std::vector<std::string>> RecordFiles(const std::string& path) {
  std::error_code error;
  const fs::file_status status = fs::status(path, error);
  if (!fs::exists(status)) {
    return absl::NotFoundError(absl::StrCat(path, ": there is no such file or folder"));
  }
  if (!fs::is_directory(status)) {
    if (FormatOf(path) != Format::kNone) return std::vector<std::string>{path};
    return absl::InvalidArgumentError(
        absl::StrCat(path, ": must end in .jsonl, .ndjson or .csv, or in one of these and .gz"));
  }
  std::vector<std::string> files;
  auto at = fs::recursive_directory_iterator(path, error);
  for (; !error && at != fs::recursive_directory_iterator(); at.increment(error)) {
    const fs::path& file = at->path();
    const bool hidden = absl::StartsWith(file.filename().string(), ".");
    if (at->is_directory(error)) {
      if (hidden) at.disable_recursion_pending();
      continue;
    }
    if (hidden) continue;
    if (FormatOf(file.string()) == Format::kNone) {
      return absl::InvalidArgumentError(
          absl::StrCat(file.string(),
                       ": is no file of records, which end in .jsonl, .ndjson or "
                       ".csv, or in one of these and .gz: move it elsewhere"));
    }
    files.push_back(file.string());
  }
  if (error) return ErrnoToStatus(error.value(), path);
  if (files.empty()) {
    return absl::InvalidArgumentError(
        absl::StrCat(path,
                     ": has no file that ends in .jsonl, .ndjson or .csv, or in one of these "
                     "and .gz"));
  }
  std::sort(files.begin(), files.end());
  return files;
}

absl::StatusOr<RecordTable> ReadRecords(const std::string& path, const v1::GatePolicy& policy,
                                        const Scope& scope, const Columns& columns,
                                        Completeness completeness) {
  BACKFIRE_ASSIGN_OR_RETURN(const std::vector<std::string> files, RecordFiles(path));
  RecordTable table(policy, scope, columns);
  std::vector<std::string> faults;
  for (const std::string& file : files) {
    BACKFIRE_RETURN_IF_ERROR(ReadFileInto(file, columns, table, faults));
  }
  // What is missing says nothing where lines could not be read.
  if (!faults.empty()) return absl::InvalidArgumentError(absl::StrJoin(faults, "\n"));
  if (const absl::Status finished = table.Finish(completeness); !finished.ok()) {
    std::vector<std::string> lines = {};
    for (const auto line : absl::StrSplit(finished.message(), '\n')) {
      lines.push_back(absl::StrCat(path, ": ", line));
    }
    return absl::InvalidArgumentError(absl::StrJoin(lines, "\n"));
  }
  return table;
}

}  // namespace backfire::gate
