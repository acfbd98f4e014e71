#include "tests/support/metrics_page.h"

#include <netdb.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmath>
#include <cstdlib>
#include <limits>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "services/base/status.h"

namespace backfire::testing {
namespace {

// The family of a sample: histograms and summaries have samples with endings of their own.
MetricsPage::Family* FamilyOf(MetricsPage& page, const std::string& sample) {
  if (const auto found = page.families.find(sample); found != page.families.end()) {
    return &found->second;
  }
  for (const char* ending : {"_bucket", "_sum", "_count"}) {
    if (!absl::EndsWith(sample, ending)) continue;
    const auto found = page.families.find(std::string(absl::StripSuffix(sample, ending)));
    if (found != page.families.end()) return &found->second;
  }
  return nullptr;
}

}  // namespace

double MetricsPage::Value(const std::string& sample) const {
  for (const auto& [name, family] : families) {
    if (const auto found = family.samples.find(sample); found != family.samples.end()) {
      return found->second;
    }
  }
  return std::numeric_limits<double>::quiet_NaN();
}

std::vector<std::string> MetricsPage::Samples(const std::string& part) const {
  std::vector<std::string> found;
  for (const auto& [name, family] : families) {
    for (const auto& [sample, value] : family.samples) {
      if (absl::StrContains(sample, part)) found.push_back(sample);
    }
  }
  return found;
}

absl::StatusOr<MetricsPage> ParseMetricsPage(const std::string& text) {
  MetricsPage page;
  const std::vector<std::string> lines = absl::StrSplit(text, '\n', absl::SkipEmpty());
  for (const std::string& line : lines) {
    if (line[0] == '#') {
      const std::vector<std::string> words = absl::StrSplit(line, absl::MaxSplits(' ', 3));
      if (words.size() != 4) return absl::InvalidArgumentError(line);
      if (words[1] == "HELP") page.families[words[2]].help = words[3];
      if (words[1] == "TYPE") page.families[words[2]].type = words[3];
      continue;
    }
    const size_t space = line.rfind(' ');
    if (space == std::string::npos) return absl::InvalidArgumentError(line);
    const std::string sample = line.substr(0, space);
    const size_t brace = sample.find('{');
    MetricsPage::Family* family = FamilyOf(page, sample.substr(0, brace));
    if (family == nullptr) return absl::InvalidArgumentError(absl::StrCat("no family: ", line));
    family->samples[sample] = std::strtod(line.c_str() + space + 1, nullptr);
    // Names are in front of `="`; values that tests see have neither.
    for (size_t at = brace; at != std::string::npos && at < sample.size();) {
      const size_t equals = sample.find("=\"", at + 1);
      if (equals == std::string::npos) break;
      const std::string label = sample.substr(at + 1, equals - at - 1);
      if (label != "le" && label != "quantile") family->labels.insert(label);
      at = sample.find(',', sample.find('"', equals + 2));
    }
  }
  return page;
}

absl::StatusOr<std::string> GetMetrics(const std::string& endpoint) {
  const size_t colon = endpoint.rfind(':');
  if (colon == std::string::npos) return absl::InvalidArgumentError(endpoint);
  addrinfo hints{};
  hints.ai_family = AF_INET;
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* addresses = nullptr;
  if (::getaddrinfo(endpoint.substr(0, colon).c_str(), endpoint.substr(colon + 1).c_str(), &hints,
                    &addresses) != 0) {
    return absl::UnavailableError(absl::StrCat("no address: ", endpoint));
  }
  const absl::Cleanup free_addresses = [addresses] { ::freeaddrinfo(addresses); };
  const int descriptor = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const absl::Cleanup close = [descriptor] { ::close(descriptor); };
  if (::connect(descriptor, addresses->ai_addr, addresses->ai_addrlen) != 0) {
    return absl::UnavailableError(absl::StrCat("nobody listens on ", endpoint));
  }
  const std::string request =
      absl::StrCat("GET /metrics HTTP/1.0\r\nHost: ", endpoint, "\r\nConnection: close\r\n\r\n");
  if (::send(descriptor, request.data(), request.size(), MSG_NOSIGNAL) !=
      static_cast<ssize_t>(request.size())) {
    return absl::UnavailableError("the request was not sent");
  }
  std::string response;
  char buffer[4096];
  for (ssize_t got = 0; (got = ::recv(descriptor, buffer, sizeof(buffer), 0)) > 0;) {
    response.append(buffer, static_cast<size_t>(got));
  }
  const size_t body = response.find("\r\n\r\n");
  if (body == std::string::npos || !absl::StrContains(response.substr(0, 16), " 200 ")) {
    return absl::InternalError(response.substr(0, 200));
  }
  return response.substr(body + 4);
}

absl::StatusOr<MetricsPage> ScrapeMetrics(const std::string& endpoint) {
  BACKFIRE_ASSIGN_OR_RETURN(const std::string text, GetMetrics(endpoint));
  return ParseMetricsPage(text);
}

}  // namespace backfire::testing
