#include "services/runtime/jobs/job_request.h"

#include <google/protobuf/util/message_differencer.h>

#include <type_traits>

#include "absl/strings/str_cat.h"
#include "services/base/excerpt.h"

namespace backfire::runtime {

const std::string& RequestId(const JobRequest& request) {
  return std::visit([](const auto& r) -> const std::string& { return r.request_id(); }, request);
}

std::string JobName(const std::string& request_id) { return absl::StrCat("jobs/", request_id); }

bool SameRequest(JobRequest a, JobRequest b) {
  if (a.index() != b.index()) return false;
  return std::visit(
      [&](auto& one) {
        auto& other = std::get<std::decay_t<decltype(one)>>(b);
        one.clear_endpoints();
        other.clear_endpoints();
        if constexpr (!std::is_same_v<std::decay_t<decltype(one)>, v1::TrainRequest>) {
          // One that an older program accepted has no digest.
          if (one.digest().empty()) other.clear_digest();
        }
        return google::protobuf::util::MessageDifferencer::Equals(one, other);
      },
      a);
}

absl::StatusOr<JobRequest> UnpackJobRequest(const google::protobuf::Any& kept,
                                            const std::string& where) {
  v1::TrainRequest train;
  if (kept.UnpackTo(&train)) return train;
  v1::EvaluateRequest evaluate;
  if (kept.UnpackTo(&evaluate)) return evaluate;
  v1::CommitOutputsRequest commit;
  if (kept.UnpackTo(&commit)) return commit;
  return absl::FailedPreconditionError(
      absl::StrCat(where, " asks for ", Excerpt(kept.type_url()),
                   ", which is unknown here: a newer program made it"));
}

}  // namespace backfire::runtime
