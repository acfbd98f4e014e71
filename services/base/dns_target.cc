#include "services/base/dns_target.h"

#include "absl/status/status.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"

namespace backfire {
namespace {

constexpr absl::string_view kScheme = "dns:";

}  // namespace

bool IsDnsTarget(const std::string& endpoint) { return absl::StartsWith(endpoint, kScheme); }

absl::StatusOr<DnsTarget> ParseDnsTarget(const std::string& endpoint) {
  absl::string_view rest = endpoint;
  const bool has_scheme = absl::ConsumePrefix(&rest, kScheme);
  absl::ConsumePrefix(&rest, "///");
  const size_t colon = rest.find_first_of("/:");
  int port = 0;
  if (!has_scheme || colon == absl::string_view::npos || colon == 0 || rest[colon] != ':' ||
      !absl::SimpleAtoi(rest.substr(colon + 1), &port) || port < 1 || port > 65535) {
    return absl::InvalidArgumentError(
        absl::StrCat("must be dns:NAME:PORT: got \"", endpoint, "\""));
  }
  return DnsTarget{std::string(rest.substr(0, colon)), absl::StrCat(port)};
}

NamedAddress ParseNamedAddress(const std::string& target) {
  const size_t at = target.find_first_of("@:/");
  if (at == std::string::npos || at == 0 || target[at] != '@') return {"", target};
  return {target.substr(0, at), target.substr(at + 1)};
}

}  // namespace backfire
