#pragma once

#include <google/protobuf/any.pb.h>

#include <string>
#include <variant>

#include "absl/status/statusor.h"
#include "backfire/v1/model_service.pb.h"

namespace backfire::runtime {

/// What a job was asked to do.
using JobRequest = std::variant<v1::TrainRequest, v1::EvaluateRequest, v1::CommitOutputsRequest>;

/// Its caller's name for it.
const std::string& RequestId(const JobRequest& request);

/// `jobs/{request_id}`.
std::string JobName(const std::string& request_id);

/// Whether both ask for the same job. Where services are reached may change between calls;
/// everything else is the job's identity.
bool SameRequest(JobRequest a, JobRequest b);

/// From what was kept of it. FAILED_PRECONDITION: it is of a kind that is unknown here.
/// @param where  From where `kept` was read, for people.
absl::StatusOr<JobRequest> UnpackJobRequest(const google::protobuf::Any& kept,
                                            const std::string& where);

}  // namespace backfire::runtime
