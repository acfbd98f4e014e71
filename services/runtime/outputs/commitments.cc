#include "services/runtime/outputs/commitments.h"

#include "absl/strings/str_cat.h"
#include "services/base/status.h"
#include "services/runtime/version_name.h"
#include "services/runtime/versions/lineage.h"

namespace backfire::runtime {

Commitments::Commitments(const Messages& messages) {
  for (const v1::OutputsCommitment& message : messages) {
    by_outputs_[{message.version_digest(), message.split()}] = message;
  }
}

const v1::OutputsCommitment* Commitments::Find(const std::string& version_digest,
                                               Split split) const {
  const auto found = by_outputs_.find({version_digest, std::string(SplitName(split))});
  return found == by_outputs_.end() ? nullptr : &found->second;
}

bool Commitments::Names(const std::string& version_digest) const {
  const auto first = by_outputs_.lower_bound({version_digest, ""});
  return first != by_outputs_.end() && first->first.first == version_digest;
}

std::vector<v1::OutputsCommitment> Commitments::Of(const std::vector<v1::Parent>& parents,
                                                   Split split) const {
  std::map<std::string, v1::OutputsCommitment> found;  // Inputs may share a parent.
  for (const v1::Parent& parent : parents) {
    const v1::OutputsCommitment* commitment = Find(parent.digest(), split);
    if (commitment != nullptr) found[parent.digest()] = *commitment;
  }
  std::vector<v1::OutputsCommitment> commitments;
  for (auto& [digest, commitment] : found) commitments.push_back(std::move(commitment));
  return commitments;
}

std::vector<v1::OutputsCommitment> Commitments::OnSplit(Split split) const {
  std::vector<v1::OutputsCommitment> commitments;
  for (const auto& [outputs, commitment] : by_outputs_) {
    if (outputs.second == SplitName(split)) commitments.push_back(commitment);
  }
  return commitments;
}

absl::Status CheckCommitments(const Commitments::Messages& commitments) {
  std::map<std::pair<std::string, std::string>, std::string> digests;
  for (int i = 0; i < commitments.size(); ++i) {
    const v1::OutputsCommitment& commitment = commitments[i];
    const std::string path = absl::StrCat("commitments[", i, "]");
    BACKFIRE_RETURN_IF_ERROR(
        Annotate(ParseVersionName(commitment.version()).status(), absl::StrCat(path, ".version")));
    BACKFIRE_RETURN_IF_ERROR(
        Annotate(ParseSplit(commitment.split()).status(), absl::StrCat(path, ".split")));
    const std::pair<const char*, const std::string*> fields[] = {
        {"version_digest", &commitment.version_digest()},
        {"dataset_digest", &commitment.dataset_digest()},
        {"outputs_digest", &commitment.outputs_digest()}};
    for (const auto& [name, digest] : fields) {
      if (IsDigest(*digest)) continue;
      return absl::InvalidArgumentError(absl::StrCat(
          path, ".", name, " must have 64 lower-case hexadecimal digits: got \"", *digest, "\""));
    }
    const auto [known, is_new] =
        digests.try_emplace({commitment.version_digest(), commitment.split()},
                            absl::StrCat(commitment.dataset_digest(), commitment.outputs_digest()));
    if (is_new ||
        known->second == absl::StrCat(commitment.dataset_digest(), commitment.outputs_digest())) {
      continue;
    }
    return absl::InvalidArgumentError(absl::StrCat(path, ": ", commitment.version(), " on split ",
                                                   commitment.split(),
                                                   " has two commitments that differ"));
  }
  return absl::OkStatus();
}

}  // namespace backfire::runtime
