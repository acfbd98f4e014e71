#pragma once

#include <map>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "backfire/v1/model_service.pb.h"
#include "services/runtime/dataset.h"

namespace backfire::runtime {

/// What a caller says that versions gave, by their producers' word: whoever pulls these outputs is
/// held to it. Immutable.
class Commitments {
 public:
  using Messages = google::protobuf::RepeatedPtrField<v1::OutputsCommitment>;

  Commitments() = default;
  /// @param messages  As CheckCommitments found them right.
  explicit Commitments(const Messages& messages);

  /// The commitment to the outputs of the version of that digest; null: there is none.
  const v1::OutputsCommitment* Find(const std::string& version_digest, Split split) const;
  /// Whether there is one to any split of that version: its service commits, so that outputs
  /// without a commitment are not to be trusted.
  bool Names(const std::string& version_digest) const;
  /// Those to these parents' outputs on a split, each once, sorted by the version's digest.
  std::vector<v1::OutputsCommitment> Of(const std::vector<v1::Parent>& parents, Split split) const;
  /// All of a split.
  std::vector<v1::OutputsCommitment> OnSplit(Split split) const;

 private:
  // By the version's digest and the split.
  std::map<std::pair<std::string, std::string>, v1::OutputsCommitment> by_outputs_;
};

/// Checks what a request says: versions, digests and splits are well formed, and nothing is said
/// twice in two ways. INVALID_ARGUMENT: names the field.
absl::Status CheckCommitments(const Commitments::Messages& commitments);

}  // namespace backfire::runtime
