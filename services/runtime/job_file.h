#pragma once

#include <google/protobuf/any.pb.h>

#include <filesystem>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "backfire/v1/model_service.pb.h"
#include "services/runtime/version_file.h"

// The files of one job, in a folder of its own: what was asked for (`request.pb`), and, once it has
// ended, what came of it (`job.pb`). Both are sealed (services/base/seal.h).
namespace backfire::runtime {

inline constexpr char kRequestFile[] = "request.pb";
inline constexpr char kJobFile[] = "job.pb";

/// Name of a job's folder: a request_id may hold any number of slashes, and its digest is flat.
std::string JobFolder(const std::string& request_id);

absl::Status WriteRequestFile(const std::filesystem::path& folder,
                              const google::protobuf::Any& request);
absl::Status WriteJobFile(const std::filesystem::path& folder, const v1::Job& job);

/// NOT_FOUND: there is no such file. DATA_LOSS: it is damaged.
absl::StatusOr<google::protobuf::Any> ReadRequestFile(const std::filesystem::path& folder,
                                                      Unsealed unsealed);
absl::StatusOr<v1::Job> ReadJobFile(const std::filesystem::path& folder, Unsealed unsealed);

}  // namespace backfire::runtime
