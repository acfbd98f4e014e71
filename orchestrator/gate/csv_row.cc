#include <algorithm>
#include <utility>

#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "orchestrator/gate/record_row.h"
#include "services/base/status.h"

namespace backfire::gate {
namespace {

using internal::Target;

// Cells of a line by RFC 4180, without its line ends within quotes.
absl::Status SplitCells(absl::string_view line, std::vector<std::string>& cells) {
  size_t count = 0, at = 0;
  while (true) {
    if (cells.size() <= count) cells.emplace_back();
    std::string& cell = cells[count++];
    cell.clear();
    if (at < line.size() && line[at] == '"') {
      for (++at;; ++at) {
        if (at >= line.size()) {
          return absl::InvalidArgumentError(
              absl::StrCat("cell ", count, ": its quote does not end in this line"));
        }
        if (line[at] != '"') {
          cell += line[at];
        } else if (at + 1 < line.size() && line[at + 1] == '"') {
          cell += line[++at];
        } else {
          ++at;
          break;
        }
      }
      if (at < line.size() && line[at] != ',') {
        return absl::InvalidArgumentError(
            absl::StrCat("cell ", count, ": goes on after its quote"));
      }
    } else {
      const size_t end = std::min(line.find(',', at), line.size());
      cell.assign(line.data() + at, end - at);
      at = end;
    }
    if (at >= line.size()) break;
    ++at;
  }
  cells.resize(count);
  return absl::OkStatus();
}

class CsvRowParser : public RowParser {
 public:
  explicit CsvRowParser(const Columns& columns) : columns_(columns) {}

  absl::StatusOr<bool> Parse(absl::string_view line, RecordRow& row) override {
    row.Clear();
    if (line.empty()) return absl::InvalidArgumentError("the line is empty");
    BACKFIRE_RETURN_IF_ERROR(SplitCells(line, cells_));
    if (targets_.empty()) {
      BACKFIRE_RETURN_IF_ERROR(ReadHeading());
      return false;
    }
    if (cells_.size() != targets_.size()) {
      return absl::InvalidArgumentError(absl::StrCat(
          "must have ", targets_.size(), " cells, as the heading has: got ", cells_.size()));
    }
    for (size_t i = 0; i < cells_.size(); ++i) {
      // Columns of other vertices' losses.
      if (cells_[i].empty()) continue;
      if (targets_[i] == Target::kSlice) {
        for (const std::string& slice : std::vector<std::string>(absl::StrSplit(cells_[i], ';'))) {
          BACKFIRE_RETURN_IF_ERROR(internal::SetText(Target::kSlice, slice, false, columns_, row));
        }
        continue;
      }
      BACKFIRE_RETURN_IF_ERROR(internal::SetText(targets_[i], cells_[i], true, columns_, row));
    }
    return true;
  }

  absl::Status AtEnd() const override {
    return targets_.empty() ? absl::InvalidArgumentError("has no heading") : absl::OkStatus();
  }

 private:
  absl::Status ReadHeading() {
    std::vector<int> targets;
    for (const std::string& cell : cells_) {
      BACKFIRE_ASSIGN_OR_RETURN(const int target, internal::TargetOf(cell, columns_));
      if (std::find(targets.begin(), targets.end(), target) != targets.end()) {
        return absl::InvalidArgumentError(absl::StrCat("column ", cell, " is there twice"));
      }
      const bool of_resamples = target <= Target::kName;
      if (of_resamples) {
        return absl::InvalidArgumentError(
            absl::StrCat("column ", cell, ": rows with resamples are JSON Lines, not CSV"));
      }
      targets.push_back(target);
    }
    targets_ = std::move(targets);
    return absl::OkStatus();
  }

  const Columns& columns_;
  std::vector<int> targets_;
  std::vector<std::string> cells_;
};

}  // namespace

std::unique_ptr<RowParser> MakeCsvRowParser(const Columns& columns) {
  return std::make_unique<CsvRowParser>(columns);
}

}  // namespace backfire::gate
