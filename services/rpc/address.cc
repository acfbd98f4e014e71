#include "services/rpc/address.h"

#include <sys/un.h>

#include <string_view>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"

namespace backfire::runtime {

absl::StatusOr<HostPort> ParseHostPort(const std::string& text) {
  const size_t colon = text.rfind(':');
  HostPort parsed;
  if (colon == std::string::npos || colon == 0 ||
      !absl::SimpleAtoi(text.substr(colon + 1), &parsed.port) || parsed.port < 0 ||
      parsed.port > 65535) {
    return absl::InvalidArgumentError(
        absl::StrCat("must be HOST:PORT or unix:PATH: got \"", text, "\""));
  }
  parsed.host = text.substr(0, colon);
  if (absl::StartsWith(parsed.host, "[") && absl::EndsWith(parsed.host, "]")) {
    parsed.host = parsed.host.substr(1, parsed.host.size() - 2);
  }
  return parsed;
}

bool IsUnix(const std::string& target) { return absl::StartsWith(target, "unix:"); }

std::string UnixPath(const std::string& target) {
  return std::string(absl::StripPrefix(target, "unix:"));
}

absl::Status CheckUnixPath(const std::string& target) {
  constexpr size_t kLongest = sizeof(sockaddr_un::sun_path) - 1;
  const std::string path = UnixPath(target);
  if (!path.empty() && path.size() <= kLongest) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat("a unix socket's path must have 1 to ", kLongest,
                                                 " bytes: got ", path.size(), ", ", target));
}

std::string ChannelTarget(const std::string& target) {
  if (!IsUnix(target)) return target;
  // RFC 3986: unreserved characters, and those that a path may have besides.
  constexpr std::string_view kPlain = "-._~/!$&'()*+,;=:@";
  std::string uri = "unix:";
  for (const char c : UnixPath(target)) {
    const auto byte = static_cast<unsigned char>(c);
    if (absl::ascii_isalnum(byte) || kPlain.find(c) != std::string_view::npos) {
      uri += c;
    } else {
      absl::StrAppend(&uri, "%", absl::Hex(byte, absl::kZeroPad2));
    }
  }
  return uri;
}

bool IsLocal(const std::string& target) {
  if (IsUnix(target)) return true;
  // gRPC's own form of a name that is looked up: dns:///localhost:7001 or dns:localhost:7001.
  std::string plain(absl::StripPrefix(target, "dns:"));
  plain = std::string(absl::StripPrefix(plain, "///"));
  const absl::StatusOr<HostPort> parsed = ParseHostPort(plain);
  if (!parsed.ok()) return false;
  return parsed->host == "localhost" || parsed->host == "::1" ||
         (absl::StartsWith(parsed->host, "127.") &&
          parsed->host.find_first_not_of("0123456789.") == std::string::npos);
}

}  // namespace backfire::runtime
