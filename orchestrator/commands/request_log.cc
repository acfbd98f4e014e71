#include "orchestrator/commands/request_log.h"

#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/io/zero_copy_stream_impl_lite.h>
#include <google/protobuf/message.h>

#include <memory>
#include <optional>

#include "absl/strings/str_cat.h"
#include "services/base/digest.h"
#include "services/base/status.h"
#include "services/rpc/request_id.h"

namespace backfire::commands {

std::string RequestFingerprint(const google::protobuf::Message& request) {
  const std::unique_ptr<google::protobuf::Message> named(request.New());
  named->CopyFrom(request);
  // A retry may come from another place.
  for (const char* name : {"request_id", "actor"}) {
    const auto* field = named->GetDescriptor()->FindFieldByName(name);
    if (field != nullptr) named->GetReflection()->ClearField(named.get(), field);
  }
  std::string bytes;
  {
    google::protobuf::io::StringOutputStream stream(&bytes);
    google::protobuf::io::CodedOutputStream coded(&stream);
    coded.SetSerializationDeterministic(true);
    named->SerializeToCodedStream(&coded);
  }
  return Sha256().UpdateField(request.GetTypeName()).UpdateField(bytes).Finish();
}

absl::StatusOr<std::string> FindDone(const store::Repository& history,
                                     const std::string& request_id,
                                     const google::protobuf::Message& request) {
  if (request_id.empty()) return std::string();
  BACKFIRE_RETURN_IF_ERROR(runtime::CheckRequestId(request_id));
  BACKFIRE_ASSIGN_OR_RETURN(const std::optional<records::RequestRecord> known,
                            history.FindRequest(request_id));
  if (!known.has_value()) return std::string();
  if (known->fingerprint == RequestFingerprint(request)) return known->resource;
  return absl::AlreadyExistsError(absl::StrCat("request_id \"", request_id, "\" names a call on ",
                                               known->resource, " that had other arguments"));
}

void NoteDone(const std::string& request_id, const google::protobuf::Message& request,
              const std::string& resource, records::Change& change) {
  if (request_id.empty()) return;
  change.requests.push_back({request_id, RequestFingerprint(request), resource});
}

}  // namespace backfire::commands
