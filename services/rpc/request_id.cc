#include "services/rpc/request_id.h"

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"

namespace backfire::runtime {

absl::Status CheckRequestId(const std::string& request_id) {
  bool valid = !request_id.empty() && request_id.size() <= 128;
  for (const char c : request_id) {
    valid = valid && (absl::ascii_isalnum(static_cast<unsigned char>(c)) || c == '.' || c == '_' ||
                      c == '/' || c == '-');
  }
  if (valid) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat(
      "request_id must have 1 to 128 characters of [A-Za-z0-9._/-]: got \"", request_id, "\""));
}

}  // namespace backfire::runtime
