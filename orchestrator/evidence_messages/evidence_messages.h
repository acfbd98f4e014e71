#pragma once

#include <functional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "backfire/v1/evidence.pb.h"
#include "orchestrator/verdict/verdict.h"

namespace backfire::evidence {

/// The version of the format that this program writes, and reads.
inline constexpr int kFormatVersion = 1;

/// What precedes an update's records.
v1::EvidenceHeader HeaderOf(const verdict::Evidence& evidence, const std::string& update);

/// Calls `take` with each record, in the order of losses, of `when`, and of replicates, until it
/// returns false.
void ForEachRecord(const verdict::Evidence& evidence,
                   const std::function<bool(const v1::EvidenceRecord&)>& take);

/// Evidence that comes piece by piece. One thread.
class EvidenceAssembler {
 public:
  /// INVALID_ARGUMENT: another format version, or fields out of their range.
  static absl::StatusOr<EvidenceAssembler> Begin(const v1::EvidenceHeader& header);

  /// INVALID_ARGUMENT: a record of no loss or replicate that the header names, or one that is
  /// there.
  absl::Status Add(const v1::EvidenceRecord& record);

  /// INVALID_ARGUMENT: records are missing, or have other numbers of resamples than others.
  absl::StatusOr<verdict::Evidence> Finish();

 private:
  EvidenceAssembler() = default;

  v1::EvidenceHeader header_;
  verdict::Evidence evidence_;
  // By loss, then by replicate: what is there.
  struct Seen {
    std::vector<bool> before, after, swapped;
  };
  std::vector<Seen> seen_;
};

/// A message as a line of JSON, ended by a newline. INTERNAL: it can't be written.
absl::StatusOr<std::string> ToLine(const google::protobuf::Message& message);

/// Reads a message from a line. INVALID_ARGUMENT: it is none.
absl::Status FromLine(const std::string& line, google::protobuf::Message& message);

}  // namespace backfire::evidence
