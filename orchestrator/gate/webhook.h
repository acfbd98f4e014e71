#pragma once

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "backfire/v1/gate.pb.h"

namespace backfire::gate {

/// Faults of an address and its token, each as `field: what must hold`; none of an unset one.
std::vector<std::string> WebhookFaults(const v1::GateWebhook& webhook);

/// Sends a report's JSON to an address, by the program `curl`; follows no redirection. Takes at
/// most `timeout_seconds`. Addresses and tokens are in no argument, where other users would see
/// them, and no message has more of an address than its host. INTERNAL: it was not told, and why:
/// there is no curl, the token's variable is not set, nobody answers, or the answer is an error.
absl::Status Tell(const v1::GateWebhook& webhook, const std::string& json);

}  // namespace backfire::gate
