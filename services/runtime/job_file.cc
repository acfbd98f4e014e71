#include "services/runtime/job_file.h"

#include "absl/strings/str_cat.h"
#include "services/base/digest.h"
#include "services/base/file.h"
#include "services/base/regular_file.h"
#include "services/base/seal.h"
#include "services/base/status.h"

namespace backfire::runtime {
namespace {

constexpr int64_t kMaxBytes = int64_t{1} << 30;  // Evaluations hold many resamples.

absl::Status Write(const std::filesystem::path& path, const google::protobuf::Message& message) {
  return WriteFileAtomically(path, Seal(message.SerializeAsString(), SealForm::kLastLine));
}

template <typename Message>
absl::StatusOr<Message> Read(const std::filesystem::path& path, Unsealed unsealed) {
  const std::string advice = absl::StrCat("; remove ", path.parent_path().string(),
                                          " to forget the job, which can then be asked for again");
  absl::StatusOr<std::string> bytes = ReadRegularFile(path, kMaxBytes);
  if (absl::IsNotFound(bytes.status()) || absl::IsPermissionDenied(bytes.status())) {
    return bytes.status();
  }
  if (!bytes.ok()) return absl::DataLossError(absl::StrCat(bytes.status().message(), advice));
  const bool is_sealed = HasSeal(*bytes, SealForm::kLastLine);
  if (is_sealed || unsealed == Unsealed::kRefuse) {
    bytes = Unseal(*bytes, SealForm::kLastLine, path.string());
    if (!bytes.ok()) return absl::DataLossError(absl::StrCat(bytes.status().message(), advice));
  }
  Message message;
  if (!message.ParseFromString(*bytes) || bytes->empty()) {
    return absl::DataLossError(absl::StrCat(path.string(), " is damaged", advice));
  }
  if (unsealed == Unsealed::kSeal && !is_sealed) BACKFIRE_RETURN_IF_ERROR(Write(path, message));
  return message;
}

}  // namespace

std::string JobFolder(const std::string& request_id) { return Sha256Hex(request_id).substr(0, 32); }

absl::Status WriteRequestFile(const std::filesystem::path& folder,
                              const google::protobuf::Any& request) {
  return Write(folder / kRequestFile, request);
}

absl::Status WriteJobFile(const std::filesystem::path& folder, const v1::Job& job) {
  return Write(folder / kJobFile, job);
}

absl::StatusOr<google::protobuf::Any> ReadRequestFile(const std::filesystem::path& folder,
                                                      Unsealed unsealed) {
  return Read<google::protobuf::Any>(folder / kRequestFile, unsealed);
}

absl::StatusOr<v1::Job> ReadJobFile(const std::filesystem::path& folder, Unsealed unsealed) {
  return Read<v1::Job>(folder / kJobFile, unsealed);
}

}  // namespace backfire::runtime
