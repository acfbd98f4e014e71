#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "orchestrator/gate/record_table.h"

namespace backfire::gate {

/// Faults for a person, of which the first 20 are kept.
class FaultList {
 public:
  void Add(std::string fault);
  bool empty() const { return faults_.empty(); }
  /// INVALID_ARGUMENT with a fault a line; OK if there is none.
  absl::Status ToStatus() const;

 private:
  std::vector<std::string> faults_;
  bool more_ = false;
};

/// Seeds of all of a vertex's records, growing.
std::vector<int64_t> SeedsOf(const VertexRecords& records);

/// What a vertex's records say, with the side's name.
struct NamedRecords {
  std::string side;
  const VertexRecords& records;
};

/// Adds in what two sides of a comparison differ that must not: seeds, examples, their slices and
/// clusters.
void Compare(const std::string& vertex, const NamedRecords& one, const NamedRecords& other,
             FaultList& faults);

}  // namespace backfire::gate
