#include "orchestrator/report/json_report.h"

#include <google/protobuf/struct.pb.h>
#include <google/protobuf/util/json_util.h>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"

namespace backfire::report {

absl::StatusOr<std::string> ToJson(const google::protobuf::Message& message) {
  google::protobuf::util::JsonPrintOptions options;
  options.add_whitespace = true;
  options.always_print_primitive_fields = true;
  options.preserve_proto_field_names = true;
  std::string json;
  const auto status = google::protobuf::util::MessageToJsonString(message, &json, options);
  if (!status.ok()) {
    return absl::InternalError(
        absl::StrCat(message.GetTypeName(), " as JSON: ", std::string(status.message())));
  }
  return json;
}

std::string ErrorLine(const absl::Status& status, int exit_code) {
  google::protobuf::Value message;
  message.set_string_value(std::string(status.message()));
  std::string text;
  // Every text has a JSON form, but for bytes that are no UTF-8.
  if (!google::protobuf::util::MessageToJsonString(message, &text).ok()) text = "\"\"";
  return absl::StrCat("{\"error\":{\"code\":\"", absl::StatusCodeToString(status.code()),
                      "\",\"message\":", text, ",\"exit_code\":", exit_code, "}}");
}

}  // namespace backfire::report
