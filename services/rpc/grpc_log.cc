#include "services/rpc/grpc_log.h"

#include <grpc/support/log.h>
#include <openssl/x509.h>
#include <spdlog/spdlog.h>

#include <string>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"

namespace backfire::runtime {
namespace {

constexpr char kVerifyFailed[] = "Certificate verify failed with code ";

/// Runs on gRPC's threads.
void Write(gpr_log_func_args* message) {
  std::string text = message->message;
  int code = 0;
  if (absl::StartsWith(text, kVerifyFailed) &&
      absl::SimpleAtoi(text.substr(sizeof(kVerifyFailed) - 1), &code)) {
    absl::StrAppend(&text, " (", X509_verify_cert_error_string(code), ")");
  }
  spdlog::warn("grpc error=\"{}\"", text);
}

}  // namespace

void RouteGrpcLog() { gpr_set_log_function(&Write); }

}  // namespace backfire::runtime
