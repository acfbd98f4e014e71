#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <tuple>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "backfire/v1/gate.pb.h"
#include "orchestrator/gate/policy.h"
#include "orchestrator/gate/record_row.h"

namespace backfire::gate {

/// Faults that are named of one file, one table or one pair of sides.
inline constexpr size_t kMostFaults = 20;

/// A loss of one replicate that came with its resamples.
struct ResampledRecord {
  double value = 0;
  std::vector<double> resampled;
  int64_t examples = 0, bearing = 0;
  std::vector<int64_t> cluster_sizes;  ///< As RecordRow has them.
};

/// Records of one vertex: what its rows say, whatever order they came in.
struct VertexRecords {
  /// Of the examples, in the order that resamples number them in: shorter names first, then by
  /// their bytes, so that whole numbers have their own order.
  std::vector<std::string> examples;
  std::vector<uint64_t> slices;  ///< By example: bits of SliceNames().
  /// By example; numbered in the order in which examples have them first; empty: none named.
  std::vector<int32_t> clusters;
  std::vector<std::string> cluster_names;
  /// By seed, then by column as the vertex's own losses number them, then by example.
  std::map<int64_t, std::vector<std::vector<double>>> values;
  /// By seed, loss and slice.
  std::map<std::tuple<int64_t, std::string, std::string>, ResampledRecord> resampled;
};

/// The slices that a vertex's policy names, required ones first.
std::vector<std::string> SliceNames(const v1::GateVertex& vertex);
/// The columns that a vertex's losses read, each once, in their order.
std::vector<std::string> ColumnNames(const v1::GateVertex& vertex);
/// The columns of all vertices of a policy.
Columns AllColumns(const v1::GatePolicy& policy);

/// Which vertices of a scope must have records, if the policy gives them losses.
enum class Completeness {
  kAll,
  kAllButCandidate,  ///< Of what was swapped: the candidate has no such records.
  kWhateverIsThere,
};

/// What was read of one side: before, after or swapped. Takes rows, and refuses what contradicts
/// the policy or an earlier row. One thread.
class RecordTable {
 public:
  /// @param policy, scope, columns  Outlive the table.
  RecordTable(const v1::GatePolicy& policy, const Scope& scope, const Columns& columns);

  /// INVALID_ARGUMENT: what is wrong, without its place.
  absl::Status Add(const RecordRow& row);

  /// Checks that nothing is missing and orders all: call once, then only read. INVALID_ARGUMENT:
  /// faults, one a line.
  absl::Status Finish(Completeness completeness);

  /// After Finish(). Null: there is no record of it.
  const VertexRecords* Find(const std::string& vertex) const;
  int64_t row_count() const { return rows_; }
  /// Rows of vertices that the change does not reach.
  int64_t skipped_count() const { return skipped_; }
  /// SHA-256 of everything read, the same whatever the order was. After Finish().
  std::string Digest() const;

 private:
  struct Building;  // A vertex's records while they come.
  absl::Status AddExample(const RecordRow& row, Building& vertex);
  absl::Status AddResampled(const RecordRow& row, Building& vertex);
  absl::StatusOr<size_t> Place(const RecordRow& row, Building& vertex);
  void CheckComplete(const Building& vertex, std::vector<std::string>& faults) const;
  void Order(Building& vertex);

  const v1::GatePolicy* policy_;  // Borrowed, as are the columns.
  const Columns* columns_;
  absl::flat_hash_map<std::string, int> numbers_;  // Of vertices in scope; -1: not reached.
  std::vector<Building> vertices_;                 // As the scope has them.
  absl::flat_hash_map<std::string, int32_t> example_numbers_;
  std::vector<std::string> example_names_;
  int64_t rows_ = 0;
  int64_t skipped_ = 0;
};

struct RecordTable::Building {
  const v1::GateVertex* policy = nullptr;
  std::vector<int> column_of;  // By number of Columns: the vertex's own, or -1.
  absl::flat_hash_map<std::string, int> slice_bits;
  absl::flat_hash_map<int32_t, int32_t> places;  // By number of the example.
  std::vector<int32_t> example_of;               // By place.
  std::vector<int32_t> cluster_of;               // By place; -1: none.
  std::vector<std::string> cluster_names;
  absl::flat_hash_map<std::string, int32_t> cluster_numbers;
  VertexRecords records;
};

}  // namespace backfire::gate
