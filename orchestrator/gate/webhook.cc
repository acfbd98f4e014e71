#include "orchestrator/gate/webhook.h"

#include <algorithm>
#include <cstdlib>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "orchestrator/gate/memory_file.h"
#include "orchestrator/gate/program.h"
#include "services/base/status.h"

namespace backfire::gate {
namespace {

constexpr int kDefaultSeconds = 10;
constexpr int kMostSeconds = 300;

bool HasControls(const std::string& text) {
  return std::any_of(text.begin(), text.end(),
                     [](unsigned char c) { return c <= 0x20 || c == 0x7f; });
}

// `https://example.org`, of an address whose path may be a secret.
std::string HostOf(const std::string& url) {
  const size_t begin = url.find("://") + 3;
  const size_t end = std::min(url.find_first_of("/?#", begin), url.size());
  const size_t user = url.find('@', begin);
  const size_t host = user < end ? user + 1 : begin;
  return absl::StrCat(url.substr(0, begin), url.substr(host, end - host));
}

// A value in a file of curl's options.
std::string Quoted(const std::string& value) {
  return absl::StrCat("\"", absl::StrReplaceAll(value, {{"\\", "\\\\"}, {"\"", "\\\""}}), "\"");
}

}  // namespace

std::vector<std::string> WebhookFaults(const v1::GateWebhook& webhook) {
  std::vector<std::string> faults;
  const std::string& url = webhook.url();
  if (!absl::StartsWith(url, "https://") && !absl::StartsWith(url, "http://")) {
    faults.emplace_back("url: must begin with https:// or http://");
  } else if (HasControls(url) || HostOf(url).size() == url.find("://") + 3) {
    faults.emplace_back("url: must be an address, without spaces");
  }
  const std::string& variable = webhook.token_variable();
  if (!std::all_of(variable.begin(), variable.end(),
                   [](unsigned char c) { return std::isalnum(c) != 0 || c == '_'; })) {
    faults.push_back(absl::StrCat(
        "token_variable: must be the name of an environment variable: got ", "\"", variable, "\""));
  }
  const int seconds = webhook.timeout_seconds();
  if (seconds != 0 && (seconds < 1 || seconds > kMostSeconds)) {
    faults.push_back(
        absl::StrCat("timeout_seconds: must be 1 to ", kMostSeconds, ": got ", seconds));
  }
  return faults;
}

absl::Status Tell(const v1::GateWebhook& webhook, const std::string& json) {
  const std::string place = absl::StrCat("on_verdict: ", HostOf(webhook.url()));
  const auto untold = [&](const std::string& why) {
    return absl::InternalError(absl::StrCat(place, " was not told of the verdict: ", why));
  };
  std::string options = absl::StrCat("url = ", Quoted(webhook.url()), "\n",
                                     "request = \"POST\"\n"
                                     "header = \"Content-Type: application/json\"\n"
                                     "user-agent = \"backfire-gate\"\n"
                                     "proto = \"=http,https\"\n"
                                     "output = \"/dev/null\"\n"
                                     "fail\nsilent\nshow-error\n");
  absl::StrAppend(&options, "max-time = ",
                  webhook.timeout_seconds() == 0 ? kDefaultSeconds : webhook.timeout_seconds(),
                  "\n");
  if (!webhook.token_variable().empty()) {
    const char* token = std::getenv(webhook.token_variable().c_str());
    if (token == nullptr || *token == '\0') {
      return untold(absl::StrCat("the variable ", webhook.token_variable(), " is not set"));
    }
    if (HasControls(token)) {
      return untold(absl::StrCat("the token in ", webhook.token_variable(), " has spaces in it"));
    }
    absl::StrAppend(&options, "header = ", Quoted(absl::StrCat("Authorization: Bearer ", token)),
                    "\n");
  }
  BACKFIRE_ASSIGN_OR_RETURN(const MemoryFile body, MemoryFile::Make("the report", json));
  absl::StrAppend(&options, "data-binary = ", Quoted(absl::StrCat("@", body.path())), "\n");
  BACKFIRE_ASSIGN_OR_RETURN(const MemoryFile config, MemoryFile::Make("curl's options", options));
  // -q comes first: curl then reads no options of the user's own.
  const absl::StatusOr<int> code = RunProgram({"curl", "-q", "--config", config.path()});
  if (!code.ok()) {
    return untold(
        absl::StrCat(std::string(code.status().message()), " (it is sent by the program curl)"));
  }
  return *code == 0 ? absl::OkStatus() : untold(absl::StrCat("curl ended with ", *code));
}

}  // namespace backfire::gate
