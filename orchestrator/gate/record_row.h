#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace backfire::gate {

/// Names of the columns that a policy's losses read, numbered.
class Columns {
 public:
  /// The column's number; a new one if it has none yet.
  int Add(const std::string& name);
  /// -1: there is no such column.
  int Find(absl::string_view name) const;
  const std::string& name(int column) const { return names_[static_cast<size_t>(column)]; }
  int size() const { return static_cast<int>(names_.size()); }
  std::string Listed() const;

 private:
  std::vector<std::string> names_;
  absl::flat_hash_map<std::string, int> numbers_;
};

/// A row of evaluation records as it was written: an example's losses, or a loss with its
/// resamples.
struct RecordRow {
  struct Number {
    int column = 0;
    double value = 0;
  };
  bool has_vertex = false, has_seed = false, has_example = false, has_cluster = false;
  std::string vertex;
  int64_t seed = 0;
  std::string example;
  std::string cluster;
  std::vector<std::string> slices;
  std::vector<Number> numbers;  ///< In the order of the row; each column at most once.

  // Of a row that brings resamples.
  bool has_name = false, has_value = false, has_resampled = false;
  std::string name;               ///< Of the loss.
  double value = 0;               ///< NaN: undefined.
  std::vector<double> resampled;  ///< NaN: undefined.
  int64_t examples = 0;           ///< Of the split; 0: not said.
  int64_t bearing = 0;            ///< Of these, those that bear upon the loss; 0: all.
  /// Of each cluster that was drawn from, its examples that bear upon the loss; empty: of none.
  std::vector<int64_t> cluster_sizes;

  void Clear();
  /// `vertex car, seed 3, example 17`, as far as the row has them.
  std::string Where() const;
};

/// Reads rows from lines.
class RowParser {
 public:
  virtual ~RowParser() = default;
  /// Reads a line into `row`; false: it is no row, but CSV's heading. INVALID_ARGUMENT says what is
  /// wrong; `row` then has what was read before that.
  virtual absl::StatusOr<bool> Parse(absl::string_view line, RecordRow& row) = 0;
  /// What a file without a row lacks; OK if nothing.
  virtual absl::Status AtEnd() const { return absl::OkStatus(); }
};

/// @param columns  Outlives the parser.
std::unique_ptr<RowParser> MakeJsonRowParser(const Columns& columns);
std::unique_ptr<RowParser> MakeCsvRowParser(const Columns& columns);

namespace internal {

/// Where a value of a row belongs: a column of losses (>= 0), or one of these.
enum Target : int {
  kVertex = -1,
  kSeed = -2,
  kExample = -3,
  kSlice = -4,
  kCluster = -5,
  kName = -6,
  kValue = -7,
  kResampled = -8,
  kExamples = -9,
  kBearing = -10,
  kClusterSizes = -11,
};

/// The target of a key or heading. INVALID_ARGUMENT: there is no such column.
absl::StatusOr<int> TargetOf(absl::string_view name, const Columns& columns);

/// Sets what `target` names from text. @param is_number  Whether it was written as a number.
absl::Status SetText(int target, absl::string_view text, bool is_number, const Columns& columns,
                     RecordRow& row);

}  // namespace internal
}  // namespace backfire::gate
